"""A process of a worker's own, as a test has it: it notes that the worker has left, and goes on."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn, cast

import anyio

from aspool import DirectorySpool, Spooler, WorkerSettings
from aspool.events import Event, JobEnded
from aspool.outcomes import Outcome
from aspool.spools.directory.claim import FileClaim
from aspool.spools.directory.descriptors import close_descriptor
from aspool.worker import Worker
from aspool.worker.own_process import OwnProcess


class Process:
    """What became of it: the reason and the exit code; and the deadlines that were told."""

    def __init__(self) -> None:
        self.left: list[tuple[str, int]] = []
        self.threads: list[int] = []  # in which it was left
        self.deadlines: list[float | None] = []
        self.release = threading.Event()  # what the jobs wait for that do not stop
        self.releases = True  # as soon as it is left

    def leave(self, reason: str, exit_code: int) -> None:
        self.left.append((reason, exit_code))
        self.threads.append(threading.get_ident())
        if self.releases:
            self.release.set()

    @property
    def own(self) -> OwnProcess:
        return OwnProcess(cast("Callable[[str, int], NoReturn]", self.leave), self.deadlines.append)


class Bench:
    """A worker that may end such a process, and how its jobs ended."""

    outcomes: dict[str, Outcome]

    def __init__(self, spooler: Spooler[Any], **options: Any) -> None:
        self.process = Process()
        self.outcomes = {}
        self.events: list[Event] = []
        settings = WorkerSettings(harakiri_grace=0.1, frequency=600, grace=20).changed(**options)
        self.worker = Worker(spooler, settings, process=self.process.own, observers=[self._observe])

    def _observe(self, event: Event) -> None:
        if self.process.left:
            return  # nobody lives to see it
        self.events.append(event)
        if isinstance(event, JobEnded):
            self.outcomes[event.task.rsplit(".", 1)[-1]] = event.outcome

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The worker runs in the meantime; at the end nothing is stuck any more."""
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                await group.start(self.worker.run)
                try:
                    yield
                finally:
                    self.process.release.set()
                    self.worker.stop_now()

    async def until_left(self) -> tuple[str, int]:
        await until(lambda: self.process.left)
        return self.process.left[0]


def die(*spools: DirectorySpool) -> None:
    """What the kernel does when a process ends: the locks of its files are free."""
    for spool in spools:
        for claim in spool._finisher.held.claims:
            assert isinstance(claim, FileClaim)
            close_descriptor(claim.fd)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.005)
