"""Group commit: what many coroutines publish at the same time goes to the disk together.

While one trip is under way the next one gathers; the first who waits makes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from anyio import CancelScope, CapacityLimiter, Event

from .publish import GROUP, Answer, Item
from .trips import trip


@dataclass(slots=True, eq=False)
class _Waiting:
    items: Sequence[Item]
    woken: Event = field(default_factory=Event)  # it is done, or it is its turn to make the trip
    answers: list[Answer] | None = None


class Groups:
    """One per event loop and spool."""

    def __init__(self, publish: Callable[[Sequence[Item]], list[Answer]]) -> None:
        self._publish = publish
        self._limiter = CapacityLimiter(1)  # a thread of its own: publishing never waits behind the user's tasks
        self._queue: list[_Waiting] = []
        self._busy = False

    async def add(self, items: Sequence[Item]) -> list[Answer]:
        """Publish; one answer for each. A trip that has begun is not given up when the caller is cancelled."""
        mine = _Waiting(items)
        self._queue.append(mine)
        with CancelScope(shield=True):
            if self._busy:
                await mine.woken.wait()
            if mine.answers is None:
                await self._make_trip()
        assert mine.answers is not None
        return mine.answers

    async def _make_trip(self) -> None:
        self._busy = True
        group = self._next_group()
        everything = [item for waiting in group for item in waiting.items]
        answers: list[Answer]
        try:
            answers = await trip(self._limiter, self._publish, everything)
        except Exception as error:  # nothing of it is known to be in
            answers = [error for _ in everything]
        for waiting in group:
            waiting.answers, answers = answers[: len(waiting.items)], answers[len(waiting.items) :]
            waiting.woken.set()
        self._busy = False
        if self._queue:
            self._busy = True
            self._queue[0].woken.set()

    def _next_group(self) -> list[_Waiting]:
        """The first in the queue and whoever fits beside them; many messages of one caller stay together."""
        count, size = 0, 0
        while count < len(self._queue) and (count == 0 or size + len(self._queue[count].items) <= GROUP):
            size += len(self._queue[count].items)
            count += 1
        group, self._queue = self._queue[:count], self._queue[count:]
        return group
