"""What happens in a child process that runs one job: find the task by name, run it, say in plain values how it went.

The child is an anyio process worker; standard output of the job goes to the worker's standard error.
"""

import asyncio
import ctypes
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..body import Body, BodyReader
from ..errors import ArgumentsUnfit
from ..job import Job, enter_job
from ..outcomes import SPOOL_OK, Failure, Result, failure_of, spoken
from ..spooler import Spooler
from ..task import HANDLER, Task
from .call import call_arguments
from .scoreboard import Entry, Seat

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ChildJob:
    """All that a child needs to run one job; it travels pickled."""

    parent: int  # pid of the worker
    output: str  # the path of the pipe to its standard error
    module: str
    qualname: str
    name: str
    id: str
    attempt: int
    retries_left: int
    at: float
    arguments: bytes
    raw: Mapping[bytes, bytes]
    reader: BodyReader
    seat: Seat | None
    entry: Entry


def run_in_child(child_job: ChildJob) -> Result:
    """Run one job. Whatever it raises comes back as a Failure, SystemExit and KeyboardInterrupt too."""
    _ignore_signals_of_the_terminal()
    with child_job.reader.hold(), _streams(child_job.output):
        _die_with(child_job.parent)
        try:
            task = _find_task(child_job)
        except BaseException as error:
            failure = failure_of(error, None)
            return Failure(f"{child_job.name} cannot be imported: {failure.reason}", failure.traceback)
        return _run(child_job, task)


def _run(child_job: ChildJob, task: Task[..., Any, Any]) -> Result:
    body = Body(reader=child_job.reader)
    job = Job(
        child_job.id, child_job.name, attempt=child_job.attempt, retries_left=child_job.retries_left, at=child_job.at,
        report=_reporter(child_job),
    )  # fmt: skip
    enter_job(job)
    try:
        args, kwargs = call_arguments(task, child_job.arguments, child_job.raw, body)
        value = task.run_here(job, args, kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        result = spoken(value)
        if result is SPOOL_OK:
            child_job.reader.note_done()
        return result
    except ArgumentsUnfit as error:
        return Failure(str(error), retriable=False)
    except BaseException as error:
        return failure_of(error, task.options.retry_on)
    finally:
        body.close()


def _reporter(child_job: ChildJob) -> Any:
    def report(done: float, total: float | None, text: str) -> None:
        if child_job.seat is not None:
            child_job.entry.got_on(done, total, text)
            child_job.seat.write(child_job.entry)

    return report


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
    sys.stdout = sys.stderr = open(loud, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115 - closed below
    try:
        yield
    finally:
        try:
            sys.stdout.close()
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
    if isinstance(found, Task):
        return found
    # A decorator above ours, or the handler of raw messages: look in the Spoolers of the module.
    for value in vars(module).values():
        if isinstance(value, Spooler):
            task = value.raw_handler if child_job.name == HANDLER else value.tasks.get(child_job.name)
            if task is not None:
                return task
    raise LookupError(f"{child_job.module}.{child_job.qualname} is no task")


def _module(name: str) -> Any:
    """The module; the worker's own script was loaded as `__mp_main__` already."""
    main = sys.modules.get("__mp_main__")
    stem = os.path.splitext(os.path.basename(getattr(main, "__file__", None) or ""))[0]
    if main is not None and stem == name and name not in sys.modules:
        return main
    return importlib.import_module(name)
