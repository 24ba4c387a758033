"""Processes of workers that are none: a test says when they are ready, what they say and when they end."""

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from errno import EMFILE
from signal import SIGINT, SIGKILL, SIGTERM, Signals

from anyio import Event, create_task_group, fail_after, lowlevel

from aspool.settings import Settings
from aspool.supervisor.order import Leaving, Order, Ready, Word
from aspool.supervisor.process import State, WorkerProcess
from aspool.supervisor.supervisor import Supervisor

PATIENCE = 20.0


class FakeProcess(WorkerProcess):
    """Lives until the test, or a signal that kills, ends it."""

    def __init__(self, order: Order, changed: Callable[[WorkerProcess], None], pid: int) -> None:
        self.number = order.number
        self.order = order
        self.state = State()
        self.since = time.time()
        self.heard = Event()
        self.hurried = Event()
        self.signals: list[Signals] = []
        self._fake_pid = pid
        self._changed = changed
        self._born = time.monotonic()
        self._over = Event()
        self._code = 0

    @property
    def pid(self) -> int:
        return self._fake_pid

    async def run(self) -> None:
        await self._over.wait()
        self.state.exit_code = self._code
        self._tell()

    def signal(self, number: Signals) -> None:
        self.signals.append(number)
        if number == SIGKILL:
            self.end(-SIGKILL)

    def kill(self) -> None:
        self.signal(SIGKILL)

    # --- what a test does ------------------------------------------------------------------------------------

    def says(self, word: Word) -> None:
        self._take(word)

    def is_ready(self, spool: str = "/spool", *, must_stay: bool = False) -> None:
        self.says(Ready([spool], must_stay=must_stay))

    def end(self, code: int = 0, lived: float = 5.0) -> None:
        self._born = time.monotonic() - lived
        self._code = code
        self._over.set()

    def drain(self) -> None:
        """As a worker that was asked to."""
        self.says(Leaving("SIGTERM"))
        self.end(0)

    @property
    def was_stopped(self) -> bool:
        return SIGTERM in self.signals

    @property
    def was_hurried(self) -> bool:
        return SIGINT in self.signals


class Fakes:
    """A supervisor whose processes are fakes."""

    def __init__(self, settings: Settings) -> None:
        self.started: list[FakeProcess] = []
        self.supervisor = Supervisor("app", settings, self._start)
        self.exit_code: int | None = None
        self.refuses = 0  # so many more

    def _start(self, order: Order, changed: Callable[[WorkerProcess], None]) -> FakeProcess:
        if self.refuses:
            self.refuses -= 1
            raise OSError(EMFILE, os.strerror(EMFILE))
        self.started.append(FakeProcess(order, changed, 1000 + len(self.started)))
        return self.started[-1]

    async def run(self) -> None:
        await self.supervisor.run()
        self.exit_code = self.supervisor.exit_code

    async def until(self, condition: Callable[[], object]) -> None:
        with fail_after(PATIENCE):
            while not condition():
                await lowlevel.checkpoint()

    async def ready(self, count: int) -> Sequence[FakeProcess]:
        """So many have been started in all, and the new ones are ready."""
        with fail_after(PATIENCE):
            while True:
                for process in self.started:
                    if process.state.ready is None and process.state.exit_code is None:
                        process.is_ready()
                if len(self.started) >= count:
                    return self.started
                await lowlevel.checkpoint()

    async def settle(self) -> None:
        """Let everybody do what there is to do now."""
        for _ in range(50):
            await lowlevel.checkpoint()


@asynccontextmanager
async def supervised(**options: object) -> AsyncIterator[Fakes]:
    """A supervisor that runs beside the block; at its end all processes are ended, if the test has not done so."""
    settings = Settings(**{"restart_wait": 0.001, "longest_restart_wait": 0.004, "grace": 0.0, **options})  # type: ignore[arg-type]  # any options
    fakes = Fakes(settings)
    async with create_task_group() as group:
        group.start_soon(fakes.run)
        yield fakes
        fakes.supervisor.stop("the test is over")
        for process in fakes.started:
            process.end()
