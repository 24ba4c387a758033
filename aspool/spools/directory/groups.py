"""Group commit: what many coroutines publish at the same time goes to the disk together.

While one trip is under way the next one gathers. The end of a trip is a callback and not the work of a caller, who may
be cancelled at any moment, also by asyncio itself, which no shield of anyio's keeps out.
"""

from asyncio import Future, get_running_loop
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from anyio import CancelScope

from .publish import GROUP, Answer, Item


@dataclass(slots=True, eq=False)
class _Waiting:
    items: Sequence[Item]
    answers: "Future[list[Answer]]"


class Groups:
    """One per event loop and spool."""

    def __init__(self, publish: Callable[[Sequence[Item]], list[Answer]]) -> None:
        self._publish = publish
        # A thread of its own: publishing never waits behind the user's tasks. It ends when we are forgotten.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aspool publish")
        self._queue: list[_Waiting] = []
        self._busy = False

    async def add(self, items: Sequence[Item]) -> list[Answer]:
        """Publish; one answer for each. A trip that has begun is not given up when the caller is cancelled."""
        mine = _Waiting(items, get_running_loop().create_future())
        self._queue.append(mine)
        if not self._busy:
            self._start_trip()
        try:
            with CancelScope(shield=True):
                return await mine.answers
        except BaseException:
            self._withdraw(mine)
            raise
        raise AssertionError("a scope that nobody cancels swallows nothing")

    def _withdraw(self, waiting: _Waiting) -> None:
        """Its caller has gone: what is not on its way yet is not written."""
        if waiting in self._queue:
            self._queue.remove(waiting)
            for item in waiting.items:
                item.close()

    def _start_trip(self) -> None:
        self._busy = True
        group = self._next_group()
        everything = [item for waiting in group for item in waiting.items]
        trip = get_running_loop().run_in_executor(self._thread, self._publish, everything)
        trip.add_done_callback(partial(self._end_trip, group))

    def _end_trip(self, group: Sequence[_Waiting], trip: "Future[list[Answer]]") -> None:
        answers: list[Answer]
        try:
            answers = trip.result()
        except Exception as error:  # nothing of it is known to be in
            answers = [error for waiting in group for _ in waiting.items]
        for waiting in group:
            mine, answers = answers[: len(waiting.items)], answers[len(waiting.items) :]
            if not waiting.answers.done():  # its caller may have been cancelled
                waiting.answers.set_result(mine)
        self._busy = False
        if self._queue:
            self._start_trip()

    def _next_group(self) -> list[_Waiting]:
        """The first in the queue and whoever fits beside them; many messages of one caller stay together."""
        count, size = 0, 0
        while count < len(self._queue) and (count == 0 or size + len(self._queue[count].items) <= GROUP):
            size += len(self._queue[count].items)
            count += 1
        group, self._queue = self._queue[:count], self._queue[count:]
        return group
