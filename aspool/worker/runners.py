"""How a function is called: on the event loop, in a thread, or in a process of its own.

Each way waits for its place first, enters the harakiri scope then, so that waiting is not charged, and then the onion.
"""

import inspect
import math
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

from anyio import (
    BrokenWorkerProcess,
    CancelScope,
    CapacityLimiter,
    WouldBlock,
    create_task_group,
    current_effective_deadline,
    current_time,
    get_cancelled_exc_class,
    sleep,
    sleep_forever,
    to_process,
    to_thread,
)
from anyio.lowlevel import checkpoint

from ..collection import Tasks
from ..failures import Failure, Result, Returned, failure_of, raised_again
from ..job import Job
from ..middleware import Middleware, onion
from ..outcomes import SPOOL_OK, SpoolReturn
from ..settings import WorkerSettings
from ..task import module_of
from . import child_stack
from .call import call_arguments
from .child import ChildEnd, ChildJob, run_in_child
from .decisions import is_suspect
from .messages import ChildMessages
from .run import Run, ThreadCall

ENDED_POLL = 0.05  # seconds: how often a thread that does not stop is looked at
_SAID = (SpoolReturn, Returned)  # a Returned is a child's, written there


class _Failed(Exception):
    """A failure on its way past everything that is no middleware: most exceptions need not be made for that."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


class Runners:
    """The places for threads and processes of one worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        output: str,
        messages: ChildMessages,
        middleware: Sequence[Middleware] = (),
        begin_child: Callable[[Job[Any]], None] | None = None,
        prepare_child: Callable[[str], None] | None = None,
    ) -> None:
        self._begin_child = begin_child
        self._prepare_child = prepare_child
        self._output = output
        self._messages = messages
        self._middleware = tuple(middleware)
        self._grace = settings.harakiri_grace
        self._default_harakiri = settings.harakiri
        self._threads = CapacityLimiter(settings.threads)
        self._processes = CapacityLimiter(settings.job_processes or os.cpu_count() or 2)
        self._suspects = CapacityLimiter(math.inf)
        self._unlimited = CapacityLimiter(math.inf)  # anyio's own limits would be a second queue behind ours

    async def call(self, run: Run) -> Result:
        """Run the function in its way. Raises only the cancellation of the worker itself, and ArgumentsUnfit."""
        run.harakiri = run.task.harakiri(run.claim.message.options) or self._default_harakiri
        if run.in_process:  # a suspect alone, and behind nobody
            return await self._in_process(run, self._suspects if is_suspect(run.claim.message) else self._processes)
        message = run.claim.message
        args, kwargs = call_arguments(run.task, message.arguments, message.raw, run.claim.body)
        if not run.task.is_async:
            return await self._in_thread(run, args, kwargs)
        if run.harakiri is None:
            return await self._attempt(run, args, kwargs)
        with self._stoppable(run) as scope:
            return await self._attempt(run, args, kwargs)
        return _stopped(run) if scope.cancelled_caught else Failure("it ended without a result")

    # --- the three ways --------------------------------------------------------------------------------------

    async def _in_thread(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        # The end may be noted in the thread, before the loop hears of it, if nothing else has a say in it.
        notes_done = not self._middleware and not wants_result(run)
        call = run.thread = ThreadCall(run, args, kwargs, notes_done=notes_done)
        if not await self._take_place(run, self._threads):
            return _stopped(run)
        try:
            with self._stoppable(run):
                try:
                    return await self._attempt(run, args, kwargs)
                finally:
                    if not call.revoke() and call.is_running:
                        run.where = run.stack()
            # The thread goes on, and so the message stays held, and its place taken, until it ends.
            while call.is_running:  # noqa: ASYNC110 - it cannot set an event once it is abandoned
                await sleep(ENDED_POLL)
        finally:
            self._threads.release_on_behalf_of(run)
        return self.said_by_thread(run) or _stopped(run)

    async def _in_process(self, run: Run, limiter: CapacityLimiter) -> Result:
        if not await self._take_place(run, limiter):
            return _stopped(run)
        try:
            with self._stoppable(run):
                return await self._attempt(run, (), {})
        finally:
            self._messages.read()
            limiter.release_on_behalf_of(run)
        return _stopped(run)

    async def _take_place(self, run: Run, limiter: CapacityLimiter) -> bool:
        """Wait for a place; False when the job was cancelled meanwhile."""
        try:
            limiter.acquire_on_behalf_of_nowait(run)
        except WouldBlock:
            with CancelScope() as run.scope:
                await limiter.acquire_on_behalf_of(run)
            return not run.scope.cancelled_caught
        return True

    # --- one attempt, through the onion ----------------------------------------------------------------------

    async def _attempt(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        try:
            if self._middleware:
                value = await onion(self._middleware, lambda _: self._call(run, args, kwargs))(run.job)
            elif run.thread is None and not run.in_process:
                value = await run.task.run_here(run.job, args, kwargs)
            else:
                value = await self._call(run, args, kwargs)
            return self._said(run, value)
        except _Failed as failed:
            return failed.failure
        except BaseException as error:
            if isinstance(error, get_cancelled_exc_class()) and _is_around_us():
                if run.harakiri is not None and not run.in_process:
                    run.where = failure_of(error, None).traceback
                raise
            if isinstance(error, get_cancelled_exc_class()) and run.is_late:
                return _stopped(run)
            if run.failure is not None and error is run.raised:
                return run.failure
            return failure_of(error, run.task.options.retry_on)

    def _call(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
        """Call the function: what it returns. Raises what it raises."""
        if run.thread is not None:
            return self._call_in_thread(run, run.thread)
        if run.in_process:
            return self._call_in_process(run)
        coroutine: Awaitable[Any] = run.task.run_here(run.job, args, kwargs)
        return coroutine

    async def _call_in_thread(self, run: Run, call: ThreadCall) -> Any:
        await to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=self._unlimited)
        if call.error is not None:
            if not self._middleware:  # a StopIteration cannot be raised here
                raise _Failed(failure_of(call.error, run.task.options.retry_on))
            raise call.error
        # A sync function around an async one gives a coroutine: it is for the event loop to run.
        return await call.value if inspect.iscoroutine(call.value) else call.value

    async def _call_in_process(self, run: Run) -> Any:
        child_job = self._child_job(run)
        try:
            with self._messages.of(run, child_job.number):
                if run.harakiri is None:
                    end = await self._end_of_child(child_job)
                else:
                    end = await self._end_of_asked_child(run, child_job)
        except BrokenWorkerProcess:
            reason = (
                "its process died: it was killed, ran out of memory, ended itself, or could not load the worker's "
                'script (which must start its worker under `if __name__ == "__main__":`)'
            )
            self._fail(run, Failure(reason, crashed=True))
        run.job.take_over(end.buffer, end.retries_left, end.next_at)
        if isinstance(end.result, Failure):
            self._fail(run, end.result)
        return end.result.value if isinstance(end.result, Returned) and self._middleware else end.result

    async def _end_of_child(self, child_job: ChildJob) -> ChildEnd:
        return await to_process.run_sync(run_in_child, child_job, cancellable=True, limiter=self._unlimited)

    async def _end_of_asked_child(self, run: Run, child_job: ChildJob) -> ChildEnd:
        """The same; but before harakiri ends the child, it is asked where it is."""
        end: ChildEnd | None = None
        failed: Exception | None = None
        async with create_task_group() as group:
            with CancelScope(shield=True) as ending:
                group.start_soon(self._ask_child, run, ending)
                try:
                    end = await self._end_of_child(child_job)
                except Exception as error:  # raised outside of the group, which would wrap it
                    failed = error
            group.cancel_scope.cancel()
        if failed is not None:
            raise failed
        if end is None:
            await checkpoint()  # for the cancellation that ended the child
            raise AssertionError("nothing else ends a child that says nothing")
        return end

    async def _ask_child(self, run: Run, ending: CancelScope) -> None:
        """When harakiri stops a job, see where it is; whoever stops it, the child is ended then."""
        try:
            await sleep_forever()
        finally:
            self._messages.read()
            if run.child is not None and run.was_told_to_stop and not run.is_cancelled:
                with CancelScope(shield=True):
                    run.where = await child_stack.ask(*run.child)
            ending.cancel()

    def _fail(self, run: Run, failure: Failure) -> NoReturn:
        """Raise what a child process could only tell; for middleware as the task's own exception, or TaskFailed."""
        if not self._middleware:
            raise _Failed(failure)
        run.failure = failure
        run.raised = raised_again(failure.error, failure.reason, failure.traceback)
        raise run.raised

    # --- what it said ----------------------------------------------------------------------------------------

    def _said(self, run: Run, value: Any) -> Result:
        if isinstance(value, _SAID) and value is not SPOOL_OK:
            return value
        if not wants_result(run):
            return SPOOL_OK
        return Returned(written=run.task.written_result(value))

    def said_by_thread(self, run: Run) -> Result | None:
        """What a function has said that ended in its thread, though nobody waited for it any more; None if it has not.

        Middleware that was stopped has not done its part, however the function ended meanwhile.
        """
        call = run.thread
        if call is None or not call.has_ended or self._middleware:
            return None
        if call.error is not None:
            return failure_of(call.error, run.task.options.retry_on)
        if inspect.iscoroutine(call.value):
            call.value.close()
            return None
        return self._said(run, call.value)

    # --- scopes ----------------------------------------------------------------------------------------------

    @contextmanager
    def _stoppable(self, run: Run) -> Iterator[CancelScope]:
        """The scope that stops a job: after its harakiri, or when somebody cancels it."""
        deadline = math.inf if run.harakiri is None else current_time() + run.harakiri
        run.must_end(deadline + self._grace)
        with CancelScope(deadline=deadline) as scope:
            run.scope = scope
            if run.is_cancelled:  # while it waited for its place
                scope.cancel()
            yield scope

    def _child_job(self, run: Run) -> ChildJob:
        message, function, sender = run.claim.message, run.task.function, run.task.sender
        return ChildJob(
            parent=os.getpid(),
            output=self._output,
            messages=self._messages.path,
            number=self._messages.next_number(),
            module=module_of(function),
            included_by=tuple(sender.included_by()) if isinstance(sender, Tasks) else (),
            qualname=function.__qualname__,
            name=run.task.name,
            message=replace(message, body=None),
            spool=run.side.spool.address,
            attempt=run.job.attempt,
            retries_left=run.job.retries_left,
            reader=run.claim.body.reader,
            seat=run.seat,
            entry=run.entry,
            wants_value=bool(self._middleware),
            keeps_result=wants_result(run),
            working_dir=run.task.working_dir(message.options),
            begin=self._begin_child,
            prepare=self._prepare_child,
            has_harakiri=run.harakiri is not None,
            is_suspect=run.task.options.executor != "process",
        )


def wants_result(run: Run) -> bool:
    """Whether what it returns is kept."""
    options = run.claim.message.options
    return bool(options or run.task.options.keep_result) and run.task.keep_result(options) is not None


def _is_around_us() -> bool:
    """Whether a cancellation comes from a scope around us, and not from the job itself."""
    return current_effective_deadline() == -math.inf


def _stopped(run: Run) -> Failure:
    if run.is_cancelled or run.harakiri is None:
        return Failure("it was stopped")
    return Failure(f"harakiri: it was stopped after {run.harakiri:g} s", run.where)
