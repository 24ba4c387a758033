"""How many tasks are spooled in a second, in four ways, beside uWSGI's C call, a bare loop and SQLite."""

import importlib.util
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio

from . import bare, uwsgi
from .jobs import TEXT, Application, Durability, application
from .scale import scaled
from .scenario import Contender, Figures, Goal, Scenario

COROUTINES = 100
RATE = "tasks/s"
SYNC, ONE, MANY, BATCH = "spool_sync", "spool, 1 coroutine", "spool, 100 coroutines", "spool_many"
UWSGI, BARE, SQLITE, SQLITE_WAL = "uWSGI", "bare loop", "SQLite", "SQLite with WAL"

Way = Callable[[Application, int], Awaitable[None]]


def scenarios() -> Sequence[Scenario]:
    return [
        Scenario(
            group="enqueue",
            name='spool, durability "process"',
            contenders=_ways("process", 10_000) | {BARE: _bare(10_000), UWSGI: _uwsgi},
            goals=(
                Goal(figure=RATE, of=SYNC, to=BARE, at_least=0.5),
                Goal(figure=RATE, of=ONE, to=UWSGI, at_least=0.25),
                Goal(figure=RATE, of=MANY, to=BARE, at_least=0.4),
                Goal(figure=RATE, of=BATCH, to=BARE, at_least=0.6),
            ),
            notes="Each task has one argument of 100 characters. The bare loop makes aspool's system calls and nothing "
            "else; uWSGI's C call is made from Python in a process without a spooler. None of them calls fsync.",
        ),
        Scenario(
            group="enqueue",
            name='spool, durability "disk"',
            contenders=_ways("disk", 500) | {BARE: _bare(500, durable=True), SQLITE: _sqlite("DELETE"),
                                             SQLITE_WAL: _sqlite("WAL")},
            goals=(
                Goal(figure=RATE, of=MANY, to=SQLITE, at_least=1.0),
                Goal(figure=RATE, of=MANY, to=SQLITE_WAL, at_least=1.0),
            ),
            places=("ext4",),  # on a tmpfs an fsync does nothing
            notes="Everything is on the disk when the call returns. SQLite has synchronous=FULL and one transaction "
            "for each task, in one thread. uWSGI is missing: it has no such mode.",
        ),
    ]  # fmt: skip


def has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


# --- aspool ----------------------------------------------------------------------------------------------


async def _one_after_the_other(jobs: Application, count: int) -> None:
    for _ in range(count):
        jobs.nothing.spool_sync(TEXT)


async def _one_coroutine(jobs: Application, count: int) -> None:
    for _ in range(count):
        await jobs.nothing.spool(TEXT)


async def _many_coroutines(jobs: Application, count: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(COROUTINES):
            group.start_soon(_one_coroutine, jobs, count // COROUTINES)


async def _all_at_once(jobs: Application, count: int) -> None:
    await jobs.spooler.spool_many([jobs.nothing.call(TEXT) for _ in range(count)])


def _ways(durability: Durability, alone: int) -> dict[str, Contender]:
    """A contender for each way; `alone` calls where each waits for the one before it, more where they share."""
    together = max(alone, 3000)
    return {
        SYNC: _aspool(_one_after_the_other, durability, alone),
        ONE: _aspool(_one_coroutine, durability, alone),
        MANY: _aspool(_many_coroutines, durability, together),
        BATCH: _aspool(_all_at_once, durability, together),
    }


def _aspool(way: Way, durability: Durability, full: int) -> Contender:
    def measure(directory: Path) -> Figures:
        count = scaled(full, full // 5)

        async def run() -> float:
            jobs = application(directory / "spool", durability)
            await jobs.nothing.spool(TEXT)  # opens the spool and starts the threads
            started = time.perf_counter()
            await way(jobs, count)
            taken = time.perf_counter() - started
            await jobs.spooler.aclose()
            return count / taken

        return {RATE: anyio.run(run, backend_options={"use_uvloop": has_uvloop()})}

    return measure


# --- the others ------------------------------------------------------------------------------------------


def _uwsgi(directory: Path) -> Figures:
    return {RATE: uwsgi.fill(directory, directory / "spool", scaled(10_000, 2_000))}


def _bare(full: int, *, durable: bool = False) -> Contender:
    return lambda directory: {RATE: bare.publish(directory, scaled(full, full // 5), durable=durable)}


def _sqlite(journal: str) -> Contender:
    def measure(directory: Path) -> Figures:
        count = scaled(500, 100)
        with sqlite3.connect(directory / "queue.sqlite", isolation_level=None) as queue:
            queue.execute(f"PRAGMA journal_mode={journal}")
            queue.execute("PRAGMA synchronous=FULL")
            queue.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, due REAL NOT NULL, name TEXT, arguments TEXT)")
            started = time.perf_counter()
            for _ in range(count):
                values = (time.time(), "nothing", TEXT)
                queue.execute("INSERT INTO task (due, name, arguments) VALUES (?, ?, ?)", values)
            return {RATE: count / (time.perf_counter() - started)}

    return measure
