"""The worker's loop: claim into free places, as fairly as the spools want it; stop in order."""

import logging
import math
import sys
from asyncio import get_running_loop, sleep
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio
from anyio import CancelScope, create_task_group, move_on_after
from anyio.abc import TaskGroup, TaskStatus

from .. import clock
from ..addresses import spool_at
from ..errors import CallError
from ..events import Event, WorkerStarted, WorkerStopped, WorkerStopping
from ..outcomes import HandedBack
from ..protocol import Claim, KeepsScoreboards, PutsBlocking, Scoreboard, Spool, WorkerSide
from ..settings import WorkerSettings
from ..spooler import Spooler
from .entry import Seen
from .execution import Execution
from .lanes import BATCH, Lanes
from .messages import ChildMessages
from .output import ChildOutput
from .overdue import OverdueReports
from .places import Places
from .report import log, logger
from .run import MISSING, Run, RunSide
from .runners import Runners
from .ticker import Ticker

SWITCH_INTERVAL = 0.0001  # seconds: with Python's 5 ms a busy loop stretches trips to the disk to seconds
LONGEST_WAIT = 3600.0  # seconds
SHORTEST_WAIT = 0.005  # of a burst, whose clock may stand still: that of a test does

Observer = Callable[[Event], None]


class _Feed:
    """One spool of the worker, and the lanes in which its jobs run."""

    def __init__(self, spool: Spool, *, is_spooled: bool = True) -> None:
        self.spool = spool
        self.is_spooled = is_spooled  # else its messages are only in this worker's memory
        self.board: Scoreboard | None = None
        self.lanes: Lanes | None = None
        self.idle_at = -1  # how many jobs had ended before the last look, if that found nothing

    @property
    def places(self) -> float:
        """How many more of its jobs may run."""
        if self.spool.concurrency is None or self.lanes is None:
            return math.inf
        return self.spool.concurrency - self.lanes.taken

    def cancel(self, id: str) -> bool:
        """Stop the job of a message; whether it is here."""
        return self.lanes is not None and self.lanes.cancel(id)


