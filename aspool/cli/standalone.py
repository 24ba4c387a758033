"""The process of `aspool worker`: event loop, signals, and leaving even when a thread does not stop."""

import importlib.util
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from signal import SIGINT, SIGTERM, Signals

import anyio

from ..settings import WorkerSettings
from ..spooler import Spooler
from ..worker import Worker

logger = logging.getLogger("aspool.worker")


def run_worker(spooler: Spooler, settings: WorkerSettings) -> None:
    """Run a worker until it is stopped.

    Raises SpoolUnusable when a spool cannot be used, and what the Spooler's resources raise.
    """
    has_uvloop = importlib.util.find_spec("uvloop") is not None
    try:
        anyio.run(_serve, spooler, settings, backend_options={"use_uvloop": has_uvloop})
    except BaseExceptionGroup as group:
        raise _first(group) from None  # what went wrong, without the task groups around it


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _serve(spooler: Spooler, settings: WorkerSettings) -> None:
    worker = Worker(spooler, settings)
    with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_obey, signals, worker)
            await worker.run()
            group.cancel_scope.cancel()
    await spooler.aclose()
    leave = partial(_leave_without, settings.harakiri_grace)
    threading.Thread(target=leave, name="aspool-leave", daemon=True).start()


async def _obey(signals: AsyncIterator[Signals], worker: Worker) -> None:
    """The first signal drains, the second hands back."""
    async for signal in signals:
        if worker.stopping:
            worker.stop_now()
        else:
            worker.stop(signal.name)


def _leave_without(patience: float) -> None:
    """End the process, though threads of stopped jobs go on: Python itself would wait for them for ever.

    Their messages stay locked until then, and so run nowhere else meanwhile.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and _stuck():
        time.sleep(0.05)
    if stuck := _stuck():
        logger.error(
            "leaving, though %s: %s",
            "a thread does not stop" if len(stuck) == 1 else "threads do not stop",
            ", ".join(thread.name for thread in stuck),
        )
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _stuck() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
