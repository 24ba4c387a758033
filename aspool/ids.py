"""Ids and priorities: making them, and refusing those that may not become part of a file name."""

import os
import re
import threading
import time

from .errors import NameRefused

ID_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", re.ASCII)
LARGEST_PRIORITY = 999_999
_ODD = 0x9E37_79B1  # odd, so that multiples of it visit every 32-bit number before one comes again


class _Ids:
    """Sorted by time and order of making within a process; the last eight digits tell ids apart at a glance."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._mix = int.from_bytes(os.urandom(4))

    def new(self) -> str:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            self._mix = (self._mix + _ODD) & 0xFFFF_FFFF
            return f"{self._last:014x}{self._mix:08x}"


_ids = _Ids()
os.register_at_fork(after_in_child=_ids.reset)  # a child must not repeat its parent's ids


def new_id() -> str:
    """A new id: 22 hex digits."""
    return _ids.new()


def checked_id(id: str) -> str:
    """The id, if a caller may choose it. Raises NameRefused."""
    if not isinstance(id, str) or not ID_PATTERN.fullmatch(id):
        raise NameRefused(
            f"the id {id!r} is refused: 1 to 80 of A-Z a-z 0-9 . _ - are allowed, not starting with a dot"
        )
    return id


def checked_priority(priority: int | None) -> int | None:
    """The priority, if it is one. Raises NameRefused."""
    if priority is None:
        return None
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= LARGEST_PRIORITY:
        raise NameRefused(
            f"the priority {priority!r} is refused: it is a whole number from 0 (first) to {LARGEST_PRIORITY}"
        )
    return priority
