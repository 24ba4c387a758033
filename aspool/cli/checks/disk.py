"""Checks of the disk below the spool: the kind of file system, the room left, and its clock."""

import os
import time

from .finding import Finding, fail, ok, warn
from .system import probe

REMOTE = {"nfs": "NFS", "nfs4": "NFS", "ceph": "CephFS", "glusterfs": "GlusterFS", "fuse.glusterfs": "GlusterFS",
          "lustre": "Lustre", "gfs2": "GFS2", "ocfs2": "OCFS2"}  # fmt: skip
LOCKLESS = (
    "cifs",
    "smb3",
    "9p",
    "fuse.sshfs",
    "vboxsf",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.vmhgfs-fuse",
    "virtiofs",
    "vfat",
    "exfat",
)
LOW_SHARE, LOW_BYTES, LOW_INODES = 0.05, 100 << 20, 10_000
SKEW = 1.0  # seconds


def file_system(path: str) -> Finding:
    """Locks, renames and links must be those of a local disk."""
    kind = kind_of(path)
    if kind in LOCKLESS:
        return fail(
            "file system",
            f"{kind}: its locks and links cannot be relied on",
            "move the spool to a local file system",
        )
    if kind in REMOTE:
        return warn(
            "file system",
            f"{REMOTE[kind]}: tasks of other machines are seen at --frequency only, and locks depend on the server",
            "a local disk is safe; several machines are better served by another engine",
        )
    if kind in ("tmpfs", "ramfs"):
        return warn(
            "file system",
            f"{kind}: the tasks are gone after a reboot",
            "move the spool to a disk, unless that is meant",
        )
    if kind == "overlay":
        return warn("file system", "overlay: the tasks are gone with the container", "put the spool on a volume")
    return ok("file system", kind or "unknown: /proc/self/mountinfo cannot be read")


def kind_of(path: str, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system that a path lies on, "" if it cannot be told."""
    real = os.path.realpath(path)
    found, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                point = _unescaped(fields.split()[4])
                inside = real == point or real.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(found):  # the later of two mounts at one point hides the other
                    found, kind = point, rest.split()[0]
    except (OSError, IndexError):
        return ""
    return kind


def _unescaped(point: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point


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
