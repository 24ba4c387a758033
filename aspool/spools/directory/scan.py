"""Scan: read the names of one place, in a thread, with bounded memory."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from . import descriptors
from .index import NEVER, RUN, Run, cut, due_of, key_of, moment, name_of
from .names import PREFIX, microseconds
from .ranks import ALL, Share
from .tree import DEEPEST, Place

_DUE = len(PREFIX)
_DUE_END = _DUE + 16


class Bounds(NamedTuple):
    """How many names to keep, and how many of them that are not due yet."""

    limit: int
    later: int


class Passed(NamedTuple):
    """Names that are left out, from a key to another: so many of them must wait that they cannot be remembered."""

    first: str
    last: str

    def has(self, key: str) -> bool:
        """Whether a name is one of them."""
        return self.first <= key <= self.last

    def with_key(self, key: str) -> "Passed":
        """These, and all on the way to another one."""
        return Passed(min(self.first, key), max(self.last, key))


NONE_PASSED = Passed(NEVER, "")


@dataclass(slots=True)
class Found:
    """What a scan found. `horizon` as in Index; `mtime` of the directory (ns) before it was read."""

    place: Place
    mine: list[Run] = field(default_factory=list)
    others: list[Run] = field(default_factory=list)  # of the shares of other workers
    horizon: str = NEVER
    directories: list[str] = field(default_factory=list)
    read: int = 0  # names of any kind
    mtime: int = 0
    duration: float = 0.0

    @property
    def entries(self) -> list[tuple[int, str]]:
        """When each name is due (in microseconds), and the name, in no order."""
        return [(due_of(key), name_of(key)) for run in (*self.mine, *self.others) for key in run]


def scan(
    place: Place,
    limit: int,
    later: int | None = None,
    skip: frozenset[str] = frozenset(),
    share: Share = ALL,
    passed: Passed = NONE_PASSED,
) -> Found:
    """About the `limit` earliest task files of a place, and its numbered directories; without `skip` and `passed`.

    Skipped before the cut: otherwise enough files that nobody can claim would hide all others. Raises OSError.
    """
    started = time.monotonic()
    bounds = Bounds(limit, limit if later is None else later)
    # A descriptor of its own: two readers of one would share the position.
    fd = descriptors.open_descriptor(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.fd)
    try:
        found = Found(place, mtime=os.fstat(fd).st_mtime_ns)
        with descriptors.passing, os.scandir(fd) as entries:
            _read(found, entries, bounds, skip, passed)
    finally:
        descriptors.close_descriptor(fd)
    found.mine, found.others = share.divide(found.mine)
    found.duration = time.monotonic() - started
    return found


def _read(
    found: Found, entries: Iterator["os.DirEntry[str]"], bounds: Bounds, skip: frozenset[str], passed: Passed
) -> None:
    deep = found.place.path.count("/") + 1 < DEEPEST
    run: Run = []
    for found.read, entry in enumerate(entries, 1):
        name = entry.name
        if name.startswith(PREFIX):
            key = name if _says_when(name) else _key_by_mtime(entry)
            # A link, a FIFO, a directory is left alone: `doctor` lists them.
            if (
                key < found.horizon
                and name not in skip
                and not passed.first <= key <= passed.last
                and entry.is_file(follow_symlinks=False)
            ):
                run.append(key)
                if len(run) >= RUN:
                    _keep(found, run, bounds)
                    run = []
        elif deep and name.isdecimal() and name.isascii() and entry.is_dir(follow_symlinks=False):
            found.directories.append(name)
    _keep(found, run, bounds)


def _keep(found: Found, run: Run, bounds: Bounds) -> None:
    run.sort(reverse=True)
    found.mine.append(run)
    found.horizon = min(found.horizon, cut(found.mine, *bounds, moment(microseconds(time.time()))))


def _says_when(name: str) -> bool:
    """Whether a name begins with its due moment, as ours do; see `glance`."""
    digits = name[_DUE:_DUE_END]
    return name[_DUE_END : _DUE_END + 1] == "_" and digits.isdecimal() and digits.isascii()


def _key_by_mtime(entry: "os.DirEntry[str]") -> str:
    """uWSGI's own test: the mtime in whole seconds."""
    try:
        return key_of(entry.name, int(entry.stat(follow_symlinks=False).st_mtime) * 1_000_000)
    except OSError:
        return NEVER  # gone meanwhile
