"""`await drain(spooler)`: a worker that runs whatever is due, until nothing is; and what it ran."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import portal
from ..errors import CallError
from ..events import Event, JobEnded, JobStarted
from ..failures import Failure, raised_again
from ..job import Job
from ..middleware import CallNext
from ..outcomes import Buried, Cancelled, Done, Outcome, PutOff, Retry
from ..protocol import State
from ..settings import WorkerSettings
from ..spooler import Spooler
from ..worker import Worker
from ..worker.report import log
from .under_test import under_test

MOST_RUNS = 10_000  # of one drain: a task that always spools itself has no end


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a message: `attempt` counts from 1; `outcome` is what became of it."""

    id: str
    task: str
    attempt: int
    outcome: Outcome

    @property
    def state(self) -> State:
        """How the message stood after it: done, dead, cancelled, retrying, scheduled or waiting."""
        match self.outcome:
            case Done():
                return "done"
            case Cancelled():
                return "cancelled"
            case Buried():
                return "dead"
            case PutOff(attempt=attempt, crashes=crashes):
                return "retrying" if attempt or crashes else "scheduled"
        return "waiting"

    @property
    def reason(self) -> str:
        """Why it is not done; "" if it is."""
        return "" if isinstance(self.outcome, Done) else self.outcome.reason


class _Watch:
    """Hears of all runs, and stops a worker that finds no end."""

    def __init__(self, most_runs: int) -> None:
        self.most_runs = most_runs
        self.worker: Worker | None = None
        self.begun: dict[tuple[str, int], str] = {}
        self.ended: dict[tuple[str, int], Ran] = {}
        self.errors: dict[str, BaseException] = {}
        self.endless = False
        self._counts: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobStarted):
            self.begun.setdefault((event.id, event.attempt), event.task)
            self._count(event.task)
        elif isinstance(event, JobEnded):
            self.ended[event.id, event.attempt] = Ran(event.id, event.task, event.attempt, event.outcome)

    def _count(self, task: str) -> None:
        self._counts[task] += 1
        if self._counts.total() > self.most_runs and self.worker is not None:
            self.endless = True
            self.worker.stop_now()

    async def notice(self, job: Job[Any], call_next: CallNext) -> Any:
        """Remember what a task raised: a middleware."""
        try:
            return await call_next(job)
        except Retry:
            raise
        except Exception as error:
            told = getattr(error, "failure", None)  # by a child process, where the exception has stayed
            if isinstance(told, Failure):
                self.errors[job.id] = raised_again(None, told.reason, told.traceback)
            else:
                self.errors[job.id] = error
            raise

    def runs(self) -> list[Ran]:
        """What ran, in the order in which it began; what was refused before it began is last."""
        begun = [self.ended[key] for key in self.begun if key in self.ended]
        return begun + [ran for key, ran in self.ended.items() if key not in self.begun]

    def check_end(self) -> None:
        if self.endless:
            task, count = self._counts.most_common(1)[0]
            raise CallError(
                f"drain has run {self.most_runs} jobs and there are more, most of them ({count}) of {task}: "
                "it seems to spool itself for ever; most_runs= allows more"
            )

    def raise_error(self) -> None:
        """Raise what the first failed run raised; notes tell of the others."""
        failed = [ran for ran in self.runs() if ran.id in self.errors or isinstance(ran.outcome, Buried)]
        if not failed:
            return
        first, *others = failed
        error = self.errors.get(first.id) or _death(first)
        for ran in others:
            error.add_note(f"Also, in the same drain, {ran.task} ({ran.id}) is {ran.state}: {ran.reason}")
        raise error


def _death(ran: Ran) -> Exception:
    """Of a message that no run has failed: it expired, its arguments do not fit, …"""
    traceback = ran.outcome.traceback if isinstance(ran.outcome, Buried) else ""
    return raised_again(None, f"{ran.task} ({ran.id}) is {ran.state}: {ran.reason}", traceback)


async def drain(
    spooler: Spooler[Any],
    *,
    schedules: bool = False,
    raise_errors: bool = False,
    most_runs: int = MOST_RUNS,
    **options: Any,
) -> list[Ran]:
    """Run all that is due, also what that spools, with a real worker in this event loop; return what ran.

    All spools of the Spooler are served that are not external; what was spooled to an address that is none of them
    waits, as it would for another program. While the Spooler is under test the clock stands still meanwhile, so that
    only that runs which was due at the beginning, and what this spools for at once. A retry that is not due waits, too:
    move the clock, and drain again.
    With `schedules` what timers, crons, file monitors and signals have due is fired first, by the clock as it stands; a
    schedule counts from the first such drain, as it does in production from the first worker. Without, none fires.
    A task that fails is retried or dead, as in production: see `Ran.state`. With `raise_errors` the first exception
    that a task raised (other than Retry) is raised when all is done; TaskFailed for what died without one.
    `options` are those of WorkerSettings: `concurrency` (1: one after another), `threads`, `processes`, `harakiri`,
    `harakiri_grace`, `grace`, `max_crashes`, `frequency`.
    Raises CallError after `most_runs` runs, and for an option that does not exist.
    """
    watch = _Watch(most_runs)
    settings = WorkerSettings().changed(**options).changed(burst=True, schedules=schedules)
    seen = under_test(spooler.spool_of(None)).schedules_seen if spooler.is_under_test else None
    with _noticing(spooler, watch, wanted=raise_errors), _standing_clock(spooler):
        watch.worker = Worker(spooler, settings, embedded=True, observers=(log, watch), seen=seen)
        await watch.worker.run()
    watch.check_end()
    if raise_errors:
        watch.raise_error()
    return watch.runs()


def drain_sync(
    spooler: Spooler[Any],
    *,
    schedules: bool = False,
    raise_errors: bool = False,
    most_runs: int = MOST_RUNS,
    **options: Any,
) -> list[Ran]:
    """As `drain`, in a test that is not async. Raises CallError in a thread that runs an event loop."""
    return portal.call(
        partial(drain, spooler, schedules=schedules, raise_errors=raise_errors, most_runs=most_runs, **options)
    )


def _standing_clock(spooler: Spooler[Any]) -> AbstractContextManager[None]:
    """The clock of a Spooler under test, held: a short wait with jitter would be over sometimes. No other is there."""
    return under_test(spooler.spool_of(None)).clock.held() if spooler.is_under_test else nullcontext()


@contextmanager
def _noticing(spooler: Spooler[Any], watch: _Watch, *, wanted: bool) -> Iterator[None]:
    """A middleware around all others that remembers what is raised; none where nobody asks for it."""
    if not wanted:
        yield
        return
    spooler.middleware.insert(0, watch.notice)
    try:
        yield
    finally:
        spooler.middleware.remove(watch.notice)
