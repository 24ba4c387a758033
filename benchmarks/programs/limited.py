"""The application of several workers that run two tasks, of which one may have a limit over all of them.

As `counting`, whose Spooler it uses: each worker counts what it tried, and begins when BENCH_ROOT/go is there.
BENCH_LIMIT is the concurrency of the first task, if it has any.
"""

import os

import anyio

from ..stopwatch import Stopwatch
from . import LIMIT
from .counting import root, spooler

WORK = 0.002  # seconds
FIRST, OTHER = "first", "other"
limit = int(os.environ.get(LIMIT) or 0) or None
for name in (FIRST, OTHER):
    (root / name).mkdir(exist_ok=True)
stopwatches = {name: Stopwatch(root / name) for name in (FIRST, OTHER)}


@spooler.task(name=FIRST, concurrency=limit)
async def first(number: int) -> None:  # noqa: ARG001 - it travels
    await work(FIRST)


@spooler.task(name=OTHER)
async def other(number: int) -> None:  # noqa: ARG001
    await work(OTHER)


async def work(name: str) -> None:
    stopwatches[name].start()
    await anyio.sleep(WORK)
    stopwatches[name].end()
