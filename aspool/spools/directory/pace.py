"""Whether the disk answers so quickly that a thread would only be in the way."""

import time
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio.lowlevel import cancel_shielded_checkpoint

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SLOW_RUN = 3  # times in a row that it must be slower: once may be a busy processor, not the disk
TURN = 0.001  # seconds of work on the loop between two breaks
DISTRUST = 5.0  # seconds during which a disk that was slow is used from a thread


class Pace:
    """Small operations run on the event loop as long as they take microseconds.

    A hop to a thread costs several of them, and a finished job should be gone from the disk at once. When the disk
    is slow, they go to a thread for some seconds. `quick`: how many seconds one operation may take.
    """

    def __init__(self, quick: float) -> None:
        self._quick = quick
        self._slow_until = 0.0
        self._slow_run = 0
        self._spent = 0.0  # seconds on the loop since its last break

    @property
    def is_quick(self) -> bool:
        """Whether an operation may run on the loop now."""
        return time.monotonic() >= self._slow_until

    def measured(self, operations: int, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Do so many operations here, on the loop, and look how long they take."""
        started = time.monotonic()
        result = work(*args)
        ended = time.monotonic()
        self._spent += ended - started
        self._slow_run = self._slow_run + 1 if ended - started > self._quick * operations else 0
        if self._slow_run >= SLOW_RUN:
            self._slow_run = 0
            self._slow_until = ended + DISTRUST
        return result

    async def pause(self) -> None:
        """Give others their turn when this has had the loop for a while. Whoever is cancelled hears of it later."""
        if self._spent > TURN:
            self._spent = 0.0
            await cancel_shielded_checkpoint()
