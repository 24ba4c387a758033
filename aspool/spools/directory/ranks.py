"""Ranks: which of the workers on a directory this is, so that each tries names of its own share first.

Each worker holds a lock on one byte of `.aspool/ranks`, the lowest that is free; the kernel takes it back when the
worker dies. A wrong answer costs refused locks and nothing else.
"""

import os
import time
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from . import descriptors
from .index import Run, name_of
from .locks import HAVE_OFD, locked_by_others, try_lock_byte

FILE = "ranks"
MOST = 1000  # workers that are told apart
OLDEST = 1.0  # seconds after which a worker counts again, if it claims; sooner while others come and go
NEWEST = 0.02


class Share(NamedTuple):
    """One of so many equal shares of all names."""

    rank: int = 0
    workers: int = 1

    def has(self, name: str) -> bool:
        """Whether a name belongs to it. By its hash, so that all workers answer alike."""
        return self.workers == 1 or crc32(name.encode(errors="surrogateescape")) % self.workers == self.rank

    def divide(self, runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
        """The keys of this share and all others, in their order."""
        if self.workers == 1:
            return list(runs), []
        mine: list[Run] = []
        others: list[Run] = []
        for run in runs:
            parts: tuple[Run, Run] = [], []
            for key in run:
                parts[self.has(name_of(key))].append(key)
            others.append(parts[False])
            mine.append(parts[True])
        return mine, others


ALL = Share()


class Ranks:
    """This worker's seat among those of one directory."""

    def __init__(self) -> None:
        self._fd = -1
        self._seat = -1
        self._share = ALL
        self._changed = self._again = 0.0  # when the share changed, and when to look again; of the monotonic clock

    def enter(self, area: int) -> None:
        """Take a seat in the private area of this descriptor. Never fails: without one, all names are one's own."""
        self.leave()
        self._again, self._changed = 0.0, time.monotonic()
        if not HAVE_OFD:
            return
        try:
            self._fd = descriptors.open_descriptor(FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, dir_fd=area)
            self._seat = next((seat for seat in range(MOST) if try_lock_byte(self._fd, seat)), -1)
        except OSError:
            self.leave()

    def share(self) -> Share:
        """The share of this worker, as it was a moment ago; soon after a change there may be another."""
        now = time.monotonic()
        if now >= self._again:
            share = self._count()
            if share != self._share:
                self._share, self._changed = share, now
            self._again = now + min(OLDEST, max(NEWEST, (now - self._changed) / 4))
        return self._share

    def _count(self) -> Share:
        if self._seat < 0:
            return ALL
        try:
            below = len(locked_by_others(self._fd, 0, self._seat))
            above = len(locked_by_others(self._fd, self._seat + 1, MOST))
        except OSError:
            return ALL
        return Share(below, below + 1 + above)

    def leave(self) -> None:
        """Give the seat back."""
        if self._fd >= 0:
            descriptors.close_descriptor(self._fd)
        self._fd = self._seat = -1
