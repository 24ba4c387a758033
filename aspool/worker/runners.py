"""How a function is called: on the event loop, in a thread, or in a process of its own.

Each way waits for its place first and enters the harakiri scope then, so that waiting is not charged.
"""

import inspect
import math
import os
import sys
import threading
import traceback
from asyncio import Task as LoopTask
from asyncio import current_task
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from anyio import (
    BrokenWorkerProcess,
    CancelScope,
    CapacityLimiter,
    current_effective_deadline,
    current_time,
    get_cancelled_exc_class,
    sleep,
    to_process,
    to_thread,
)

from ..job import Job
from ..outcomes import SPOOL_OK, Failure, Result, failure_of, spoken
from ..protocol import Claim
from ..settings import WorkerSettings
from ..task import Task, module_of
from .call import call_arguments
from .child import ChildJob, run_in_child
from .decisions import is_suspect
from .scoreboard import Entry, Seat

ENDED_POLL = 0.05  # seconds: how often a thread that does not stop is looked at


@dataclass(slots=True, eq=False)
class Run:
    """One run of a message, from claim to outcome."""

    claim: Claim
    task: Task[..., Any, Any]
    job: Job
    started: float  # a UNIX timestamp
    entry: Entry
    seat: Seat | None = None
    harakiri: float | None = None
    overdue_at: float = math.inf  # of the loop's clock: when it should have ended after harakiri
    thread: "ThreadCall | None" = None
    loop_task: "LoopTask[Any] | None" = None

    def stack(self) -> str:
        """Where the job is now, for a report."""
        if self.thread is not None:
            frame = sys._current_frames().get(self.thread.ident)  # noqa: SLF001 - documented, for debugging only
            return "".join(traceback.format_stack(frame)) if frame else ""
        if self.loop_task is not None:
            return "".join(line for frame in self.loop_task.get_stack() for line in traceback.format_stack(frame)[-1:])
        return ""


class ThreadCall:
    """A call in a thread, which cannot be stopped: it remembers whether it has ended, and how.

    `coroutine` is what a sync function around an async one gives: it is for the event loop to run.
    """

    def __init__(self, run: "Run", args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = partial(run.task.run_here, run.job, args, kwargs)
        self._retry_on = run.task.options.retry_on
        self._note_done = run.claim.body.reader.note_done
        self._begin = threading.Lock()
        self._revoked = False
        self.ident = 0
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.result: Result | None = None

    def run(self) -> Result:
        """Call the function; SystemExit, KeyboardInterrupt and the like end this job alone."""
        with self._begin:
            if self._revoked:
                return Failure("it was stopped before it began")
            self.ident = threading.get_ident()
        try:
            value = self._call()
            if inspect.iscoroutine(value):
                self.coroutine = value
            result = spoken(value)
            if result is SPOOL_OK and self.coroutine is None:
                self._note_done()
            self.result = result
        except BaseException as error:
            self.result = failure_of(error, self._retry_on)
        return self.result

    def revoke(self) -> None:
        """If it has not begun, it never will: `is_running` can be trusted from here on."""
        with self._begin:
            self._revoked = True

    @property
    def is_running(self) -> bool:
        """Whether the thread is in the function now."""
        return self.ident != 0 and self.result is None


class Runners:
    """The places for threads and processes of one worker."""

    def __init__(self, settings: WorkerSettings, output: str) -> None:
        self._output = output
        self._grace = settings.harakiri_grace
        self._default_harakiri = settings.harakiri
        self._threads = CapacityLimiter(settings.threads)
        self._processes = CapacityLimiter(settings.processes or os.cpu_count() or 2)
        self._suspects = CapacityLimiter(math.inf)
        self._unlimited = CapacityLimiter(math.inf)  # anyio's own limits would be a second queue behind ours

    async def call(self, run: Run) -> Result:
        """Run the function in its way. Raises only the cancellation of the worker itself, and ArgumentsUnfit."""
        run.harakiri = run.task.harakiri(run.claim.message.options) or self._default_harakiri
        message = run.claim.message
        if runs_in_process(run):  # a suspect alone, and behind nobody
            return await self._in_process(run, self._suspects if is_suspect(message) else self._processes)
        args, kwargs = call_arguments(run.task, message.arguments, message.raw, run.claim.body)
        if run.task.is_async:
            return await self._on_loop(run, partial(run.task.run_here, run.job, args, kwargs))
        result = await self._in_thread(run, args, kwargs)
        if run.thread is not None and (coroutine := run.thread.coroutine) is not None:
            return await self._on_loop(run, lambda: coroutine)
        return result

    async def _on_loop(self, run: Run, start: Callable[[], Awaitable[Any]]) -> Result:
        try:
            if run.harakiri is None:
                return spoken(await start())
            with self._harakiri(run) as scope:
                return spoken(await start())
        except BaseException as error:
            if isinstance(error, get_cancelled_exc_class()) and _worker_is_cancelled():
                raise
            return failure_of(error, run.task.options.retry_on)
        return _stopped(run) if scope.cancelled_caught else Failure("it ended without a result")

    async def _in_thread(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        call = run.thread = ThreadCall(run, args, kwargs)
        async with self._threads:
            with self._harakiri(run):
                try:
                    return await to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=self._unlimited)
                finally:
                    call.revoke()
            # The thread goes on, and so the message stays held, and its place taken, until it ends.
            while call.is_running:  # noqa: ASYNC110 - it cannot set an event once it is abandoned
                await sleep(ENDED_POLL)
        return call.result or _stopped(run)

    async def _in_process(self, run: Run, limiter: CapacityLimiter) -> Result:
        child_job = _child_job(run, self._output)
        async with limiter:
            try:
                with self._harakiri(run):
                    return await to_process.run_sync(run_in_child, child_job, cancellable=True, limiter=self._unlimited)
            except BrokenWorkerProcess:
                reason = (
                    "its process died: it was killed, ran out of memory, ended itself, or could not load the worker's "
                    'script (which must start its worker under `if __name__ == "__main__":`)'
                )
                return Failure(reason, crashed=True)
            except Exception as error:
                return failure_of(error, None)
        return _stopped(run)

    @contextmanager
    def _harakiri(self, run: Run) -> Iterator[CancelScope]:
        """The scope that stops a job after its harakiri."""
        deadline = math.inf if run.harakiri is None else current_time() + run.harakiri
        run.overdue_at = deadline + self._grace
        run.loop_task = current_task()
        with CancelScope(deadline=deadline) as scope:
            yield scope


def runs_in_process(run: Run) -> bool:
    """Whether a job runs in a process of its own."""
    return run.task.options.executor == "process" or is_suspect(run.claim.message)


def _worker_is_cancelled() -> bool:
    """Whether a cancellation comes from a scope around us, and not from the job itself."""
    return current_effective_deadline() == -math.inf


def _stopped(run: Run) -> Failure:
    return Failure(f"harakiri: it was stopped after {run.harakiri:g} s")


def _child_job(run: Run, output: str) -> ChildJob:
    message, function = run.claim.message, run.task.function
    return ChildJob(
        parent=os.getpid(),
        output=output,
        module=module_of(function),
        qualname=function.__qualname__,
        name=run.task.name,
        id=message.id,
        attempt=run.job.attempt,
        retries_left=run.job.retries_left,
        at=message.due,
        arguments=message.arguments,
        raw=dict(message.raw),
        reader=run.claim.body.reader,
        seat=run.seat,
        entry=run.entry,
    )
