"""Run: one run of a message in a worker, from claim to outcome; what its Job can ask, and how it is stopped."""

import math
import threading
from asyncio import AbstractEventLoop
from asyncio import Task as LoopTask
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from anyio import CancelScope

from ..addresses import Address
from ..errors import CallError
from ..failures import Failure
from ..job import Again, Job
from ..message import Message
from ..options import CallOptions
from ..outcomes import SPOOL_OK, Outcome, spoken
from ..protocol import Claim, Entry, Progress, Scoreboard, Seat, Spool
from ..retry import LONGEST_DELAY
from ..spoolable import Using
from ..task import Task
from . import stacks
from .decisions import is_suspect

MISSING = object()


@dataclass(frozen=True, slots=True)
class RunSide:
    """What is the same for all runs of one spool in one worker."""

    spool: Spool
    board: Scoreboard | None
    loop: AbstractEventLoop
    loop_thread: int  # the ident of the thread in which it runs
    harakiri_grace: float = 5.0
    resources: Any = MISSING
    is_under_test: bool = False  # a process of its own would import an application that is not
    fired: Callable[[Spool, Message, Outcome, float], None] = lambda *_: None  # a run for a schedule has ended
    overdue_from: Callable[[float], None] = lambda _: None  # of the loop's clock; a run should have ended by then
    no_longer_overdue: Callable[[], None] = lambda: None  # such a run has ended
    is_spooled: bool = True  # not only in this worker's memory


class Run:
    """One run. It is the side of its Job (`JobSide`). Most of what may happen to it has a default here: it is cheap."""

    job: Job[Any]
    harakiri: float | None = None
    overdue_at: float = math.inf  # of the loop's clock: when it should have ended after it was stopped
    scope: CancelScope | None = None
    loop_task: "LoopTask[Any] | None" = None
    thread: "ThreadCall | None" = None
    child: tuple[int, int] | None = None  # pid, and the descriptor there to which it writes its stack
    where: str = ""  # it was, when harakiri stopped it
    failure: Failure | None = None  # what a child process said, of which `raised` was made
    raised: BaseException | None = None
    is_cancelled: bool = False  # somebody wanted it to stop
    is_overdue: bool = False  # that was reported
    is_late: bool = False  # its harakiri came, which it had not when it began
    has_ended: bool = False

    def __init__(
        self, claim: Claim, task: Task[..., Any, Any], started: float, entry: Entry, side: RunSide, seat: Seat | None
    ) -> None:
        self.claim = claim
        self.task = task
        self.started = started  # a UNIX timestamp
        self.entry = entry
        self.side = side
        self.seat = seat
        self.in_process = not side.is_under_test and (task.options.executor == "process" or is_suspect(claim.message))

    # --- what its Job asks (job.JobSide) ---------------------------------------------------------------------

    def progressed(self, progress: Progress) -> None:
        """Show how far it is."""
        self.entry.got_on(progress)
        if self.side.board is not None and self.seat is not None:
            self.side.board.write(self.seat, self.entry)

    def extend(self, seconds: float) -> None:
        """Move its harakiri; from any thread."""
        if not 0 < seconds < math.inf:
            raise CallError(f"a job is extended by more than 0 seconds, not {seconds!r}")
        self._on_loop(self._extend, min(seconds, LONGEST_DELAY))

    def _on_loop(self, change: Callable[[float], None], seconds: float) -> None:
        if threading.get_ident() == self.side.loop_thread:  # at once, as it may block the loop now
            change(seconds)
        else:
            self.side.loop.call_soon_threadsafe(change, seconds)

    def _extend(self, seconds: float) -> None:
        if self.harakiri is not None and self.scope is not None:
            self.harakiri += seconds
            self.scope.deadline += seconds
            self.overdue_at += seconds

    def set_harakiri(self, seconds: float | None) -> None:
        """Begin its harakiri anew; from any thread."""
        if seconds is not None and not 0 < seconds < math.inf:
            raise CallError(f"the harakiri of a job is more than 0 seconds, not {seconds!r}")
        self._on_loop(self._set_harakiri, math.inf if seconds is None else min(seconds, LONGEST_DELAY))

    def _set_harakiri(self, seconds: float) -> None:
        if self.is_cancelled:  # it must end already
            return
        deadline = self.side.loop.time() + seconds
        self.harakiri = None if seconds == math.inf else seconds
        self.overdue_at = math.inf
        self.must_end(deadline + self.side.harakiri_grace)
        if self.scope is not None:
            self.scope.deadline = deadline
        elif self.loop_task is not None and self.harakiri is not None:  # it began without one, and so has no scope
            self.side.loop.call_at(deadline, self._stop_late, self.overdue_at)

    def _stop_late(self, overdue_at: float) -> None:
        """If nothing was changed meanwhile, and it still runs."""
        if self.overdue_at == overdue_at and not self.has_ended and self.loop_task is not None:
            self.is_late = True
            self.loop_task.cancel()

    def logged(self, level: int, text: str) -> bool:  # noqa: ARG002 - as JobSide
        """Its lines are written where it runs."""
        return False

    def again(self, job: Job[Any]) -> Again:
        """Its task, into the same spool, with what the message had."""
        return again(self.task, job, self.side.spool, self.claim.message.priority, self.claim.message.options)

    @property
    def resources(self) -> Any:
        """What the worker's resources gave."""
        if self.side.resources is MISSING:
            raise LookupError("this Spooler has no resources: give it some with Spooler(resources=…)")
        return self.side.resources

    # --- stopping --------------------------------------------------------------------------------------------

    def must_end(self, moment: float) -> None:
        """Report it if it still runs at a moment of the loop's clock."""
        if moment < self.overdue_at:
            self.overdue_at = moment
            self.side.overdue_from(moment)

    def cancel(self) -> None:
        """Stop it, as its caller wants: a coroutine and a process at once, a function in a thread if it looks."""
        if self.is_cancelled:
            return
        self.is_cancelled = self.job.cancelled = True
        self.must_end(self.side.loop.time() + self.side.harakiri_grace)
        if self.thread is not None and not self.thread.revoke() and self.thread.is_running:
            return  # nothing can stop it but itself
        if self.scope is not None:
            self.scope.cancel()
        elif self.loop_task is not None:
            self.loop_task.cancel()

    @property
    def was_told_to_stop(self) -> bool:
        """Whether it was cancelled, by harakiri or its ticket: an event loop that is blocked cannot do so."""
        return self.is_cancelled or self.is_late or (self.scope is not None and self.scope.cancel_called)

    @property
    def harakiri_ends(self) -> float:
        """When it is stopped, of the loop's clock; inf: never."""
        return math.inf if self.scope is None or self.harakiri is None else self.scope.deadline

    def is_beyond_harakiri(self, now: float) -> bool:
        """Whether it should have ended, and that was not only its caller's wish."""
        return self.overdue_at <= now and (not self.is_cancelled or self.harakiri_ends <= now)

    def stack(self) -> str:
        """Where the job is now, as far as this process can see."""
        if self.thread is not None:
            return stacks.of_thread(self.thread.ident)
        return "" if self.loop_task is None else stacks.of_task(self.loop_task, self.side.loop_thread)


