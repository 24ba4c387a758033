"""Checks of what lies in the spool: files that will never run, leftovers, and what was put aside."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ...spools.directory import names
from ...spools.directory.tree import DEEPEST, PRIVATE
from .finding import Finding, ok, warn

OLD = 3600.0  # seconds: an unfinished file that is older has no writer any more
HUGE = 16 << 20  # bytes of a directory that was once very full: each scan reads them all
SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Strange:
    """A thing that no worker will ever run, and why."""

    path: str
    why: str


def never_run(path: str) -> list[Finding]:
    """Files and directories that look like tasks but are none."""
    owners = {os.geteuid(), os.stat(path).st_uid, 0}
    strange = list(_strange_in(path, "", owners, _linked_ids(path)))
    if not strange:
        return [ok("files", "every task file can run")]
    findings = [warn("files", f"{one.path} will never run: {one.why}", "move it away, or put it right") for one in strange[:SHOWN]]
    if len(strange) > SHOWN:
        findings.append(warn("files", f"and {len(strange) - SHOWN} more like these", "look at them too"))
    return findings


def _linked_ids(path: str) -> frozenset[int]:
    """The inodes that have an id: their second link is no stranger."""
    return frozenset(entry.inode() for entry in _entries(os.path.join(path, PRIVATE, "ids")))


def _entries(directory: str) -> "Iterator[os.DirEntry[str]]":
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        return


def _strange_in(top: str, below: str, owners: set[int], ids: frozenset[int]) -> Iterator[_Strange]:
    directory = os.path.join(top, below)
    if not os.access(directory, os.R_OK | os.X_OK):
        yield _Strange(below, "the directory cannot be read by this user")
        return
    for entry in _entries(directory):
        path = os.path.join(below, entry.name)
        if entry.name.startswith(names.PREFIX):
            yield from _strange_file(path, entry, owners, ids)
        elif entry.name != PRIVATE and entry.is_dir():
            yield from _strange_directory(top, path, entry, owners, ids)


def _strange_file(path: str, entry: "os.DirEntry[str]", owners: set[int], ids: frozenset[int]) -> Iterator[_Strange]:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return  # it ran meanwhile
    if why := _why_not(found, owners, ids):
        yield _Strange(path, why)


def _why_not(found: os.stat_result, owners: set[int], ids: frozenset[int]) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "it is a directory" if stat.S_ISDIR(found.st_mode) else "it is no regular file"
    if found.st_uid not in owners:
        return f"it belongs to the user {found.st_uid}"
    if found.st_nlink > (2 if found.st_ino in ids else 1):
        return "it has a hard link elsewhere"
    return ""


def _strange_directory(
    top: str, path: str, entry: "os.DirEntry[str]", owners: set[int], ids: frozenset[int]
) -> Iterator[_Strange]:
    is_priority = entry.name.isdecimal() and entry.name.isascii()
    if is_priority and entry.is_symlink():
        yield _Strange(path, "it is a symbolic link to a directory")
    elif is_priority and path.count("/") + 1 < DEEPEST:
        yield from _strange_in(top, path, owners, ids)
    elif not entry.is_symlink() and any(inner.name.startswith(names.PREFIX) for inner in _entries(entry.path)):
        yield _Strange(path, "there are task files in it, but its name is no number" if not is_priority else "it lies too deep")


def leftovers(path: str) -> list[Finding]:
    """What crashes leave behind. It does no harm; an id is freed when it is used again."""
    ids = sum(_links(entry) == 1 for entry in _entries(os.path.join(path, PRIVATE, "ids")))
    parts = [entry.path for entry in _entries(os.path.join(path, PRIVATE, "tmp")) if _age(entry) > OLD]
    findings = [ok("ids", f"{ids} of finished messages are left; they are freed when they are used again")] if ids else []
    if parts:
        text = f"{len(parts)} unfinished files in {PRIVATE}/tmp are older than an hour"
        findings.append(warn("leftovers", text, f"their writers have died: rm {os.path.join(path, PRIVATE, 'tmp')}/*"))
    return findings


def _links(entry: "os.DirEntry[str]") -> int:
    try:
        return os.lstat(entry.path).st_nlink
    except OSError:
        return 0


def _age(entry: "os.DirEntry[str]") -> float:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def put_aside(path: str) -> list[Finding]:
    """Buried messages and broken files wait for a person."""
    return [_aside(path, "dead", "aspool ls --state dead, then retry or purge"),
            _aside(path, "corrupt", "aspool ls --state corrupt says why; ask whoever wrote them")]  # fmt: skip


def _aside(path: str, area: str, advice: str) -> Finding:
    kept = [entry for entry in _entries(os.path.join(path, PRIVATE, area)) if not entry.name.endswith(".json")]
    return warn(area, f"{len(kept):,} in {PRIVATE}/{area}", advice) if kept else ok(area, "none")


def directory_size(path: str) -> Finding:
    """On many file systems a directory never shrinks, and each scan reads all of it."""
    size = os.stat(path).st_size
    if size > HUGE:
        return warn("scan", f"the directory itself takes {size >> 20} MiB, so each scan is slow",
                    "stop all workers and writers, move its contents into a new directory, and rename that")  # fmt: skip
    return ok("scan", f"the directory itself takes {size >> 10} KiB")
