"""Tickers for tests, which tick when they are told to, by a clock that the test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aspool import MemorySpool, Spooler
from aspool.testing.clock import Clock
from aspool.worker.ticker import Ticker


class Node:
    """One worker's ticker, and what is to run in it alone."""

    def __init__(self, spooler: Spooler[Any], **options: Any) -> None:
        self.here = MemorySpool()
        self.ticker = Ticker(spooler, self.here, lambda: 30.0, **options)
        self.spooler = spooler

    async def tick(self) -> float | None:
        """Fire what is due, after hearing of all changes."""
        for spool in self.spooler.spools.values():
            if not spool.external:  # a worker serves none of these
                self.ticker.changed(spool, None)
        return await self.ticker.tick()

    def ran_here(self) -> list[float]:
        """The moments of what is to run in this worker."""
        return moments(self.here)


@asynccontextmanager
async def node(spooler: Spooler[Any], **options: Any) -> AsyncIterator[Node]:
    """A worker's ticker from its beginning to its end."""
    one = Node(spooler, **options)
    await one.ticker.begin()
    try:
        yield one
    finally:
        await one.ticker.end()


def moments(spool: MemorySpool) -> list[float]:
    """The moments for which messages wait, in order; twice what is there twice."""
    return sorted(message.firing.moment for message in spool.messages() if message.firing is not None)


async def drive(clock: Clock, nodes: list[Node], until: float, *, step: float | None = None) -> int:
    """Let all tick whenever one of them wants to, until a moment; how often that was. `step`: at least so often."""
    times = 0
    while True:
        dues = [await one.tick() for one in nodes]
        times += 1
        now = clock.timestamp()
        due = min([until, *(due for due in dues if due is not None and due > now)])
        if step is not None:
            due = min(due, now + step)
        if now >= until:
            return times
        clock.set(due)
