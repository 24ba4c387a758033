"""The worker's loop: claim into free places, run, settle in batches, stop in order."""

import logging
import sys
import time
from asyncio import Event as LoopEvent
from asyncio import Future, current_task, get_running_loop, sleep
from asyncio import Task as LoopTask
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from contextvars import Context, copy_context
from typing import Any

import anyio
from anyio import CancelScope, create_task_group, get_cancelled_exc_class, move_on_after
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint

from ..errors import CallError
from ..events import Event, JobOverdue, WorkerStarted, WorkerStopped, WorkerStopping
from ..job import enter_job
from ..outcomes import Buried, HandedBack, Outcome, failure_of
from ..protocol import Claim, KeepsScoreboards, Spool
from ..settings import WorkerSettings
from ..spooler import Spooler
from .execution import Execution
from .output import ChildOutput
from .report import log, logger
from .runners import Run, Runners
from .scoreboard import Scoreboard

BATCH = 64  # messages in one trip to the spool
SWITCH_INTERVAL = 0.0001  # seconds: with Python's 5 ms a busy loop stretches trips to the disk to seconds
LONGEST_WAIT = 3600.0  # seconds
OVERDUE_POLL = 1.0  # seconds between looks for jobs that do not stop
IDLE_OVERDUE_POLL = 5.0  # and while nothing runs

Observer = Callable[[Event], None]


