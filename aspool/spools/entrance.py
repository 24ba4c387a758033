"""Entrance: which messages of a memory spool may begin, and what those wait for that may not. Called under its lock."""

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from math import inf

from ..message import Message
from .unknown import unknown_wait

Item = tuple[float, float, int, Message]  # in the order of work: priority, due moment, number
Reason = tuple[str, str | None]  # "limited" or "paused", and the task
LIMITED, PAUSED = "limited", "paused"


class Entrance:
    """Counts what runs, and keeps what must wait."""

    def __init__(self, *, ordered: bool = False) -> None:
        self._limit: Callable[[str | None], float] = lambda _: inf
        self.paused: set[str | None] = set()
        self._ordered = ordered
        self._running: Counter[str | None] = Counter()
        self._parked: dict[Reason, list[Item]] = {}
        self._strangers: list[tuple[float, Item]] = []  # of unknown tasks, by the moment when to look again

    @property
    def is_shut(self) -> bool:
        """Whether nothing may begin now."""
        return None in self.paused or (self._ordered and bool(self._running))

    def admit(self, item: Item, now: float) -> bool:
        """Whether a message may begin; it runs then, or is kept here."""
        message = item[3]
        task = message.task
        limit = self._limit(task)
        if task in self.paused:
            heappush(self._parked.setdefault((PAUSED, task), []), item)
        elif limit < 1:
            heappush(self._strangers, (now + unknown_wait(message, now), item))
        elif self._running[task] >= limit:
            heappush(self._parked.setdefault((LIMITED, task), []), item)
        else:
            self._running[task] += 1
            return True
        return False

    def ended(self, message: Message) -> None:
        """It runs no longer."""
        self._running[message.task] -= 1
        if self._running[message.task] <= 0:
            del self._running[message.task]

    def released(self, now: float) -> Iterator[Item]:
        """Those kept messages that may be tried again; they are kept no longer."""
        for reason, parked in list(self._parked.items()):
            room = self._room(reason)
            while parked and room > 0:
                room -= 1
                yield heappop(parked)
            if not parked:
                del self._parked[reason]
        while self._strangers and self._strangers[0][0] <= now:
            yield heappop(self._strangers)[1]

    def _room(self, reason: Reason) -> float:
        why, task = reason
        if why == PAUSED:
            return 0 if task in self.paused else inf
        limit = self._limit(task)
        return limit - self._running[task] if limit >= 1 else inf

    def next_moment(self) -> float:
        """When a kept message may be tried again; inf if that takes an event."""
        if any(self._room(reason) > 0 for reason in self._parked):
            return 0.0
        return self._strangers[0][0] if self._strangers else inf

    def emptied(self, limit: Callable[[str | None], float]) -> list[Item]:
        """A worker has come, with these limits (as in WorkerSide): all that waits here may be tried."""
        self._limit, kept = limit, self.kept()
        self._parked.clear()
        self._strangers.clear()
        return kept

    def kept(self) -> list[Item]:
        """All messages that wait here."""
        return [*(item for parked in self._parked.values() for item in parked), *(item for _, item in self._strangers)]