class Worker:
    """Claims from all spools of a Spooler that are not external, and runs their messages, in the running event loop.

    `embedded`: inside somebody else's process, which it never ends; `max_tasks` is refused then.
    `observers` are called with each event, beside those of the Spooler; they must be quick and cannot fail a job.
    `seen`: of schedules, where the worker before it ended that had it; it is as if that had gone on.
    """

    def __init__(
        self,
        spooler: Spooler[Any],
        settings: WorkerSettings | None = None,
        *,
        embedded: bool = False,
        observers: Sequence[Observer] = (log,),
        seen: Seen | None = None,
    ) -> None:
        self.settings = settings or WorkerSettings()
        if embedded and self.settings.max_tasks is not None:
            raise CallError("max_tasks is for `aspool worker`: an embedded worker does not end its host's process")
        self.spooler = spooler
        self.runs = 0
        self._observers = (*observers, *spooler.observers)
        self._places = Places(self.settings.concurrency)
        self._claiming = 0  # places that are promised to claims on their way
        self._running: set[Run] = set()
        self._overdue = OverdueReports(self._running, self._report)
        spools = {id(spool): spool for spool in spooler.spools.values()}  # one may have several names
        self._feeds = [_Feed(spool) for spool in spools.values() if not spool.external]
        if not self._feeds:
            raise CallError("all spools of this Spooler are external: there is nothing to run")
        here = spool_at("memory:")  # what is to run in every worker
        assert isinstance(here, PutsBlocking)
        self._addresses = tuple(feed.spool.address for feed in self._feeds)
        self._feeds.append(_Feed(here, is_spooled=False))
        self._ticker = Ticker(spooler, here, self._frequency, fires=self.settings.schedules, seen=seen)
        self._stop = anyio.Event()
        self._hurry = anyio.Event()
        self._stop_reason = ""

    # --- stopping --------------------------------------------------------------------------------------------

    def stop(self, reason: str = "asked to") -> None:
        """Claim no more; running jobs may go on for `grace` seconds and are handed back then."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()

    def stop_now(self) -> None:
        """Stop, and hand back what is running at once."""
        self.stop("asked to, at once")
        self._hurry.set()

    @property
    def stopping(self) -> bool:
        """Whether it claims no more."""
        return self._stop.is_set()

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return self._places.busy

    # --- running ---------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop`, or until a burst or `max_tasks` is over.

        Raises SpoolUnusable when a spool cannot be opened, and what the Spooler's resources raise.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(_short_switches())
            resources = MISSING
            if self.spooler.resources is not None:
                try:
                    resources = await stack.enter_async_context(self.spooler.resources())
                except Exception:
                    logger.exception("the resources of the Spooler cannot be had, so the worker does not begin")
                    raise
            for feed in self._feeds:
                changed = partial(self._ticker.changed, feed.spool)
                side = WorkerSide(self._frequency, self._limit, feed.cancel, changed)
                await stack.enter_async_context(feed.spool.serving(side))
                self._set_up_board(feed, stack)
            output, messages = ChildOutput(), ChildMessages()
            stack.callback(output.close)
            stack.callback(messages.close)
            stack.callback(self._overdue.close)
            runners = Runners(self.settings, output.path, messages, self.spooler.middleware)
            await self._begin_schedules(stack)
            self._report(WorkerStarted(self._addresses))
            task_status.started()
            async with self._background(output, messages):
                await self._serve(runners, resources)
        self._report(WorkerStopped(self.runs))

    async def _begin_schedules(self, stack: AsyncExitStack) -> None:
        await self._ticker.begin()
        stack.push_async_callback(self._end_schedules)
        if self.settings.burst:
            await self._ticker.catch_up()  # what is due is fired before it is looked for

    async def _end_schedules(self) -> None:
        with CancelScope(shield=True):
            await self._ticker.end()

    def _set_up_board(self, feed: _Feed, stack: AsyncExitStack) -> None:
        if isinstance(feed.spool, KeepsScoreboards):
            feed.board = feed.spool.scoreboard(self.settings.concurrency)
            stack.callback(feed.board.close)

    def _frequency(self) -> float:
        return self.spooler.frequency or self.settings.frequency

    def _limit(self, name: str | None) -> float:
        task = self.spooler.raw_handler if name is None else self.spooler.tasks.get(name)
        return 0 if task is None else task.limit

    @asynccontextmanager
    async def _background(self, output: ChildOutput, messages: ChildMessages) -> AsyncIterator[None]:
        async with create_task_group() as background:
            background.start_soon(output.keep_copying)
            background.start_soon(messages.keep_reading)
            background.start_soon(self._ticker.keep_ticking)
            yield
            background.cancel_scope.cancel()

    async def _serve(self, runners: Runners, resources: Any) -> None:
        try:
            async with create_task_group() as jobs:
                for feed in self._feeds:
                    feed.lanes = self._lanes(feed, runners, resources, jobs)
                await self._claim_until_stopped()
                await self._drain(jobs.cancel_scope)
        finally:
            with CancelScope(shield=True):
                for feed in self._feeds:
                    if feed.lanes is not None:
                        await feed.lanes.hand_back_rest()

    def _lanes(self, feed: _Feed, runners: Runners, resources: Any, jobs: TaskGroup) -> Lanes:
        grace, under_test = self.settings.harakiri_grace, self.spooler.is_under_test
        loop, overdue = get_running_loop(), self._overdue.expect
        side = RunSide(
            feed.spool, feed.board, loop, grace, resources, under_test, self._ticker.fired, overdue, feed.is_spooled
        )
        heard = self._observers != (log,)
        execution = Execution(
            self.spooler,
            self.settings,
            runners,
            side,
            self._report,
            self._frequency,
            self._running,
            heard or logger.isEnabledFor(logging.DEBUG),
            heard or logger.isEnabledFor(logging.INFO),
        )
        return Lanes(execution, jobs, self._places, self._handed_back)

    def _handed_back(self) -> HandedBack:
        return HandedBack(f"the worker stopped ({self._stop_reason})")

    async def _claim_until_stopped(self) -> None:
        async with create_task_group() as feeding:
            for feed in self._feeds:
                feeding.start_soon(self._keep_feeding, feed)
            await self._stop.wait()
            feeding.cancel_scope.cancel()

    async def _drain(self, jobs: CancelScope) -> None:
        self._report(WorkerStopping(self._stop_reason, self.busy))
        with move_on_after(self.settings.grace):
            async with create_task_group() as group:
                group.start_soon(self._cancel_when_hurried, group.cancel_scope)
                while self.busy:
                    await self._places.changed()
                group.cancel_scope.cancel()
        jobs.cancel()

    async def _cancel_when_hurried(self, scope: CancelScope) -> None:
        await self._hurry.wait()
        scope.cancel()

    # --- claiming --------------------------------------------------------------------------------------------

    async def _keep_feeding(self, feed: _Feed) -> None:
        assert feed.lanes is not None
        while not self.stopping:
            limit = self._take_places(feed)
            if not limit:
                await (self._places.wait() if feed.places > 0 else self._places.changed())
                continue
            # Reserved, so that two spools do not claim into the same places.
            claims: Sequence[Claim] = ()
            ended = self._places.ended
            self._claiming += limit
            try:
                claims = await feed.spool.claim(limit, clock.now())
            finally:
                self._claiming -= limit
                self.runs += self._counted(claims)
                self._places.leave(limit - len(claims))
            feed.lanes.begin(claims)
            feed.idle_at = ended if not claims and feed.spool.has_looked else -1
            if claims:
                await sleep(0)  # they begin before more are looked for
            else:
                await self._wait_for_work(feed)

    def _counted(self, claims: Sequence[Claim]) -> int:
        """How many of them count toward max_tasks."""
        if self.settings.signal_as_task:
            return len(claims)
        return sum(claim.message.firing is None for claim in claims)

    def _take_places(self, feed: _Feed) -> int:
        """Places for so many messages as may be claimed now."""
        most = min(BATCH, feed.places)
        if self.settings.max_tasks is not None:
            most = min(most, self.settings.max_tasks - self.runs - self._claiming)
            if self.runs >= self.settings.max_tasks:
                self.stop(f"max_tasks={self.settings.max_tasks} is reached")
        return self._places.take(int(most))

    async def _wait_for_work(self, feed: _Feed) -> None:
        due = feed.spool.next_due()
        wait = LONGEST_WAIT if due is None else min(LONGEST_WAIT, max(0.0, due - clock.now()))
        if not self.settings.burst or wait == 0:
            await feed.spool.wait(wait)
        elif self.busy or not all(other.idle_at == self._places.ended for other in self._feeds):
            await self._wait_for_work_or_place(feed, max(SHORTEST_WAIT, wait))
        else:  # nothing is due anywhere, and nothing runs that could spool more
            self.stop("the burst is over")

    async def _wait_for_work_or_place(self, feed: _Feed, wait: float) -> None:
        async with create_task_group() as group:

            async def wait_for_place() -> None:
                if feed.idle_at in (-1, self._places.ended):  # otherwise a job has ended, which may have spooled here
                    await self._places.changed()
                group.cancel_scope.cancel()

            group.start_soon(wait_for_place)
            await feed.spool.wait(wait)
            group.cancel_scope.cancel()

    # --- reporting -------------------------------------------------------------------------------------------

    def _report(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                logger.exception("the observer %r failed", observer)


@contextmanager
def _short_switches() -> Iterator[None]:
    """Let threads have the interpreter soon: every system call of a trip to the disk gives it up, and waits for it."""
    before = sys.getswitchinterval()
    if before > SWITCH_INTERVAL:
        sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
