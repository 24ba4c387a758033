"""What `aspool top` knows of one spool, gathered in the background so that no picture waits for a count."""

from dataclasses import dataclass

import anyio
from anyio import to_thread

from ..errors import AspoolError
from ..observe.backlog import REST
from ..protocol import Board, KeepsScoreboards, Pauses, Spool
from ..spools.tally import Tally, tally
from .flow import Flow, Rates

READING = 0.1  # seconds between two readings of events


@dataclass(frozen=True, slots=True)
class View:
    """One spool at one moment. `tally` is None before the first count, `rates` where they cannot be had."""

    address: str
    boards: tuple[Board, ...] = ()
    tally: Tally | None = None
    rates: Rates | None = None
    paused: frozenset[str | None] = frozenset()
    error: str = ""


class Gathering:
    """Counts, pauses and rates of one spool, kept up to date while `run` runs."""

    def __init__(self, spool: Spool, interval: float) -> None:
        self._spool = spool
        self._interval = interval
        self._flow = Flow()
        self._tally: Tally | None = None
        self._paused: frozenset[str | None] = frozenset()
        self._boards: tuple[Board, ...] = ()
        self._error = ""
        self._is_wanted = True
        self.counted = anyio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._read_events)
                while True:
                    await self._count()
                    assert self._tally is not None
                    await anyio.sleep(max(self._interval, REST * self._tally.seconds))
        finally:
            self.stop()

    def stop(self) -> None:
        """A count that goes on ends soon."""
        self._is_wanted = False
        self._flow.close()

    async def _read_events(self) -> None:
        while True:
            self._flow.read()
            await anyio.sleep(READING)

    async def _count(self) -> None:
        """Count once; what goes wrong is shown, and tried again."""
        try:
            await self._look()
            running = frozenset(entry.id for board in self._boards for entry in board.entries)
            self._tally = await to_thread.run_sync(tally, self._spool, running, lambda: self._is_wanted)
            self._flow.watch(self._tally.places)
            self._error = ""
        except (AspoolError, OSError) as error:
            self._tally = self._tally or Tally()
            self._error = str(error)
        self.counted.set()

    async def _look(self) -> None:
        if isinstance(self._spool, KeepsScoreboards):
            self._boards = tuple(await to_thread.run_sync(self._spool.boards))
        if isinstance(self._spool, Pauses):
            self._paused = await self._spool.paused()

    async def view(self) -> View:
        """What is known now; only the workers' boards are read for it."""
        try:
            await self._look()
        except (AspoolError, OSError) as error:
            self._error = str(error)
        rates = self._flow.rates()
        return View(self._spool.address, self._boards, self._tally, rates, self._paused, self._error)
