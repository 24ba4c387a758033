"""Jobs that do not stop are reported, once each; and a worker with nothing to do sleeps until its next look."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from aspool import DirectorySpool, Job, Spooler, WorkerSettings
from aspool.events import Event, JobEnded, JobOverdue
from aspool.worker import Worker
from aspool.worker.overdue import OverdueReports

pytestmark = pytest.mark.anyio

GRACE = 0.05
FREQUENCY = 600.0


class Heard:
    """An observer: which jobs were overdue and when, and which ended."""

    def __init__(self) -> None:
        self.overdue: list[JobOverdue] = []
        self.moments: list[float] = []
        self.ended: list[JobEnded] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobOverdue):
            self.overdue.append(event)
            self.moments.append(time.monotonic())
        elif isinstance(event, JobEnded):
            self.ended.append(event)


class Bench:
    """A worker that runs, what it reports, and what its blocked jobs wait for."""

    def __init__(self, spooler: Spooler) -> None:
        self.heard = Heard()
        settings = WorkerSettings(harakiri_grace=GRACE, frequency=FREQUENCY, grace=5)
        self.worker = Worker(spooler, settings, observers=[self.heard])
        self.release = threading.Event()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The worker runs in the meantime; at the end nothing is blocked any more."""
        async with anyio.create_task_group() as group:
            await group.start(self.worker.run)
            try:
                yield
            finally:
                self.release.set()
                self.worker.stop()

    @property
    def looks_again(self) -> bool:
        """Whether the worker will look for overdue jobs at a later time."""
        return self.worker._overdue._timer is not None


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not condition():
            await asyncio.sleep(0.005)


def timers() -> list[asyncio.TimerHandle]:
    """What the event loop will do at a later time."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # no other way
    return [each for each in scheduled if not each.cancelled()]


def looks() -> list[asyncio.TimerHandle]:
    return [each for each in timers() if "OverdueReports" in repr(each)]


# --- what is overdue -----------------------------------------------------------------------------------------


async def test_a_job_that_does_not_stop_is_reported_once(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(name="stubborn", harakiri=0.05, retries=0)
    def stubborn() -> None:
        bench.release.wait(30)

    @spooler.task(name="obedient", harakiri=0.1, retries=0)
    async def obedient() -> None:
        await anyio.sleep(60)

    ticket = await stubborn.spool()
    async with bench.working():
        await until(lambda: bench.heard.overdue)
        await obedient.spool()  # its end is looked for later than the first report
        await until(lambda: [end.task for end in bench.heard.ended] == ["obedient"])
        await until(lambda: not bench.looks_again)
        bench.release.set()
        await until(lambda: len(bench.heard.ended) == 2)
    (overdue,) = bench.heard.overdue
    assert (overdue.id, overdue.task) == (ticket.id, "stubborn")
    assert "bench.release.wait(30)" in overdue.stack


async def test_a_job_without_harakiri_that_was_cancelled(spooler: Spooler) -> None:
    bench = Bench(spooler)
    started = threading.Event()

    @spooler.task(retries=0)
    def stubborn() -> None:
        started.set()
        bench.release.wait(30)

    ticket = await stubborn.spool()
    async with bench.working():
        await anyio.to_thread.run_sync(started.wait)
        assert not bench.looks_again, "nothing can be overdue"
        await ticket.cancel()
        await until(lambda: bench.heard.overdue)
        assert not bench.looks_again
    assert [overdue.id for overdue in bench.heard.overdue] == [ticket.id]


async def test_cancelled_once_it_is_overdue_it_is_not_reported_again(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.05, retries=0)
    def stubborn(job: Job) -> None:
        while not job.cancelled and not bench.release.wait(0.005):
            pass
        bench.release.wait(30)

    ticket = await stubborn.spool()
    async with bench.working():
        await until(lambda: bench.heard.overdue)
        await ticket.cancel()
        await until(lambda: not bench.looks_again)
    assert len(bench.heard.overdue) == 1


async def test_extended_it_is_overdue_later(spooler: Spooler) -> None:
    bench = Bench(spooler)
    started: list[float] = []

    @spooler.task(harakiri=0.1, retries=0)
    def stubborn(job: Job) -> None:
        started.append(time.monotonic())
        job.extend(0.3)
        bench.release.wait(30)

    await stubborn.spool()
    async with bench.working():
        await until(lambda: bench.heard.overdue)
    assert len(bench.heard.overdue) == 1
    assert bench.heard.moments[0] - started[0] > 0.1 + 0.3  # and the grace, less what passed before it began


async def test_only_an_earlier_moment_moves_the_look() -> None:
    """Jobs one after another with the same harakiri set no timers of their own."""
    reports, now = OverdueReports([], lambda _: None), asyncio.get_running_loop().time()
    for wait in (30, 31, 32):
        reports.expect(now + wait)
    (look,) = looks()
    reports.expect(now + 10)
    (sooner,) = looks()
    assert (look.when(), sooner.when()) == (now + 30, now + 10)
    reports.expect(math.inf)
    assert looks() == [sooner]
    reports.close()
    assert looks() == []


# --- a worker with nothing to do -----------------------------------------------------------------------------


async def test_an_idle_worker_sleeps_until_its_next_look(spooler: Spooler, directory: DirectorySpool) -> None:
    bench = Bench(spooler)

    @spooler.task
    async def on_loop() -> None:
        pass

    @spooler.task
    def in_thread() -> None:
        pass

    async with bench.working():
        await on_loop.spool()
        await in_thread.spool()
        await until(lambda: len(bench.heard.ended) == 2 and not bench.worker.busy and directory.has_looked)
        assert await settled(before=asyncio.get_running_loop().time() + FREQUENCY - 30) == []


async def settled(before: float) -> list[asyncio.TimerHandle]:
    """The timers due before a moment, once there are none: a look at the scoreboard may be left over from a job."""
    due: list[asyncio.TimerHandle] = []
    for _ in range(1000):
        await asyncio.sleep(0.005)
        for _ in range(5):  # what a timer has just woken may set the next one
            await asyncio.sleep(0)
        due = [each for each in timers() if each.when() < before]
        if not due:
            break
    return due
