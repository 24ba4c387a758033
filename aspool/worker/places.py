"""The places of one worker: how many jobs may run at the same time, and who waits for one. No I/O."""

import time
from asyncio import Event
from collections.abc import Callable


class Places:
    """Counts places. Feeds that wait for one share what becomes free, so that no spool starves another."""

    at_end: Callable[[], None] | None = None  # called when some job has ended

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self.ended = 0  # jobs, ever
        self.empty_since = time.monotonic()  # if none is taken
        self._empty = Event()
        self._hungry = 0  # feeds that wait for a place
        self._freed = Event()

    @property
    def busy(self) -> int:
        """How many are taken."""
        return self.total - self.free

    def take(self, most: int) -> int:
        """Take up to `most` places, leaving their share to the feeds that wait; how many."""
        taken = max(0, min(most, self.free, max(1, self.free // (1 + self._hungry))))
        self.free -= taken
        return taken

    def give_back(self, count: int) -> None:
        """So many jobs have ended."""
        self.free += count
        self.ended += count
        if self.free == self.total:
            self.empty_since = time.monotonic()
            self._empty.set()
        self._freed.set()
        if self.at_end is not None:
            self.at_end()

    def leave(self, count: int) -> None:
        """So many that were taken are not needed."""
        self.free += count
        if self.free == self.total:
            self._empty.set()
        if self._hungry:
            self._freed.set()

    async def wait_empty(self) -> None:
        """Until none is taken."""
        while self.free < self.total:
            self._empty.clear()
            await self._empty.wait()

    async def wait(self) -> None:
        """Until some place becomes free; a feed that waits has a right to its share."""
        self._hungry += 1
        try:
            await self.changed()
        finally:
            self._hungry -= 1

    async def changed(self) -> None:
        """Until some place becomes free."""
        await self._freed.wait()
        self._freed.clear()
