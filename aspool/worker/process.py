"""A process that runs one worker: its event loop, its signals, and leaving even when a job does not stop."""

import importlib.util
import os
import select
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..job import Job
from ..settings import WorkerSettings
from ..spooler import Spooler
from .loop import Observer, Worker
from .own_process import OwnProcess
from .report import log, logger

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PATIENCE = 1.5  # seconds that threads have to end when the worker has


async def _nothing(worker: Worker) -> None:
    """Nothing runs beside it."""


def _leave(reason: str, exit_code: int) -> NoReturn:
    """At once: nothing that might wait for a lock of a job that hangs."""
    try:
        if select.select((), (2,), (), 0)[1]:  # nobody reads it, perhaps
            os.write(2, f"aspool: leaving: {reason}\n".encode(errors="backslashreplace"))
    except (OSError, ValueError):
        pass
    finally:
        os._exit(exit_code)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done about a worker by whoever runs its process.

    `process` is how it ends that; by default with an exit code, for whoever started it to start it again. `beside`
    runs in its event loop as soon as it claims. `observers` are told of events. `begin_child` is called in the
    processes of jobs, with the job, before it runs, and `prepare_child`, with the task's name, before that is imported;
    they travel there pickled.
    """

    process: OwnProcess = field(default_factory=lambda: OwnProcess(_leave))
    beside: Callable[[Worker], Awaitable[None]] = _nothing
    observers: Sequence[Observer] = ()
    begin_child: Callable[[Job[Any]], None] | None = None
    prepare_child: Callable[[str], None] | None = None
    hang_up: str = "SIGHUP"  # what that means, in words


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker has ended. `was_hung_up`: by SIGHUP alone, which is blocked now: whoever comes next unblocks it."""

    worker: Worker
    was_hung_up: bool = False


def run_worker(spooler: Spooler[Any], settings: WorkerSettings, hooks: Hooks | None = None) -> Ended:
    """Run a worker in this process until it is stopped, by a signal or by itself.

    SIGTERM, SIGINT and SIGHUP let it drain, a second one of the first two lets it hand back what runs.
    Raises SpoolUnusable when a spool cannot be used, and what the Spooler's resources raise.
    """
    hooks = hooks or Hooks()
    has_uvloop = importlib.util.find_spec("uvloop") is not None
    worker = Worker(
        spooler,
        settings,
        process=hooks.process,
        observers=(log, *hooks.observers),
        begin_child=hooks.begin_child,
        prepare_child=hooks.prepare_child,
    )
    with _obeying(worker, hooks.hang_up) as signals:
        try:
            anyio.run(_serve, worker, hooks.beside, backend_options={"use_uvloop": has_uvloop})
        except BaseExceptionGroup as group:
            raise _first(group) from None  # what went wrong, without the task groups around it
        return Ended(worker, signals.was_hung_up)


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _serve(worker: Worker, beside: Callable[[Worker], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as group:
        await group.start(_run, worker, group)
        await beside(worker)
    await worker.spooler.aclose()
    threading.Thread(target=_leave_without_threads, name="aspool-leave", daemon=True).start()


async def _run(worker: Worker, group: TaskGroup, *, task_status: TaskStatus[None]) -> None:
    await worker.run(task_status=task_status)
    group.cancel_scope.cancel()


# --- signals -----------------------------------------------------------------------------------------------------


class _Signals:
    """The first signal drains, each later one hands back, but for SIGHUP. Plain handlers interrupt a blocked loop."""

    def __init__(self, worker: Worker, hang_up: str) -> None:
        self._worker = worker
        self._hang_up = hang_up
        self._hang_ups = 0
        self._others = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signal calls it
        if number == signal.SIGHUP:
            self._hang_ups += 1
            self._worker.stop_soon(self._hang_up)
        else:
            self._others += 1
            self._worker.stop_soon(signal.Signals(number).name, at_once=self._others > 1)

    @property
    def was_hung_up(self) -> bool:
        return self._hang_ups > 0 and not self._others


@contextmanager
def _obeying(worker: Worker, hang_up: str) -> Iterator[_Signals]:
    """Only the main thread has signals. Who started this program with some ignored (nohup, a shell's &) wants it so."""
    obey = _Signals(worker, hang_up)
    if threading.current_thread() is not threading.main_thread():
        yield obey
        return
    wanted = [number for number in SIGNALS if number == signal.SIGTERM or _is_heard(number)]
    before = {number: signal.signal(number, obey) for number in wanted}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # as it was left by the program before this one
    try:
        yield obey
    finally:
        if obey.was_hung_up:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_heard(number: int) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN


# --- leaving -----------------------------------------------------------------------------------------------------


def _leave_without_threads() -> None:
    """End the process, though threads of stopped jobs go on: Python itself would wait for them for ever.

    Their messages stay locked until then, and so run nowhere else meanwhile.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and _stuck():
        time.sleep(0.05)
    if stuck := _stuck():
        logger.error(
            "leaving, though %s: %s",
            "a thread does not stop" if len(stuck) == 1 else "threads do not stop",
            ", ".join(thread.name for thread in stuck),
        )
        os._exit(0)


def _stuck() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
