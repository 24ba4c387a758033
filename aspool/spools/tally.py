"""How many messages there are, counted by their names: a million of them, without a list of them in memory."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..browsing import Browsable
from ..protocol import Spool
from .directory import DirectorySpool, marks, names
from .directory.marks import Mark
from .directory.tree import DEEPEST, PRIVATE

STATES = ("waiting", "scheduled", "running", "retrying", "unknown", "dead", "corrupt")
LOOKED_INTO = 1000  # due files, for the mark of messages that no worker knows


@dataclass(slots=True)
class Tally:
    """Counts by state; when the message that waits longest became due; how long the counting took, in seconds.

    `running` are those that workers show, which is not what ends within a moment or belongs to a uWSGI; `unknown` are
    found among the first 1,000 due ones that are met, the others count as waiting.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    oldest: float | None = None
    seconds: float = 0.0
    places: tuple[str, ...] = ()  # the directories where messages wait


def tally(spool: Spool, running: frozenset[str], is_wanted: Callable[[], bool]) -> Tally:
    """Count the messages of a spool, of which those with the ids `running` run. Blocking; ends early when unwanted."""
    started = time.monotonic()
    if isinstance(spool, DirectorySpool):
        found = _Counting(running, is_wanted).of(str(spool.path))
    else:
        found = Tally(spool.counts() if isinstance(spool, Browsable) else {})
    found.seconds = time.monotonic() - started
    return found


class _Counting:
    def __init__(self, running: frozenset[str], is_wanted: Callable[[], bool]) -> None:
        self._running = running
        self._is_wanted = is_wanted
        self._now = names.microseconds(time.time())
        self._counts: Counter[str] = Counter(dict.fromkeys(STATES, 0))
        self._oldest = self._now
        self._places: list[str] = []
        self._looked_into = 0

    def of(self, path: str) -> Tally:
        self._place(path, 1)
        self._counts["running"] = len(self._running)
        for area in ("dead", "corrupt"):
            self._counts[area] = self._aside(os.path.join(path, PRIVATE, area))
        waits = self._counts["waiting"] > 0
        return Tally(dict(self._counts), self._oldest / 1e6 if waits else None, places=tuple(self._places))

    def _place(self, path: str, depth: int) -> None:
        self._places.append(path)
        try:
            with os.scandir(path) as entries:
                for at, entry in enumerate(entries):
                    if at % 1000 == 0 and not self._is_wanted():
                        return
                    name = entry.name
                    if name.startswith(names.PREFIX):
                        self._count(name, entry)
                    elif name.isdecimal() and name.isascii() and depth < DEEPEST and _is_directory(entry):
                        self._place(entry.path, depth + 1)
        except OSError:
            return  # it is gone, or may not be read: `doctor` says so

    def _count(self, name: str, entry: "os.DirEntry[str]") -> None:
        told = names.parse(name)
        if told is None:
            try:
                told = names.foreign(name, entry.stat(follow_symlinks=False).st_mtime)
            except OSError:
                return
        if told.id in self._running:
            return
        if told.due <= self._now and self._is_unknown(entry.path):
            self._counts["unknown"] += 1
        elif told.attempt or told.crashes:
            self._counts["retrying"] += 1
        elif told.due > self._now:
            self._counts["scheduled"] += 1
        else:
            self._counts["waiting"] += 1
            self._oldest = min(self._oldest, told.due)

    def _is_unknown(self, path: str) -> bool:
        if self._looked_into >= LOOKED_INTO:
            return False
        self._looked_into += 1
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False  # it has gone, or may not be read
        try:
            return marks.read_mark(descriptor) is Mark.UNKNOWN
        except OSError:
            return False
        finally:
            os.close(descriptor)

    @staticmethod
    def _aside(path: str) -> int:
        try:
            with os.scandir(path) as entries:
                return sum(one.name.startswith(names.PREFIX) and not one.name.endswith(".json") for one in entries)
        except OSError:
            return 0


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)
