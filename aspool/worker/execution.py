"""One job as a pipeline of small steps: refuse, resolve, seat, call, decide. The last word is an Outcome, a value.

Nothing here touches the spool; the lanes settle.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import clock
from ..errors import ArgumentsUnfit
from ..events import Event, JobEnded, JobStarted
from ..failures import Failure, Result, failure_of
from ..job import Job, enter_job
from ..outcomes import SPOOL_OK, Buried, Cancelled, Done, Outcome, PutOff
from ..protocol import Claim, Entry, Progress
from ..retry import RetryPolicy
from ..settings import WorkerSettings
from ..spooler import Spooler
from ..task import HANDLER, Task
from . import decisions
from .run import Run, RunSide
from .runners import Runners

if TYPE_CHECKING:
    from asyncio import Task as LoopTask

DONE = Done()


@dataclass(frozen=True, slots=True)
class Execution:
    """What is the same for all jobs of one worker and one spool."""

    spooler: Spooler[Any]
    settings: WorkerSettings
    runners: Runners
    side: RunSide
    report: Callable[[Event], None]
    frequency: Callable[[], float]
    running: set[Run]
    hears_starts: bool = True  # no event for nobody
    hears_ends: bool = True  # those of jobs that are done; the others are always told of

    async def execute(self, claim: Claim, lane: "LoopTask[Any]") -> Outcome:
        """Run one claimed message in its lane; what becomes of it. Raises only when the worker itself is cancelled."""
        started = clock.now()
        outcome = decisions.refuse(claim, started, self.settings.max_crashes)
        if outcome is None:
            task = self._resolve(claim)
            outcome = task if isinstance(task, PutOff) else await self._run(claim, task, started, lane)
        if claim.message.firing is not None:
            self.side.fired(self.side.spool, claim.message, outcome, started)
        if outcome is DONE and not self.hears_ends:
            return outcome
        if isinstance(outcome, Buried) and outcome.kept is None:
            outcome = self._with_record(claim, outcome)
        self.report_end(claim, started, outcome)
        return outcome

    def find(self, name: str | None) -> Task[..., Any, Any] | None:
        """The task of that name (None: the handler of raw messages), if it is here."""
        return self.spooler.raw_handler if name is None else self.spooler.tasks.get(name)

    def _resolve(self, claim: Claim) -> Task[..., Any, Any] | PutOff:
        name = claim.message.task
        task = self.find(name)
        if task is None:
            what = "it names no task, and there is no handler" if name is None else f"no task is called {name} here"
            return decisions.unknown(claim.message, clock.now(), what)
        return task

    async def _run(self, claim: Claim, task: Task[..., Any, Any], started: float, lane: "LoopTask[Any]") -> Outcome:
        policy = task.policy(claim.message.options)
        run = self._seat(claim, task, policy, started)
        run.loop_task = lane
        if self.hears_starts:
            self.report(JobStarted(run.job.id, task.name, run.job.attempt, started - claim.message.due))
        self.running.add(run)
        try:
            result = await self.runners.call(run)
        except ArgumentsUnfit as error:
            return Buried(str(error), "", claim.message.attempt + 1, claim.message.crashes)
        finally:
            self._unseat(run)
        if run.is_cancelled:
            return self.cancelled(claim)
        return DONE if result is SPOOL_OK else decisions.decide(self._ended(run, policy, result))

    def _ended(self, run: Run, policy: RetryPolicy, result: Result) -> decisions.Ended:
        message, job = run.claim.message, run.job
        changes = job.changes(policy.retries, message.options)
        return decisions.Ended(
            result=result,
            message=message,
            policy=policy if changes is None or changes.retries is None else replace(policy, retries=changes.retries),
            now=clock.now(),
            frequency=self.frequency(),
            max_crashes=self.settings.max_crashes,
            keep=run.task.keep_result(message.options),
            changes=changes,
            next_at=job.next_at,
            log=job.lines,
        )

    def forced(self, run: Run, failure: Failure | None) -> Outcome | None:
        """What becomes of a run that this process does not live to see the end of. From any thread.

        `failure`: what is charged to it. Without one, it is None if the message is to be handed back: no caller wanted
        it to stop, and it has not ended in its thread.
        """
        if run.is_cancelled:
            return self.cancelled(run.claim)
        result = self.runners.said_by_thread(run) or failure
        if result is None:
            return None
        policy = run.task.policy(run.claim.message.options)
        return DONE if result is SPOOL_OK else decisions.decide(self._ended(run, policy, result))

    def _seat(self, claim: Claim, task: Task[..., Any, Any], policy: RetryPolicy, started: float) -> Run:
        """The run, shown on the scoreboard, and its job, current in this context."""
        message, board = claim.message, self.side.board
        entry = Entry(message.id, task.name, message.attempt + 1, started)
        run = Run(claim, task, started, entry, self.side, None if board is None else board.take(entry))
        run.job = Job(
            message.id, task.name, attempt=entry.attempt, retries_left=max(0, policy.retries - message.attempt),
            at=message.due, buffer=message.buffer, firing=message.firing, origin=message.origin, side=run,
        )  # fmt: skip
        if run.in_process:  # its child writes to the seat too
            run.progressed(Progress())
        enter_job(run.job)
        return run

    def _unseat(self, run: Run) -> None:
        if run.thread is not None and run.thread.is_running:
            return  # it was abandoned: it stays on the board
        self.running.discard(run)
        run.has_ended = True
        if run.overdue_at < math.inf:
            self.side.no_longer_overdue()
        run.job.leave_side()
        if self.side.board is not None and run.seat is not None:
            self.side.board.free(run.seat)

    def _with_record(self, claim: Claim, outcome: Buried) -> Buried:
        """What was buried without a run has an end too, for whoever waits for its result."""
        task = self.find(claim.message.task)
        keep = None if task is None else task.keep_result(claim.message.options)
        return replace(outcome, kept=decisions.kept_failure(Failure(outcome.reason, outcome.traceback), keep))

    def gave_up(self, claim: Claim, error: Exception) -> Buried:
        """The outcome of a message that `execute` raised an error for: one of ours, or a strange object of the job."""
        message, failure = claim.message, failure_of(error, None)
        reason = f"aspool failed to run it: {failure.reason}"
        outcome = Buried(reason, failure.traceback, message.attempt + 1, message.crashes)
        outcome = self._with_record(claim, outcome)
        self.report_end(claim, clock.now(), outcome)
        return outcome

    def cancelled(self, claim: Claim) -> Cancelled:
        """The outcome of a message whose caller wanted it to stop."""
        task = self.find(claim.message.task)
        return decisions.cancelled(None if task is None else task.keep_result(claim.message.options))

    def report_end(self, claim: Claim, started: float, outcome: Outcome) -> None:
        """Tell the observers how a run has ended."""
        if type(outcome) is Done and not self.hears_ends:
            return
        message, took, is_spooled = claim.message, clock.now() - started, self.side.is_spooled
        self.report(JobEnded(message.id, message.task or HANDLER, message.attempt + 1, took, outcome, is_spooled))
