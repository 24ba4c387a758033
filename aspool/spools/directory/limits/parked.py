"""Parked: names of one place that may not begin now, by what they wait for. They are not tried until it may be over."""

from collections import Counter
from collections.abc import Collection, Iterable
from heapq import heappop, heappush

from ..index import NEVER, key_of, name_of
from .gate import Reason


class Parked:
    """Names that wait, and those of them that may be tried now."""

    def __init__(self) -> None:
        self._reasons: dict[str, Reason] = {}  # of each name, also of those that are let in and not tried yet
        self._waiting: dict[Reason, list[str]] = {}  # keys as in the index, each list a heap
        self._let_in: list[str] = []  # a heap too
        self.on_the_way: set[str] = set()  # names that are let in, and not tried yet
        self._counts: Counter[Reason] = Counter()  # of them

    def __len__(self) -> int:
        return len(self._reasons)

    def __contains__(self, name: str) -> bool:
        return name in self._reasons

    @property
    def names(self) -> Iterable[str]:
        """All of them."""
        return self._reasons

    @property
    def reasons(self) -> Collection[Reason]:
        """What they wait for, without those that are let in."""
        return self._waiting.keys()

    def add(self, name: str, due: int, reason: Reason) -> None:
        """A name, due then (in microseconds), that waits for something. One that is here already stays as it is."""
        if name in self._reasons:
            return
        self._reasons[name] = reason
        heappush(self._waiting.setdefault(reason, []), key_of(name, due))

    def let_in(self, reason: Reason, room: int) -> int:
        """Let some of those be tried that wait for this, the earliest first; how many, with those that already are."""
        waiting = self._waiting.get(reason, [])
        while waiting and self._counts[reason] < room:
            key = heappop(waiting)
            heappush(self._let_in, key)
            self.on_the_way.add(name_of(key))
            self._counts[reason] += 1
        if not waiting:
            self._waiting.pop(reason, None)
        return self._counts[reason]

    def first(self) -> str:
        """The earliest key that may be tried, or NEVER."""
        return self._let_in[0] if self._let_in else NEVER

    def take(self, count: int, until: str) -> list[str]:
        """Up to so many names that may be tried, none that sorts after `until`."""
        taken: list[str] = []
        while len(taken) < count and self._let_in and self._let_in[0] <= until:
            taken.append(name_of(heappop(self._let_in)))
        return taken

    def put_back(self, name: str, due: int) -> None:
        """It was taken, but not tried."""
        heappush(self._let_in, key_of(name, due))

    def tried(self, name: str) -> None:
        """It was, whatever came of it. A name may be tried that still waits here, if it came up twice."""
        if name in self.on_the_way:
            self.on_the_way.discard(name)
            self._counts[self._reasons.pop(name)] -= 1
