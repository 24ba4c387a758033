"""The worker: it puts its parts together, runs until it is stopped or has lived long enough, and stops in order."""

import logging
import sys
import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio
from anyio import CancelScope, create_task_group, move_on_after
from anyio.abc import TaskGroup, TaskStatus

from ..addresses import spool_at
from ..errors import CallError
from ..events import Event, WorkerStarted, WorkerStopped, WorkerStopping
from ..job import Job
from ..outcomes import HandedBack
from ..protocol import KeepsScoreboards, PutsBlocking, WorkerSide
from ..settings import WorkerSettings
from ..spooler import Spooler
from .ending import LAST_WAIT, Ending
from .entry import Seen
from .execution import Execution
from .feed import Feed
from .feeding import Feeding
from .idleness import Idleness
from .lanes import Lanes
from .leaving import Leaving
from .messages import ChildMessages
from .output import ChildOutput
from .overdue import OverdueReports
from .own_process import OwnProcess
from .places import Places
from .recycling import Recycling
from .report import log, logger, quiet_log
from .run import MISSING, Run, RunSide
from .runners import Runners
from .ticker import Ticker

SWITCH_INTERVAL = 0.0001  # seconds: with Python's 5 ms a busy loop stretches trips to the disk to seconds

Observer = Callable[[Event], None]


