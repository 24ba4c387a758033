"""How fast messages come and go: the kernel tells which names appear and disappear in a directory (inotify)."""

import contextlib
import os
import struct
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..spools.directory.names import PREFIX

WINDOW = 10.0  # seconds over which rates are told
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ = 256 * 1024
_PREFIX = PREFIX.encode()


class Rates(NamedTuple):
    """Messages per second. `lost`: the kernel told not all, so there were more."""

    put: float
    ended: float
    lost: bool = False


class Flow:
    """Counts messages that were put, and messages that ended: done, dead, cancelled or removed. What is put off is
    neither. `read` must be called several times a second.
    """

    def __init__(self) -> None:
        self._inotify, self._flags = _started()
        self._is_watching = False
        self._put = self._ended = 0
        self._lost_at = float("-inf")
        self._moved: dict[int, float] = {}  # cookies of names that were moved from a place, and are in none yet
        self._history: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    def watch(self, places: Iterable[str]) -> None:
        """Watch directories; one that is watched already stays so."""
        if self._inotify is None:
            return
        flags = self._flags
        if not self._is_watching:
            self._is_watching = True
            self._history = deque([(time.monotonic(), self._put, self._ended)])
        mask = flags.CREATE | flags.MOVED_TO | flags.DELETE | flags.MOVED_FROM | flags.ONLYDIR
        for place in places:
            with contextlib.suppress(OSError):  # gone, or too many watches
                self._inotify.add_watch(place, mask)

    def read(self) -> None:
        """Take what the kernel has to tell."""
        while self._inotify is not None:
            try:
                data = os.read(self._inotify.fileno(), _READ)
            except BlockingIOError:
                break
            self._count(data)
        now = time.monotonic()
        gone = [cookie for cookie, moment in self._moved.items() if now - moment > 0.5]
        for cookie in gone:  # moved out of the queue: buried
            del self._moved[cookie]
            self._ended += 1

    def _count(self, data: bytes) -> None:
        flags, now, at = self._flags, time.monotonic(), 0
        created, deleted = int(flags.CREATE), int(flags.DELETE)
        moved_from, moved_to, overflow = int(flags.MOVED_FROM), int(flags.MOVED_TO), int(flags.Q_OVERFLOW)
        while at < len(data):
            _, mask, cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            if mask & overflow:
                self._lost_at = now
            elif data.startswith(_PREFIX, at):
                if mask & created or (mask & moved_to and self._moved.pop(cookie, None) is None):
                    self._put += 1
                elif mask & deleted:
                    self._ended += 1
                elif mask & moved_from:
                    self._moved[cookie] = now
            at += length

    def rates(self) -> Rates | None:
        """What came and went per second in the last seconds; None where nobody can tell."""
        if self._inotify is None:
            return None
        now = time.monotonic()
        while len(self._history) > 1 and now - self._history[1][0] >= WINDOW:
            self._history.popleft()
        then, put, ended = self._history[0]
        if now - self._history[-1][0] >= 0.2:
            self._history.append((now, self._put, self._ended))
        seconds = max(now - then, 0.1)
        return Rates((self._put - put) / seconds, (self._ended - ended) / seconds, now - self._lost_at < WINDOW)

    def close(self) -> None:
        """No events any more."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None


def _started() -> tuple[Any, Any]:
    """inotify and its flags; (None, None) where there is none to be had."""
    try:
        import inotify_simple  # type: ignore[import-untyped]  # it has no hints

        return inotify_simple.INotify(nonblocking=True), inotify_simple.flags
    except (ImportError, OSError):
        return None, None
