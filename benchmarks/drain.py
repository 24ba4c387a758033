"""How many tasks are run in a second: real worker processes beside real uWSGI spoolers and bare loops."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import anyio

from aspool import Call

from . import bare, uwsgi
from .enqueue import has_uvloop
from .jobs import NOTES, TEXT, Application, application
from .places import settle
from .processes import Running, program, running, wait_for_jobs
from .scale import scaled
from .scenario import Contender, Figures, Goal, Scenario

TASKS, SLEEPS = 20_000, 10_000
SLEEP = 0.01  # seconds
PATIENCE = 300  # seconds
RATE = "tasks/s"


def scenarios() -> Sequence[Scenario]:
    return [
        Scenario(
            group="drain",
            name="no-ops, one process",
            contenders={
                "aspool": _aspool(_nothing, TASKS),
                "aspool in threads": _aspool(_nothing_in_threads, TASKS // 2),
                "uWSGI": partial(_uwsgi, processes=1),
                "bare loop, all calls": partial(_bare, one=bare.drain_all),
                "bare loop, least": partial(_bare, one=bare.drain_least),
            },
            goals=(Goal(figure=RATE, to="uWSGI", at_least=0.4),),
            notes=_NOTES,
        ),
        Scenario(
            group="drain",
            name="no-ops, two processes",
            contenders={
                "aspool": _aspool(_nothing, TASKS, processes=2),
                "aspool in threads": _aspool(_nothing_in_threads, TASKS // 2, processes=2),
                "uWSGI": partial(_uwsgi, processes=2),
            },
            goals=(Goal(figure=RATE, to="uWSGI", at_least=0.5),),
            notes=_NOTES,
        ),
        Scenario(
            group="drain",
            name="10 ms sleeps, 100 at a time, one process",
            contenders={"aspool": _aspool(_sleeps, SLEEPS), "bare asyncio": _bare_asyncio},
            goals=(Goal(figure=RATE, at_least=7000),),
            notes="100 at a time, each 10 ms: 10,000 a second would be ideal. The bare asyncio loop has 100 "
            "coroutines that sleep one time after the other, and no queue at all.",
        ),
    ]


_NOTES = (
    "From the start of the first task to the end of the last, as the processes themselves noted. aspool runs with "
    "uvloop where that is installed. The uWSGI handler is a plain Python function. The bare loops make aspool's system "
    "calls for each file, in one process, and nothing else."
)


# --- aspool ----------------------------------------------------------------------------------------------


def _nothing(jobs: Application, count: int) -> list[Call[None]]:
    return [jobs.nothing.call(TEXT) for _ in range(count)]


def _nothing_in_threads(jobs: Application, count: int) -> list[Call[None]]:
    return [jobs.nothing_in_thread.call(TEXT) for _ in range(count)]


def _sleeps(jobs: Application, count: int) -> list[Call[None]]:
    return [jobs.sleep.call(SLEEP) for _ in range(count)]


def _aspool(calls: Callable[[Application, int], list[Call[None]]], full: int, processes: int = 1) -> Contender:
    def measure(directory: Path) -> Figures:
        spool, count = directory / "spool", scaled(full, full // 10)
        jobs = application(spool)
        jobs.spooler.spool_many_sync(calls(jobs, count))
        settle()
        with ExitStack() as stack:
            workers = [stack.enter_context(worker(directory, spool, "--burst")) for _ in range(processes)]
            return {RATE: wait_for_jobs(directory, count, PATIENCE, *workers).per_second}

    return measure


def worker(directory: Path, spool: Path, *options: str) -> AbstractContextManager[Running]:
    """A real `aspool worker` on a spool."""
    command: list[str | Path] = [
        program("aspool"),
        "worker",
        "benchmarks.worker_app",
        "--log-level",
        "warning",
        *options,
    ]
    return running(command, directory, environment={"BENCH_SPOOL": spool, NOTES: directory})


# --- the others ------------------------------------------------------------------------------------------


def _uwsgi(directory: Path, processes: int) -> Figures:
    spool, count = directory / "spool", scaled(TASKS, TASKS // 10)
    uwsgi.fill(directory, spool, count)
    settle()
    return {RATE: uwsgi.drain(directory, spool, count, processes=processes).per_second}


def _bare(directory: Path, one: Callable[[str, int], None]) -> Figures:
    spool = directory / "spool"
    jobs = application(spool)
    jobs.spooler.spool_many_sync(_nothing(jobs, scaled(TASKS, TASKS // 10)))
    settle()
    return {RATE: bare.drain(spool, one)}


def _bare_asyncio(_: Path) -> Figures:
    count = scaled(SLEEPS, SLEEPS // 10)

    async def sleep_often() -> None:
        for _ in range(count // 100):
            await asyncio.sleep(SLEEP)

    async def run() -> float:
        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(sleep_often)
        return count / (time.perf_counter() - started)

    return {RATE: anyio.run(run, backend_options={"use_uvloop": has_uvloop()})}
