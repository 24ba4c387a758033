"""Lanes: the asyncio tasks in which the jobs of one spool run, one after another; and settling what they ended with."""

import logging
from asyncio import Future, current_task, get_running_loop
from asyncio import Task as LoopTask
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from anyio import CancelScope, get_cancelled_exc_class
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..events import JobOverdue
from ..failures import Failure
from ..job import enter_job
from ..outcomes import HandedBack, Outcome
from ..protocol import Claim, Spool
from .execution import Execution
from .places import Places
from .run import Run

BATCH = 64  # messages in one trip to the spool
logger = logging.getLogger("aspool.worker")


class Fate(NamedTuple):
    """What becomes of a job if the worker ends before it; `started` is a UNIX timestamp."""

    outcome: Outcome
    started: float


class LastWord(NamedTuple):
    """What a spool is told of a claim as the process ends; with the run, if that is the only end it has."""

    claim: Claim
    outcome: Outcome
    run: Run | None = None


class Lanes:
    """What is claimed from one spool, and what waits to be settled.

    A lane runs one job after another, while another lane stands ready to take the next as soon as this one waits.
    Jobs that never wait cost no task of their own. A job that leaves context variables or a cancellation behind
    is the last of its lane: no other job must find them.
    """

    def __init__(
        self, execution: Execution, jobs: TaskGroup, places: Places, handed_back: Callable[[], HandedBack]
    ) -> None:
        self.spool: Spool = execution.side.spool
        self._execution = execution
        self._jobs = jobs
        self._places = places
        self._handed_back = handed_back
        self._ready: deque[Claim] = deque()  # claimed, and not begun yet
        self._opens = False
        self._parked: list[Future[None]] = []  # lanes that wait for a job
        self._settled: list[tuple[Claim, Outcome]] = []
        self._telling: list[tuple[Claim, Outcome]] = []  # to the spool, now
        self._is_settling = False
        self._fates: dict[str, Fate] = {}  # of what is to stop but runs still, by id
        self.taken = 0  # places

    def begin(self, claims: Sequence[Claim]) -> None:
        """Run claimed messages; each has its place."""
        self.taken += len(claims)
        self._ready.extend(claims)
        self._open()

    def _open(self) -> None:
        """One more lane, unless one is about to begin."""
        if not self._ready or self._opens:
            return
        self._opens = True
        if self._parked:
            self._parked.pop().set_result(None)
        else:
            self._jobs.start_soon(self._keep_running)

    async def _keep_running(self) -> None:
        enter_job(None)
        context = copy_context()
        lane = current_task()
        assert lane is not None
        while not lane.cancelling() and _is_as_before(context):
            self._opens = False
            if not self._ready:
                await self._park()
                continue
            claim = self._ready.popleft()
            self._open()
            await self._run(claim, lane)
            enter_job(None)
        self._open()

    async def _park(self) -> None:
        """Let a lane wait until it is opened again: quicker than to begin another."""
        opened: Future[None] = get_running_loop().create_future()
        self._parked.append(opened)
        try:
            await opened
        except get_cancelled_exc_class():
            if opened in self._parked:
                self._parked.remove(opened)
            raise

    async def _run(self, claim: Claim, lane: "LoopTask[Any]") -> None:
        try:
            outcome = await self._execution.execute(claim, lane)
        except get_cancelled_exc_class():
            if any(run.claim is claim for run in self._execution.running):  # its thread does not stop
                self.spool.abandon(claim)
                self._give_back(1)
            else:
                self._end(claim, self._fate(claim))
            raise
        except Exception as error:  # the last resort: one message must not end the worker
            outcome = self._execution.gave_up(claim, error)
        self._end(claim, outcome)
        if lane.cancelling():
            await _swallow_own_cancel()
        if not self._is_settling:
            await self.settle()

    def cancel(self, id: str) -> bool:
        """Stop the job of a message, as its caller wants; whether it is here."""
        for run in self._execution.running:
            if run.job.id == id and run.side.spool is self.spool:
                self._fates[id] = Fate(self._execution.cancelled(run.claim), run.started)
                run.cancel()
                return True
        for claim in self._ready:
            if claim.message.id == id:
                self._ready.remove(claim)
                self._end(claim, self._execution.cancelled(claim))
                if not self._is_settling:
                    self._jobs.start_soon(self.settle)
                return True
        return False

    # --- settling --------------------------------------------------------------------------------------------

    def _end(self, claim: Claim, outcome: Outcome) -> None:
        try:
            claim.body.close()
        except Exception:  # the job took its file apart
            logger.debug("the body of %s cannot be closed", claim.message.id, exc_info=True)
        if self._fates:
            self._fates.pop(claim.message.id, None)
        self._settled.append((claim, outcome))

    async def settle(self) -> None:
        """Tell the spool what became of the messages; only then their places are free.

        What ends while one trip is under way goes with the next: many share one where the spool is slow.
        """
        self._is_settling = True
        try:
            while self._settled:
                # In this order a claim is always in one of the two.
                batch = self._telling = self._settled[:BATCH]
                self._settled = self._settled[BATCH:]
                try:
                    await self.spool.finish(batch)
                except get_cancelled_exc_class():
                    self._settled[:0] = batch  # told again at the end
                    raise
                self._give_back(len(batch))
        finally:
            self._telling = []
            self._is_settling = False

    async def hand_back_rest(self) -> None:
        """At the end: what has not begun goes back, and what is not settled yet is settled."""
        self._settled += [(claim, self._handed_back()) for claim in self._ready]
        self._ready.clear()
        await self.settle()

    # --- jobs that do not stop -------------------------------------------------------------------------------

    def charge(self, run: Run, failure: Failure) -> None:
        """It does not stop. If the end of the worker stops it after all, it is charged with that all the same."""
        outcome = self._execution.forced(run, failure)
        if outcome is not None:
            self._fates.setdefault(run.job.id, Fate(outcome, run.started))

    def _fate(self, claim: Claim) -> Outcome:
        """What becomes of a job that was cancelled with the worker."""
        fate = self._fates.get(claim.message.id)
        if fate is None:
            return self._handed_back()
        self._execution.report_end(claim, fate.started, fate.outcome)
        return fate.outcome

    def last_words(self, charges: Mapping[Run, Failure]) -> list[LastWord]:
        """What to tell the spool of all that is here, as this process ends. From any thread.

        `charges` are the runs that it ends for, each with what it is charged with.
        """
        words = [LastWord(*reached) for reached in [*self._telling, *self._settled]]
        words += [LastWord(claim, self._handed_back()) for claim in list(self._ready)]
        for run in list(self._execution.running):
            if run.side.spool is self.spool:
                outcome = self._execution.forced(run, charges.get(run))
                words.append(LastWord(run.claim, outcome or self._handed_back(), run if outcome else None))
        return words

    def report_last(self, run: Run, outcome: Outcome, charge: Failure | None) -> None:
        """Tell the observers of an end that nobody will see, and of what it is charged with, unless they know."""
        if charge is not None and not run.is_overdue:
            self._execution.report(JobOverdue(run.job.id, run.task.name, charge.traceback))
        self._execution.report_end(run.claim, run.started, outcome)

    def _give_back(self, count: int) -> None:
        self.taken -= count
        self._places.give_back(count)


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
