"""What happens in a child process that runs one job: find the task by name, run it, say in plain values how it went.

The child is an anyio process worker; standard output of the job goes to the worker's standard error.
"""

import asyncio
import ctypes
import importlib
import inspect
import json
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from types import ModuleType
from typing import Any

from ..body import Body, BodyReader
from ..collection import Tasks
from ..errors import ArgumentsRefused, ArgumentsUnfit
from ..failures import Failure, Result, Returned, failure_of
from ..job import Again, Job, enter_job
from ..message import Message, written_buffer
from ..outcomes import SPOOL_OK, SPOOL_RETRY, spoken
from ..protocol import Entry, Progress, Seat
from ..spooler import Spooler
from ..task import HANDLER, Task
from . import child_stack
from .call import call_arguments
from .run import MISSING, again
from .saying import say

_PR_SET_PDEATHSIG = 1
LONGEST_TEXT = 600  # characters of a log line: as JSON it must fit into one write to a pipe, whatever they are


@dataclass(frozen=True, slots=True)
class ChildJob:
    """All that a child needs to run one job; it travels pickled."""

    parent: int  # pid of the worker
    output: str  # the path of the pipe to its standard error
    messages: str  # the path of the pipe for what the job says, and the number of its run there
    number: int
    module: str
    included_by: tuple[str, ...]  # modules that give the task its Spooler, if its own does not
    qualname: str
    name: str
    message: Message
    spool: str  # the address of its spool
    attempt: int
    retries_left: int
    reader: BodyReader
    seat: Seat | None
    entry: Entry
    wants_value: bool  # for middleware
    keeps_result: bool
    working_dir: str | None
    begin: Callable[[Job[Any]], None] | None = None  # called with the job before it runs
    prepare: Callable[[str], None] | None = None  # called with the task's name before it is looked for
    has_harakiri: bool = False
    is_suspect: bool = False  # it is here for what it may do, not because its task wants it


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a job in a child ended, and what it changed of its message."""

    result: Result
    retries_left: int = 0
    buffer: dict[str, Any] | None = None
    next_at: float | None = None


class _ChildSide:
    """What a Job asks, in a child: the worker is told through a pipe (job.JobSide)."""

    def __init__(self, child_job: ChildJob, task: Task[..., Any, Any]) -> None:
        self._child_job = child_job
        self._task = task
        self.opened: Any = MISSING

    def progressed(self, progress: Progress) -> None:
        """Straight onto the scoreboard, if there is one."""
        self._child_job.entry.got_on(progress)
        seat = self._child_job.seat
        if seat is None or not seat.write(self._child_job.entry):
            self._say("progress", [progress.done, progress.total, progress.text[:LONGEST_TEXT]])

    def extend(self, seconds: float) -> None:
        """The worker moves its harakiri."""
        self._say("extend", seconds)

    def set_harakiri(self, seconds: float | None) -> None:
        """The worker does."""
        self._say("set_harakiri", seconds)

    def logged(self, level: int, text: str) -> bool:
        """The worker writes it to its log."""
        self._say("log", [level, text[:LONGEST_TEXT]])
        return True

    def again(self, job: Job[Any]) -> Again:
        """Its task, into the same spool."""
        message = self._child_job.message
        return again(self._task, job, self._child_job.spool, message.priority, message.options)

    @property
    def resources(self) -> Any:
        """They live in the worker's process; only what runs here as a suspect has some of its own."""
        if self.opened is MISSING:
            raise LookupError(f"{self._task.name} runs in a process of its own: the worker's resources are not there")
        return self.opened

    def _say(self, what: str, value: Any) -> None:
        say(self._child_job.messages, self._child_job.number, what, value)


def run_in_child(child_job: ChildJob) -> ChildEnd:
    """Run one job. Whatever it raises comes back as a Failure, SystemExit and KeyboardInterrupt too."""
    _ignore_signals_of_the_terminal()
    sys.modules.setdefault("__main__", ModuleType("__mp_main__"))  # anyio leaves none, if the worker's has no file
    with child_job.reader.hold(), _streams(child_job.output):
        _die_with(child_job.parent)
        if child_job.has_harakiri:
            say(child_job.messages, child_job.number, "child", [os.getpid(), child_stack.offer()])
        try:
            if child_job.prepare is not None:
                child_job.prepare(child_job.name)
            task = _find_task(child_job)
        except BaseException as error:
            failure = failure_of(error, None)
            return ChildEnd(Failure(f"{child_job.name} cannot be imported: {failure.reason}", failure.traceback))
        return _run(child_job, task)


def _run(child_job: ChildJob, task: Task[..., Any, Any]) -> ChildEnd:
    message = child_job.message
    side = _ChildSide(child_job, task)
    job: Job[Any] = Job(
        message.id, child_job.name, attempt=child_job.attempt, retries_left=child_job.retries_left, at=message.due,
        buffer=message.buffer, firing=message.firing, origin=message.origin, side=side,
    )  # fmt: skip
    body = Body(reader=child_job.reader)
    enter_job(job)
    try:
        if child_job.begin is not None:
            child_job.begin(job)
        with _working_dir(child_job.working_dir):
            result = _call(child_job, task, job, body, side)
    except ArgumentsUnfit as error:
        result = Failure(str(error), retriable=False)
    except BaseException as error:
        result = failure_of(error, task.options.retry_on)
    finally:
        body.close()
    return _end(job, result)


