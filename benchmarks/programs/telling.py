"""The application whose jobs say when they said something: progress, a result, a failure, or that they were stopped.

Its clock is CLOCK_MONOTONIC, which the process that waits for them shares. BENCH_ROOT/spool is the spool.
"""

import os
from pathlib import Path

import anyio

from aspool import DirectorySpool, Job, Spooler

from ..probing import pause_length
from ..reports import ROOT
from ..stopwatch import Stopwatch, now

KEPT = 60.0  # seconds, of each result
LONG_ENOUGH = 0.1  # seconds that a job goes on after its progress: one that ends at once need not be shown
root = Path(os.environ[ROOT])
spooler = Spooler(DirectorySpool(root / "spool", durability="process"))
stopwatches: list[Stopwatch] = []  # of this process, once it has run a no-op


class Failed(Exception):
    """What a job ends with: its argument is when."""


def stopped_at(id: str) -> Path:
    """The file in which a job that was stopped writes when: it can return nothing."""
    return root / f"{id}.stopped"


@spooler.task(name="progress", keep_result=KEPT, retries=0)
async def progress(job: Job) -> None:
    await anyio.sleep(pause_length())
    job.progress(1, 2, repr(now()))
    await anyio.sleep(LONG_ENOUGH)


@spooler.task(name="result", keep_result=KEPT, retries=0)
async def result() -> float:
    await anyio.sleep(pause_length())
    return now()


@spooler.task(name="failure", keep_result=KEPT, retries=0)
async def failure() -> None:
    await anyio.sleep(pause_length())
    raise Failed(now())


@spooler.task(name="endless", keep_result=KEPT, retries=0)
async def endless(job: Job) -> None:
    job.progress(0, 1, "it runs")
    try:
        await anyio.sleep_forever()
    finally:
        stopped_at(job.id).write_text(repr(now()))


@spooler.task(name="noop")
async def noop(number: int) -> None:  # noqa: ARG001 - it travels
    if not stopwatches:
        stopwatches.append(Stopwatch(root))
    stopwatches[0].start()
    stopwatches[0].end()
