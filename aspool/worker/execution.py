"""One job as a pipeline of small steps: refuse, resolve, seat, call, decide. The last word is an Outcome, a value.

Nothing here touches the spool; the loop settles.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import ArgumentsUnfit
from ..events import Event, JobEnded, JobStarted
from ..job import Job, enter_job
from ..outcomes import Buried, Done, Outcome, PutOff
from ..protocol import Claim
from ..settings import WorkerSettings
from ..spooler import Spooler
from ..task import HANDLER, Task
from . import decisions
from .runners import Run, Runners, runs_in_process
from .scoreboard import Entry, Scoreboard, Seat


@dataclass(frozen=True, slots=True)
class Execution:
    """What is the same for all jobs of one worker and one spool."""

    spooler: Spooler
    settings: WorkerSettings
    runners: Runners
    board: Scoreboard | None
    report: Callable[[Event], None]
    frequency: Callable[[], float]
    running: set[Run]
    hears_starts: bool = True  # no event for nobody
    hears_ends: bool = True  # those of jobs that are done; the others are always told of

    async def execute(self, claim: Claim) -> Outcome:
        """Run one claimed message; what becomes of it. Raises only when the worker itself is cancelled."""
        started = time.time()
        outcome = decisions.refuse(claim, started, self.settings.max_crashes)
        if outcome is None:
            task = self._resolve(claim)
            outcome = task if isinstance(task, PutOff) else await self._run(claim, task, started)
        self._report_end(claim, started, outcome)
        return outcome

    def _resolve(self, claim: Claim) -> Task[..., Any, Any] | PutOff:
        name = claim.message.task
        task = self.spooler.raw_handler if name is None else self.spooler.tasks.get(name)
        if task is None:
            what = "it names no task, and there is no handler" if name is None else f"no task is called {name} here"
            return decisions.unknown(claim.message, time.time(), what)
        return task

    async def _run(self, claim: Claim, task: Task[..., Any, Any], started: float) -> Outcome:
        run = self._seat(claim, task, started)
        if self.hears_starts:
            self.report(JobStarted(run.job.id, task.name, run.job.attempt, started - claim.message.due))
        self.running.add(run)
        try:
            result = await self.runners.call(run)
        except ArgumentsUnfit as error:
            return Buried(str(error), "", claim.message.attempt + 1, claim.message.crashes)
        finally:
            self._unseat(run)
        policy = task.policy(claim.message.options)
        return decisions.decide(result, claim.message, policy, time.time(), self.frequency(), self.settings.max_crashes)

    def _seat(self, claim: Claim, task: Task[..., Any, Any], started: float) -> Run:
        """The job, shown on the scoreboard and current in this context."""
        message = claim.message
        retries = task.policy(message.options).retries
        entry = Entry(message.id, task.name, message.attempt + 1, started)
        seat = None if self.board is None else self.board.take(entry)
        job = Job(
            message.id, task.name, attempt=entry.attempt, retries_left=max(0, retries - message.attempt),
            at=message.due, report=partial(self._progress, seat, entry),
        )  # fmt: skip
        run = Run(claim, task, job, started, entry, seat)
        if runs_in_process(run):  # its child writes to the seat too
            self._progress(seat, entry, 0.0, None, "")
        enter_job(job)
        return run

    def _progress(self, seat: Seat | None, entry: Entry, done: float, total: float | None, text: str) -> None:
        entry.got_on(done, total, text)
        if self.board is not None and seat is not None:
            self.board.write(seat, entry)

    def _unseat(self, run: Run) -> None:
        if run.thread is not None and run.thread.is_running:
            return  # it was abandoned: it stays on the board
        self.running.discard(run)
        if self.board is not None and run.seat is not None:
            self.board.free(run.seat)

    def _report_end(self, claim: Claim, started: float, outcome: Outcome) -> None:
        if type(outcome) is Done and not self.hears_ends:
            return
        message = claim.message
        self.report(JobEnded(message.id, message.task or HANDLER, message.attempt + 1, time.time() - started, outcome))