class ThreadCall:
    """A call in a thread, which cannot be stopped: it remembers whether it has begun, and how it ended."""

    def __init__(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any], *, notes_done: bool) -> None:
        self._call = partial(run.task.run_here, run.job, args, kwargs)
        self._note_done = run.claim.body.reader.note_done if notes_done else None
        self._begin = threading.Lock()
        self._revoked = False
        self.ident = 0
        self.has_ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Call the function; SystemExit, KeyboardInterrupt and the like end this job alone."""
        with self._begin:
            if self._revoked:
                return
            self.ident = threading.get_ident()
            self.has_ended, self.value, self.error = False, None, None  # middleware may have called on before
        try:
            self.value = self._call()
            if self._note_done is not None and is_plain_success(self.value):
                self._note_done()
        except BaseException as error:
            self.error = error
        self.has_ended = True

    def revoke(self) -> bool:
        """If it has not begun, it never will; whether that is so."""
        with self._begin:
            self._revoked = True
            return self.ident == 0

    @property
    def is_running(self) -> bool:
        """Whether the thread is in the function now. To be trusted after `revoke`."""
        return self.ident != 0 and not self.has_ended


def is_plain_success(value: Any) -> bool:
    """Whether a returned value ends the job: it says nothing else to the spool, and is no coroutine to be awaited."""
    return spoken(value) is SPOOL_OK and not isinstance(value, Coroutine)


def again(
    task: Task[..., Any, Any], job: Job[Any], spool: Address, priority: int | None, options: Mapping[str, Any]
) -> Again:
    """The task of a job, ready to be spooled again with the job's buffer."""
    if task.is_handler:
        raise LookupError("a handler's message is raw: spool the next one with spooler.spool(…)")
    return Using(
        task,
        CallOptions(at=job.next_at, priority=priority, spool=spool, buffer=job.buffer, per_message=options),
    )
