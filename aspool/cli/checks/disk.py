"""Checks of the disk below the spool: the kind of file system, the room left, and its clock."""

import os
import time

from ...spools.directory.file_system import NETWORK, kind_of
from .finding import Finding, fail, ok, warn
from .system import probe

LINKLESS = ("vfat", "exfat")
LOW_SHARE, LOW_BYTES, LOW_INODES = 0.05, 100 << 20, 10_000
SKEW = 1.0  # seconds


def file_system(path: str) -> Finding:
    """Locks, renames and links must be those of a local disk."""
    kind = kind_of(path)
    if kind in NETWORK:
        return fail(
            "file system",
            f"{NETWORK[kind]}: a network file system, on which a spool is opened with network=True only",
            "move the spool to a local disk; several machines are better served by another engine",
        )
    if kind in LINKLESS:
        return fail("file system", f"{kind}: it has no links", "move the spool to another file system")
    if kind in ("tmpfs", "ramfs"):
        return warn(
            "file system",
            f"{kind}: the tasks are gone after a reboot",
            "move the spool to a disk, unless that is meant",
        )
    if kind == "overlay":
        return warn("file system", "overlay: the tasks are gone with the container", "put the spool on a volume")
    return ok("file system", kind or "unknown: /proc/self/mountinfo cannot be read")


def room(path: str) -> list[Finding]:
    """Free space and free inodes, for this user."""
    found = os.statvfs(path)
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    findings = [_space(free, total)]
    if found.f_files:  # 0: a file system without a table of inodes
        findings.append(_inodes(found.f_favail, found.f_files))
    return findings


def _space(free: int, total: int) -> Finding:
    text = f"{free / 1e9:.1f} GB free of {total / 1e9:.1f} GB"
    if free < LOW_BYTES or free < LOW_SHARE * total:
        return warn(
            "space",
            text,
            "make room: on a full disk nothing can be spooled, and failed tasks stay where they are",
        )
    return ok("space", text)


def _inodes(free: int, total: int) -> Finding:
    text = f"{free:,} inodes free of {total:,}"
    if free < LOW_INODES or free < LOW_SHARE * total:
        return warn("inodes", text, "make room: each waiting task is a file")
    return ok("inodes", text)


def clock(path: str) -> Finding:
    """The file system's clock and this machine's decide together when a task is due."""
    with probe(path) as fd:
        os.write(fd, b"x")
        skew = os.fstat(fd).st_mtime - time.time()
    if abs(skew) > SKEW:
        return warn("clock", f"the file system's clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}",
                    "synchronise the clocks (NTP) of this machine and the file server")  # fmt: skip
    return ok("clock", "the file system's clock agrees with this machine's")