class Worker:
    """Claims from all spools of a Spooler that are not external, and runs their messages, in the running event loop.

    `embedded`: inside somebody else's process; `max_tasks`, `max_rss` and `max_age` are refused then.
    `process`: that it may end for a job that does not stop. Without one it only reports such a job.
    `observers` are called with each event, beside those of the Spooler; they must be quick and cannot fail a job.
    `begin_child` is called in the processes of jobs, with the job, before it runs, and `prepare_child`, with the task's
    name, before that is imported; they travel there pickled.
    `seen`: of schedules, where the worker before it ended that had it; it is as if that had gone on.
    """

    def __init__(
        self,
        spooler: Spooler[Any],
        settings: WorkerSettings | None = None,
        *,
        embedded: bool = False,
        process: OwnProcess | None = None,
        observers: Sequence[Observer] = (log,),
        seen: Seen | None = None,
        begin_child: Callable[[Job[Any]], None] | None = None,
        prepare_child: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings or WorkerSettings()
        if embedded:
            _check_embedded(self.settings, process)
        self.spooler = spooler
        self.wants_successor = False  # it ended for its age, its memory, its runs or a job, and was not asked to
        self.stop_reason = ""
        log_as_wanted = quiet_log if self.settings.quiet else log
        self._observers = tuple(log_as_wanted if one is log else one for one in (*observers, *spooler.observers))
        self._places = Places(self.settings.concurrency)
        self._running: set[Run] = set()
        self._feeds = _feeds_of(spooler)
        here = spool_at("memory:")  # what is to run in every worker
        assert isinstance(here, PutsBlocking)
        self.addresses = tuple(feed.spool.address for feed in self._feeds)
        self._feeds.append(Feed(here, is_spooled=False))
        self._ticker = Ticker(spooler, here, self._frequency, fires=self.settings.schedules, seen=seen)
        self._stop, self._hurry = anyio.Event(), anyio.Event()
        self._recycling = Recycling(self.settings, self._recycle)
        over = partial(self.stop, "the burst is over")
        self._feeding = Feeding(self.settings, self._places, self._feeds, self._recycling, over)
        self._idleness = Idleness(self._places, self._feeds, self._ticker, self._feeding)
        self._ending: Ending | None = None
        self._begin_child, self._prepare_child = begin_child, prepare_child
        self._loop: AbstractEventLoop | None = None
        if process is not None:
            leaving = Leaving(process, self._ticker.fired_last)
            self._ending = Ending(process, leaving, self._running, self._note_end)
        self._overdue = OverdueReports(self._running, self._report, self._does_not_stop, self._looks_at)

    # --- stopping --------------------------------------------------------------------------------------------

    def stop(self, reason: str = "asked to") -> None:
        """Claim no more; running jobs may go on for `grace` seconds and are handed back then. On the event loop."""
        self.stop_reason = self.stop_reason or reason
        self._feeding.is_over = True
        self._stop.set()
        if self._ending is not None:
            self._ending.within(self.settings.grace, self.stop_reason)

    def stop_now(self) -> None:
        """Stop, and hand back what is running at once. On the event loop."""
        self.stop("asked to, at once")
        self._hurry.set()
        if self._ending is not None:
            self._ending.within(0.0, self.stop_reason)

    def stop_soon(self, reason: str = "asked to", *, at_once: bool = False) -> None:
        """As `stop`, or `stop_now`; from any thread, and from a signal handler, also if the event loop is blocked."""
        self.stop_reason = self.stop_reason or reason
        self._feeding.is_over = True  # at once: the loop may get to more messages before it gets to this
        if self._ending is not None:
            self._ending.warn(0.0 if at_once else self.settings.grace, reason)
        stop = self.stop_now if at_once else partial(self.stop, reason)
        if self._loop is None:
            stop()
        else:
            self._loop.call_soon_threadsafe(stop)

    def _recycle(self, reason: str) -> None:
        self._note_end(reason)
        self.stop(reason)

    def _note_end(self, reason: str) -> None:
        """It does not end because somebody wants it to, unless somebody did before."""
        if not self.stop_reason:
            self.stop_reason, self.wants_successor = reason, True

    def _does_not_stop(self, run: Run, text: str) -> None:
        """A job is overdue: its worker ends, if that may be. Its neighbours have a moment left."""
        if self._ending is not None:
            self._ending.charge(run, text)
            self.stop()
            self._ending.within(LAST_WAIT, self.stop_reason)
            get_running_loop().call_later(LAST_WAIT, self._hurry.set)

    def _looks_at(self, moment: float) -> None:
        if self._ending is not None:
            self._ending.look_at(moment)

    @property
    def stopping(self) -> bool:
        """Whether it claims no more."""
        return self._stop.is_set()

    async def until_stopping(self) -> None:
        """Return when it claims no more."""
        await self._stop.wait()

    @property
    def runs(self) -> int:
        """How many it has begun in its life, as far as they count for max_tasks."""
        return self._feeding.runs

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return self._places.busy

    # --- having nothing to do --------------------------------------------------------------------------------

    @property
    def saturated(self) -> bool:
        """Whether all its places are taken, or all that it has for one of its spools: another worker would help."""
        return self._idleness.is_saturated

    @property
    def must_stay(self) -> bool:
        """Whether it has schedules that need a living worker: file monitors, and those that run in every worker."""
        return self._ticker.must_stay

    @property
    def idle_since(self) -> float | None:
        """Since when nothing runs or is due, of the monotonic clock; None while something does, or is."""
        return self._idleness.since

    def next_moment(self) -> float | None:
        """When a message or a schedule is due next, a UNIX timestamp; None if nothing is known of."""
        return self._idleness.next_moment()

    async def wait_idle(self, seconds: float) -> None:
        """Return when it has had nothing to do for so many seconds. While it runs."""
        await self._idleness.wait(seconds)

    # --- running ---------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop`, or until a burst or `max_tasks` is over.

        Raises SpoolUnusable when a spool cannot be opened, and what the Spooler's resources raise.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(_short_switches())
            stack.enter_context(self._in_this_loop())
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
            stack.callback(self._recycling.close)
            self._recycling.begin()
            self._places.at_end = self._recycling.at_end
            runners = Runners(
                self.settings, output.path, messages, self.spooler.middleware, self._begin_child, self._prepare_child
            )
            await self._begin_schedules(stack)
            self._report(WorkerStarted(self.addresses))
            task_status.started()
            async with self._background(output, messages):
                await self._serve(runners, resources)
        self._report(WorkerStopped(self.runs))

    @contextmanager
    def _in_this_loop(self) -> Iterator[None]:
        self._loop = get_running_loop()
        if self._ending is not None:
            self._ending.begin()
        try:
            yield
        finally:
            self._loop = None
            if self._ending is not None:
                self._ending.close()

    async def _begin_schedules(self, stack: AsyncExitStack) -> None:
        await self._ticker.begin()
        stack.push_async_callback(self._end_schedules)
        if self.settings.burst:
            await self._ticker.catch_up()  # what is due is fired before it is looked for

    async def _end_schedules(self) -> None:
        with CancelScope(shield=True):
            await self._ticker.end()

    def _set_up_board(self, feed: Feed, stack: AsyncExitStack) -> None:
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
            if self._ending is not None:
                self._ending.leave_if_charged()
                self._ending.relax()

    def _lanes(self, feed: Feed, runners: Runners, resources: Any, jobs: TaskGroup) -> Lanes:
        grace, under_test = self.settings.harakiri_grace, self.spooler.is_under_test
        overdue, fired = self._overdue.expect, self._ticker.fired
        side = RunSide(
            feed.spool,
            feed.board,
            get_running_loop(),
            threading.get_ident(),
            grace,
            resources,
            under_test,
            fired,
            overdue,
            self._overdue.ended,
            feed.is_spooled,
        )
        heard = self._observers not in ((log,), (quiet_log,))
        execution = Execution(
            self.spooler,
            self.settings,
            runners,
            side,
            self._report,
            self._frequency,
            self._running,
            heard or logger.isEnabledFor(logging.DEBUG),
            heard or (not self.settings.quiet and logger.isEnabledFor(logging.INFO)),
        )
        lanes = Lanes(execution, jobs, self._places, self._handed_back)
        if self._ending is not None:
            self._ending.serve(lanes)
        return lanes

    def _handed_back(self) -> HandedBack:
        return HandedBack(f"the worker stopped ({self.stop_reason})")

    async def _claim_until_stopped(self) -> None:
        async with create_task_group() as feeding:
            for feed in self._feeds:
                feeding.start_soon(self._feeding.keep_feeding, feed)
            await self._stop.wait()
            feeding.cancel_scope.cancel()

    async def _drain(self, jobs: CancelScope) -> None:
        self._report(WorkerStopping(self.stop_reason, self.busy))
        for feed in self._feeds:
            if feed.board is not None:
                feed.board.leave()
        with move_on_after(self.settings.grace):
            async with create_task_group() as group:
                group.start_soon(self._cancel_when_hurried, group.cancel_scope)
                while self.busy > (0 if self._ending is None else self._ending.is_waited_for):
                    await self._places.changed()
                group.cancel_scope.cancel()
        if self._ending is not None and self.busy <= self._ending.is_waited_for:
            self._ending.leave_if_charged()
        jobs.cancel()

    async def _cancel_when_hurried(self, scope: CancelScope) -> None:
        await self._hurry.wait()
        scope.cancel()

    # --- reporting -------------------------------------------------------------------------------------------

    def _report(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                logger.exception("the observer %r failed", observer)


def _feeds_of(spooler: Spooler[Any]) -> list[Feed]:
    spools = {id(spool): spool for spool in spooler.spools.values()}  # one may have several names
    feeds = [Feed(spool) for spool in spools.values() if not spool.external]
    if not feeds:
        raise CallError("all spools of this Spooler are external: there is nothing to run")
    return feeds


def _check_embedded(settings: WorkerSettings, process: OwnProcess | None) -> None:
    if process is not None:
        raise CallError("an embedded worker has no process of its own")
    for name in ("max_tasks", "max_rss", "max_age"):
        if getattr(settings, name) is not None:
            raise CallError(f"{name} is for `aspool worker`: an embedded worker does not end its host's process")


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