def _end(job: Job[Any], result: Result) -> ChildEnd:
    """What goes back to the worker: a buffer that cannot travel stays here, and ends the retries of its message."""
    buffer = job.touched_buffer
    try:
        if buffer is not None:  # plain values travel, whatever classes they are of
            buffer = json.loads(written_buffer(buffer))
    except ArgumentsRefused as error:
        buffer = None
        if result is SPOOL_RETRY:
            result = Failure("it returned SPOOL_RETRY")
        if isinstance(result, Failure):
            result = replace(result, reason=f"{result.reason}; it cannot run again: {error}", retriable=False)
    return ChildEnd(result, job.retries_left, buffer, job.next_at)


def _call(child_job: ChildJob, task: Task[..., Any, Any], job: Job[Any], body: Body, side: _ChildSide) -> Result:
    args, kwargs = call_arguments(task, child_job.message.arguments, child_job.message.raw, body)
    call = partial(task.run_here, job, args, kwargs)
    resources = _resources_of(task)
    if child_job.is_suspect and resources is not None:
        value = asyncio.run(_call_with(resources, side, call))
    else:
        value = call()
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
    if child_job.wants_value:
        return Returned(value if _travels(value) else None)
    said = spoken(value)
    if said is not SPOOL_OK:
        return said
    if child_job.keeps_result:
        return Returned(written=task.written_result(value))
    child_job.reader.note_done()
    return said


def _resources_of(task: Task[..., Any, Any]) -> Callable[[], AbstractAsyncContextManager[Any]] | None:
    owner = task.sender.owner() if isinstance(task.sender, Tasks) else None
    return owner.resources if isinstance(owner, Spooler) else None


async def _call_with(
    resources: Callable[[], AbstractAsyncContextManager[Any]], side: _ChildSide, call: Callable[[], Any]
) -> Any:
    """A suspect must find what it would find in its worker."""
    async with resources() as side.opened:
        value = await asyncio.to_thread(call)
        return await value if inspect.iscoroutine(value) else value


def _travels(value: Any) -> bool:
    """Whether a value can go back to the worker."""
    try:
        pickle.dumps(value)
    except Exception:  # whatever its class raises
        return False
    return True


@contextmanager
def _working_dir(path: str | None) -> Iterator[None]:
    """Run in a directory. Raises OSError when it is not there."""
    if path is None:
        yield
        return
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def _die_with(parent: int) -> None:
    """Let the kernel end this process with its worker, whose lock on the message would be free while we go on."""
    _ask_for_death_signal()
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel knew of us


@cache
def _ask_for_death_signal() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@cache
def _ignore_signals_of_the_terminal() -> None:
    """Ctrl-C reaches the whole process group, but whether a job stops is for the worker to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def _streams(output: str) -> Iterator[None]:
    """While a job runs, descriptors 1 and 2 lead to the worker's standard error and 0 is empty.

    Otherwise a program that the job starts would write into the pipe to the worker.
    """
    kept = [os.dup(number) for number in (0, 1, 2)]
    quiet = os.open(os.devnull, os.O_RDWR)
    try:
        loud = os.open(output, os.O_WRONLY)
    except OSError:  # no /proc here
        loud = os.dup(quiet)
    os.dup2(quiet, 0)
    os.dup2(loud, 1)
    os.dup2(loud, 2)
    out, err = sys.stdout, sys.stderr
    stream = open(loud, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115 - closed below
    sys.stdout = sys.stderr = stream
    try:
        yield
    finally:
        try:
            stream.close()  # whatever the job has put in its place
        except OSError:
            pass
        sys.stdout, sys.stderr = out, err
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)
        os.close(quiet)


def _find_task(child_job: ChildJob) -> Task[..., Any, Any]:
    """The task by the place of its function: `module.qualname` names the Task that the decorator left there."""
    module = _module(child_job.module)
    found: Any = module
    for part in child_job.qualname.split("."):
        found = getattr(found, part)
    for name in child_job.included_by:
        _module(name)
    if isinstance(found, Task) and found.name == child_job.name:
        return found
    # A decorator above ours, a second schedule, the handler of raw messages: look in the Spoolers and groups there.
    for value in vars(module).values():
        task = None
        if isinstance(value, Spooler) and child_job.name == HANDLER:
            task = value.raw_handler
        elif isinstance(value, Tasks):
            task = value.tasks.get(child_job.name)
        if task is not None:
            return task
    if isinstance(found, Task):
        return found
    raise LookupError(f"{child_job.module}.{child_job.qualname} is no task")


def _module(name: str) -> Any:
    """The module; the worker's own script was loaded as `__mp_main__` already."""
    main = sys.modules.get("__mp_main__")
    stem = os.path.splitext(os.path.basename(getattr(main, "__file__", None) or ""))[0]
    if main is not None and stem == name and name not in sys.modules:
        return main
    return importlib.import_module(name)
