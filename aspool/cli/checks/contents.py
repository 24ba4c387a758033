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


@dataclass(frozen=True, slots=True)
class _Spool:
    """What decides whether a file can run: whose it may be, and which inodes have an id as their second link."""

    path: str
    owners: frozenset[int]
    ids: frozenset[int]


def never_run(path: str) -> list[Finding]:
    """Files and directories that look like tasks but are none."""
    ids = frozenset(entry.inode() for entry in _entries(os.path.join(path, PRIVATE, "ids")))
    spool = _Spool(path, frozenset({os.geteuid(), os.stat(path).st_uid, 0}), ids)
    strange = list(_strange_in(spool, ""))
    if not strange:
        return [ok("files", "every task file can run")]
    findings = [
        warn("files", f"{one.path} never runs: {one.why}", "move it away, or put it right") for one in strange[:SHOWN]
    ]
    if len(strange) > SHOWN:
        findings.append(warn("files", f"and {len(strange) - SHOWN} more like these", "look at them too"))
    return findings


def _entries(directory: str) -> "Iterator[os.DirEntry[str]]":
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        return


def _strange_in(spool: _Spool, below: str) -> Iterator[_Strange]:
    directory = os.path.join(spool.path, below)
    if not os.access(directory, os.R_OK | os.X_OK):
        yield _Strange(below, "the directory cannot be read by this user")
        return
    for entry in _entries(directory):
        path = os.path.join(below, entry.name)
        if entry.name.startswith(names.PREFIX):
            if why := _why_not(spool, entry):
                yield _Strange(path, why)
        elif entry.name != PRIVATE and entry.is_dir():
            yield from _strange_directory(spool, path, entry)


def _why_not(spool: _Spool, entry: "os.DirEntry[str]") -> str:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return ""  # it ran meanwhile
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "it is a directory" if stat.S_ISDIR(found.st_mode) else "it is no regular file"
    if found.st_uid not in spool.owners:
        return f"it belongs to the user {found.st_uid}"
    if found.st_nlink > (2 if found.st_ino in spool.ids else 1):
        return "it has a hard link elsewhere"
    return ""


def _strange_directory(spool: _Spool, path: str, entry: "os.DirEntry[str]") -> Iterator[_Strange]:
    is_priority = entry.name.isdecimal() and entry.name.isascii()
    if entry.is_symlink():
        if is_priority:
            yield _Strange(path, "it is a symbolic link to a directory")
    elif is_priority and path.count("/") + 1 < DEEPEST:
        yield from _strange_in(spool, path)
    elif any(inner.name.startswith(names.PREFIX) for inner in _entries(entry.path)):
        why = "it lies too deep" if is_priority else "there are task files in it, but its name is no number"
        yield _Strange(path, why)


def leftovers(path: str) -> list[Finding]:
    """What crashes leave behind. It does no harm; an id is freed when it is used again."""
    findings = []
    private = os.path.join(path, PRIVATE)
    if ids := sum(_links(entry) == 1 for entry in _entries(os.path.join(private, "ids"))):
        findings.append(ok("ids", f"{ids} of finished messages are left; they are freed when they are used again"))
    if parts := sum(_age(entry) > OLD for entry in _entries(os.path.join(private, "tmp"))):
        text = f"{parts} unfinished files are older than an hour: their writers have died"
        findings.append(warn("leftovers", text, f"rm {os.path.join(private, 'tmp')}/*"))
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
        advice = "stop all workers and writers, move its contents into a new directory, and rename that"
        return warn("scan", f"the directory itself takes {size >> 20} MiB, so each scan is slow", advice)
    return ok("scan", f"the directory itself takes {size >> 10} KiB")
