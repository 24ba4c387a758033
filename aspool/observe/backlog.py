"""How much waits in a spool, counted in the background: only if somebody asks, and the less often the longer it takes.

How it is counted is passed in.
"""

import math
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

import anyio
from anyio import to_thread

from .. import clock
from ..errors import AspoolError

REST = 10  # times as long as a count took, until the next one
FRESH = 5.0  # seconds: a younger count is not repeated
PATIENCE = 0.5  # seconds that who asks waits for a count; then the last one has to do

Counted = TypeVar("Counted")


class Backlog(Generic[Counted]):
    """The last count of one spool. `count` blocks, and ends early when the function that it gets says no.

    `error` is why the last count failed, in words; "" if it did not. `counted` is when the one began that `ask` gives:
    a UNIX timestamp.
    """

    def __init__(self, count: Callable[[Callable[[], bool]], Counted]) -> None:
        self._count = count
        self._last: Counted | None = None
        self._next = -math.inf  # of the monotonic clock: not before then
        self._asked = anyio.Event()
        self._ended = anyio.Event()
        self._is_wanted = True
        self.error = ""
        self.counted: float | None = None

    async def run(self) -> None:
        """Count when somebody asks, until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked = anyio.Event()
                await self._count_once()
                self._ended.set()
                self._ended = anyio.Event()
        finally:
            self._is_wanted = False

    async def _count_once(self) -> None:
        started, moment = monotonic(), clock.now()
        try:
            self._last = await to_thread.run_sync(self._count, lambda: self._is_wanted, abandon_on_cancel=True)
            self.error, self.counted = "", moment
        except (AspoolError, OSError) as error:
            self.error = str(error)
        ended = monotonic()
        self._next = ended + max(FRESH, REST * (ended - started))

    async def ask(self) -> Counted | None:
        """The last count, None before the first: a new one, if it is time for that and it is there in a moment."""
        if monotonic() >= self._next:
            ended = self._ended
            self._asked.set()
            with anyio.move_on_after(PATIENCE):
                await ended.wait()
        return self._last
