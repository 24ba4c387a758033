"""What durability costs: tasks spooled in a second with "disk" and with "process", in four ways of spooling.

    python benchmarks/durability.py [DIRECTORY] [ROUNDS]

Runs are interleaved and the medians of the rounds count. Machines are noisy and disks differ: look at the ratios.
"""

import asyncio
import itertools
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio

from aspool import DirectorySpool, Spooler, Task
from aspool.cli.checks.disk import kind_of

Durability = Literal["disk", "process"]
NoteTask = Task[[str], Any, None]
Way = Callable[[Spooler, NoteTask, int], Any]

ROUNDS = 5
COROUTINES = 100
TEXT = "x" * 100  # the argument of each call: a small task, as most are
DURABILITIES: tuple[Durability, ...] = ("disk", "process")


def one_by_one_sync(spooler: Spooler, task: NoteTask, count: int) -> None:  # noqa: ARG001 - one signature for all
    for _ in range(count):
        task.spool_sync(TEXT)


async def one_coroutine(spooler: Spooler, task: NoteTask, count: int) -> None:  # noqa: ARG001
    for _ in range(count):
        await task.spool(TEXT)


async def many_coroutines(spooler: Spooler, task: NoteTask, count: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(COROUTINES):
            group.start_soon(one_coroutine, spooler, task, count // COROUTINES)


async def all_at_once(spooler: Spooler, task: NoteTask, count: int) -> None:
    await spooler.spool_many([task.call(TEXT) for _ in range(count)])


WAYS: dict[str, tuple[Way, int]] = {  # and how many tasks are spooled
    "`spool_sync`, one after the other": (one_by_one_sync, 500),
    "`await spool`, one coroutine": (one_coroutine, 500),
    f"`await spool`, {COROUTINES} coroutines": (many_coroutines, 3000),
    "`spool_many`, 3000 calls": (all_at_once, 3000),
}


def measure(way: Way, count: int, durability: Durability, below: Path) -> float:
    """Tasks spooled in a second."""
    directory = Path(tempfile.mkdtemp(prefix="durability-", dir=below))
    spooler = Spooler(DirectorySpool(directory / "spool", durability=durability))

    @spooler.task(name="note")
    async def note(text: str) -> None: ...

    async def run() -> float:
        await note.spool(TEXT)  # opens the spool, starts the threads
        started = time.perf_counter()
        done = way(spooler, note, count)
        if asyncio.iscoroutine(done):
            await done
        return time.perf_counter() - started

    try:
        return count / asyncio.run(run())
    finally:
        asyncio.run(spooler.aclose())
        shutil.rmtree(directory)


def main(below: Path, rounds: int) -> None:
    rates: dict[tuple[str, Durability], list[float]] = {}
    for _, (name, (way, count)), durability in itertools.product(range(rounds), WAYS.items(), DURABILITIES):
        rates.setdefault((name, durability), []).append(measure(way, count, durability, below))
    print(
        f"{kind_of(str(below)) or 'unknown file system'}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, median of {rounds} rounds\n"
    )
    print("| way | disk | process | process / disk |\n|---|--:|--:|--:|")
    for name in WAYS:
        disk, process = (statistics.median(rates[name, durability]) for durability in DURABILITIES)
        print(f"| {name} | {disk:,.0f}/s | {process:,.0f}/s | {process / disk:.1f} |")


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "."),
        int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS,
    )