class _Feed:
    """One spool of the worker: what is claimed from it, and what waits to be settled."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.board: Scoreboard | None = None
        self.ready: deque[Claim] = deque()  # claimed, and not begun yet
        self.lane_opens = False
        self.parked: list[Future[None]] = []  # lanes that wait for a job
        self.settled: list[tuple[Claim, Outcome]] = []
        self.is_settling = False
        self.is_idle = False


class Worker:
    """Claims from all spools of a Spooler and runs their messages, in the running event loop.

    `embedded`: inside somebody else's process, which it never ends; `max_tasks` is refused then.
    `observers` are called with each event; they must be quick and cannot fail a job.
    """

    def __init__(
        self,
        spooler: Spooler,
        settings: WorkerSettings | None = None,
        *,
        embedded: bool = False,
        observers: Sequence[Observer] = (log,),
    ) -> None:
        self.settings = settings or WorkerSettings()
        if embedded and self.settings.max_tasks is not None:
            raise CallError("max_tasks is for `aspool worker`: an embedded worker does not end its host's process")
        self.spooler = spooler
        self.runs = 0
        self._observers = tuple(observers)
        self._free = self.settings.concurrency
        self._running: set[Run] = set()
        self._feeds = [_Feed(spool) for spool in spooler.spools.values()]
        self._starved = 0  # feeds that wait for a place
        self._place_freed = LoopEvent()
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
        return self.settings.concurrency - self._free

    # --- running ---------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop`, or until a burst or `max_tasks` is over.

        Raises SpoolUnusable when a spool cannot be opened.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(_short_switches())
            for feed in self._feeds:
                await stack.enter_async_context(feed.spool.serving(self._frequency))
                self._set_up_board(feed, stack)
            self._report(WorkerStarted(tuple(feed.spool.address for feed in self._feeds)))
            task_status.started()
            output = ChildOutput()
            stack.callback(output.close)
            await self._serve(output)
        self._report(WorkerStopped(self.runs))

    def _set_up_board(self, feed: _Feed, stack: AsyncExitStack) -> None:
        if isinstance(feed.spool, KeepsScoreboards):
            feed.board = Scoreboard(feed.spool.scoreboards, self.settings.concurrency)
            stack.callback(feed.board.close)

    def _frequency(self) -> float:
        return self.spooler.frequency or self.settings.frequency

    async def _serve(self, output: ChildOutput) -> None:
        async with create_task_group() as background:
            background.start_soon(self._keep_watching_overdue)
            background.start_soon(output.keep_copying)
            try:
                async with create_task_group() as jobs:
                    await self._claim_until_stopped(jobs, Runners(self.settings, output.path))
                    await self._drain(jobs.cancel_scope)
            finally:
                with CancelScope(shield=True):
                    for feed in self._feeds:
                        feed.settled += [(claim, self._handed_back()) for claim in feed.ready]
                        feed.ready.clear()
                        await self._settle(feed)
                background.cancel_scope.cancel()

    async def _claim_until_stopped(self, jobs: TaskGroup, runners: Runners) -> None:
        heard = self._observers != (log,)
        async with create_task_group() as feeding:
            for feed in self._feeds:
                execution = Execution(
                    self.spooler,
                    self.settings,
                    runners,
                    feed.board,
                    self._report,
                    self._frequency,
                    self._running,
                    heard or logger.isEnabledFor(logging.DEBUG),
                    heard or logger.isEnabledFor(logging.INFO),
                )
                feeding.start_soon(self._keep_feeding, feed, execution, jobs)
            await self._stop.wait()
            feeding.cancel_scope.cancel()

    async def _drain(self, jobs: CancelScope) -> None:
        self._report(WorkerStopping(self._stop_reason, self.busy))
        with move_on_after(self.settings.grace):
            async with create_task_group() as group:
                group.start_soon(self._cancel_when_hurried, group.cancel_scope)
                while self.busy:
                    await self._wait_for_place()
                group.cancel_scope.cancel()
        jobs.cancel()

    async def _cancel_when_hurried(self, scope: CancelScope) -> None:
        await self._hurry.wait()
        scope.cancel()

    # --- claiming --------------------------------------------------------------------------------------------

    async def _keep_feeding(self, feed: _Feed, execution: Execution, jobs: TaskGroup) -> None:
        while not self.stopping:
            limit = self._places()
            if not limit:
                self._starved += 1
                await self._wait_for_place()
                self._starved -= 1
                continue
            self._free -= limit  # reserved, so that two spools do not claim into the same places
            claims: Sequence[Claim] = ()
            try:
                claims = await feed.spool.claim(limit, time.time())
            finally:
                self._free += limit - len(claims)
                if self._starved:  # by what we had reserved
                    self._place_freed.set()
            self.runs += len(claims)
            feed.ready.extend(claims)
            self._open_lane(feed, execution, jobs)
            feed.is_idle = not claims and feed.spool.has_looked
            if claims:
                await sleep(0)  # they begin before more are looked for
            else:
                await self._wait_for_work(feed)

    def _places(self) -> int:
        """How many messages may be claimed now."""
        if self.settings.max_tasks is None:
            return min(self._free, BATCH)
        left = self.settings.max_tasks - self.runs
        if left <= 0:
            self.stop(f"max_tasks={self.settings.max_tasks} is reached")
        return max(0, min(self._free, BATCH, left))

    async def _wait_for_place(self) -> None:
        await self._place_freed.wait()
        self._place_freed.clear()

    async def _wait_for_work(self, feed: _Feed) -> None:
        due = feed.spool.next_due()
        wait = LONGEST_WAIT if due is None else min(LONGEST_WAIT, max(0.0, due - time.time()))
        if not self.settings.burst or wait == 0:
            await feed.spool.wait(wait)
        elif self.busy or not all(other.is_idle for other in self._feeds):
            await self._wait_for_work_or_place(feed, wait)
        else:  # nothing is due anywhere, and nothing runs that could spool more
            self.stop("the burst is over")

    async def _wait_for_work_or_place(self, feed: _Feed, wait: float) -> None:
        async with create_task_group() as group:

            async def wait_for_place() -> None:
                await self._wait_for_place()
                group.cancel_scope.cancel()

            group.start_soon(wait_for_place)
            await feed.spool.wait(wait)
            group.cancel_scope.cancel()

    # --- one job ---------------------------------------------------------------------------------------------

    def _open_lane(self, feed: _Feed, execution: Execution, jobs: TaskGroup) -> None:
        """One more asyncio task for jobs, unless one is about to begin."""
        if not feed.ready or feed.lane_opens:
            return
        feed.lane_opens = True
        if feed.parked:
            feed.parked.pop().set_result(None)
        else:
            jobs.start_soon(self._run_lane, feed, execution, jobs)

    async def _run_lane(self, feed: _Feed, execution: Execution, jobs: TaskGroup) -> None:
        """Run one job after another, while another lane stands ready to take the next as soon as this one waits.

        Jobs that never wait cost no task of their own. A job that leaves context variables or a cancellation behind
        is the last of its lane: no other job must find them.
        """
        enter_job(None)
        context = copy_context()
        lane = current_task()
        assert lane is not None
        while not lane.cancelling() and _is_as_before(context):
            feed.lane_opens = False
            if not feed.ready:
                await _park(feed)
                continue
            claim = feed.ready.popleft()
            self._open_lane(feed, execution, jobs)
            await self._run(feed, execution, claim, lane)
            enter_job(None)
        self._open_lane(feed, execution, jobs)

    async def _run(self, feed: _Feed, execution: Execution, claim: Claim, lane: "LoopTask[Any]") -> None:
        try:
            outcome = await execution.execute(claim)
            if lane.cancelling():
                await _swallow_own_cancel()
        except get_cancelled_exc_class():
            if any(run.claim is claim for run in self._running):  # its thread does not stop
                feed.spool.abandon(claim)
                self._free_places(1)
            else:
                self._settled(feed, claim, self._handed_back())
            raise
        except Exception as error:  # the last resort: one message must not end the worker
            failure = failure_of(error, None)
            outcome = Buried(f"aspool failed to run it: {failure.reason}", failure.traceback, claim.message.attempt + 1)
        self._settled(feed, claim, outcome)
        if not feed.is_settling:
            await self._settle(feed)

    def _handed_back(self) -> HandedBack:
        return HandedBack(f"the worker stopped ({self._stop_reason})")

    def _settled(self, feed: _Feed, claim: Claim, outcome: Outcome) -> None:
        try:
            claim.body.close()
        except Exception:  # the job took its file apart
            logger.debug("the body of %s cannot be closed", claim.message.id, exc_info=True)
        feed.settled.append((claim, outcome))

    async def _settle(self, feed: _Feed) -> None:
        """Tell the spool what became of the messages; only then their places are free.

        What ends while one trip is under way goes with the next: many share one where the spool is slow.
        """
        feed.is_settling = True
        try:
            while feed.settled:
                batch, feed.settled = feed.settled[:BATCH], feed.settled[BATCH:]
                try:
                    await feed.spool.finish(batch)
                except get_cancelled_exc_class():
                    feed.settled[:0] = batch  # told again at the end
                    raise
                self._free_places(len(batch))
        finally:
            feed.is_settling = False

    def _free_places(self, count: int) -> None:
        self._free += count
        self._place_freed.set()

    # --- reporting -------------------------------------------------------------------------------------------

    async def _keep_watching_overdue(self) -> None:
        """Report, once, a job that does not stop after its harakiri and the grace."""
        reported: set[Run] = set()
        while True:
            await anyio.sleep(OVERDUE_POLL if self._running else IDLE_OVERDUE_POLL)
            now = anyio.current_time()
            reported &= self._running
            for run in list(self._running):
                if run.overdue_at < now and run not in reported:
                    reported.add(run)
                    self._report(JobOverdue(run.job.id, run.task.name, run.stack()))

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


async def _park(feed: _Feed) -> None:
    """Let a lane wait until it is opened again: quicker than to begin another."""
    opened: Future[None] = get_running_loop().create_future()
    feed.parked.append(opened)
    try:
        await opened
    except get_cancelled_exc_class():
        if opened in feed.parked:
            feed.parked.remove(opened)
        raise


def _is_as_before(context: Context) -> bool:
    """Whether a job left the context variables of its asyncio task as it found them."""
    try:
        return copy_context() == context
    except Exception:  # values that cannot be compared are others
        return False


async def _swallow_own_cancel() -> None:
    """A job may have cancelled its own asyncio task and returned: this ends the job alone, not the worker with it."""
    try:
        with CancelScope(shield=True):
            await checkpoint()
    except get_cancelled_exc_class():
        pass
