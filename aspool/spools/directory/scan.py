"""Scan: read the names of one place, in a thread, with bounded memory."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import descriptors
from .index import Entry
from .names import PREFIX, glance
from .tree import DEEPEST, Place


@dataclass(slots=True)
class Found:
    """What a scan found. `horizon` in microseconds as in Index; `mtime` of the directory (ns) before it was read."""

    place: Place
    entries: list[Entry] = field(default_factory=list)
    horizon: int | None = None
    directories: list[str] = field(default_factory=list)
    mtime: int = 0
    duration: float = 0.0


def scan(place: Place, limit: int, skip: frozenset[str] = frozenset()) -> Found:
    """The `limit` earliest task files of a place without those of `skip`, and its numbered directories.

    Skipped before the cut: otherwise enough files that nobody can claim would hide all others. Raises OSError.
    """
    started = time.monotonic()
    # A descriptor of its own: two readers of one would share the position.
    fd = descriptors.open_descriptor(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.fd)
    try:
        found = Found(place, mtime=os.fstat(fd).st_mtime_ns)
        deep = place.path.count("/") + 1 < DEEPEST
        with descriptors.passing, os.scandir(fd) as entries:
            _collect(found, _earliest(entries, found, deep, skip), limit)
    finally:
        descriptors.close_descriptor(fd)
    found.duration = time.monotonic() - started
    return found


def _collect(found: Found, earliest: Iterator[Entry], limit: int) -> None:
    """Cut by threshold, sort and truncate: a heap of the smallest would cost several times as much."""
    kept = found.entries
    for entry in earliest:
        if found.horizon is not None and entry[0] >= found.horizon:
            continue
        kept.append(entry)
        if len(kept) >= 2 * limit:
            kept.sort()
            del kept[limit:]
            found.horizon = kept[-1][0]


def _earliest(entries: "Iterator[os.DirEntry[str]]", found: Found, deep: bool, skip: frozenset[str]) -> Iterator[Entry]:
    for entry in entries:
        name = entry.name
        if name.startswith(PREFIX):
            if name in skip or not entry.is_file(follow_symlinks=False):
                continue  # a link, a FIFO, a directory: `doctor` lists them
            due = glance(name)
            if due is None:
                due = _due_by_mtime(entry)
            if due is not None:
                yield due, name
        elif deep and name.isdecimal() and name.isascii() and entry.is_dir(follow_symlinks=False):
            found.directories.append(name)


def _due_by_mtime(entry: "os.DirEntry[str]") -> int | None:
    """uWSGI's own test: the mtime in whole seconds."""
    try:
        return int(entry.stat(follow_symlinks=False).st_mtime) * 1_000_000
    except OSError:
        return None  # gone meanwhile
