"""The earliest names of one place, in memory, bounded. No I/O.

It is complete up to its horizon: the last name kept when it had to be cut, none when all names are in it.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

Entry = tuple[int, str]  # due in microseconds, name
LIMIT = 100_000


class Index:
    """Names by due moment, at most about twice the limit."""

    __slots__ = ("_heap", "horizon", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._heap: list[Entry] = []
        self.horizon: int | None = None

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def is_low(self) -> bool:
        """Whether it was cut and is nearly used up: a scan should fill it again."""
        return self.horizon is not None and len(self._heap) <= self.limit // 10

    def add(self, due: int, name: str) -> None:
        """A name that turned up; beyond the horizon it is left to the next scan."""
        if self.horizon is None or due < self.horizon:
            self.insert(due, name)

    def insert(self, due: int, name: str) -> None:
        """A name that must be tried, wherever the horizon is."""
        heappush(self._heap, (due, name))
        if len(self._heap) > 2 * self.limit:
            self.replace(self._heap, self.horizon)

    def replace(self, entries: Iterable[Entry], horizon: int | None) -> None:
        """What a scan found, and its horizon; cut to the limit."""
        kept = list(entries)
        if len(kept) > self.limit:
            kept.sort()
            del kept[self.limit :]
            horizon = kept[-1][0] if horizon is None else min(horizon, kept[-1][0])
        heapify(kept)
        self._heap = kept
        self.horizon = horizon

    def entries(self) -> list[Entry]:
        """All names, in no order."""
        return self._heap

    def first_due(self) -> int | None:
        """When the first name is due, in microseconds."""
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> str | None:
        """Remove and return the first name if it is due."""
        if self._heap and self._heap[0][0] <= now:
            return heappop(self._heap)[1]
        return None
