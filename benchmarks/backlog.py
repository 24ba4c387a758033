"""Long queues: what one more task costs when a million wait already, and who gets through them at once."""

import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import bare
from .filling import fill
from .kernel import MEBIBYTE, peak_bytes
from .programs import COUNT
from .reports import script, wait_for_report, worker
from .scale import scaled
from .scenario import Figures, Goal, Scenario

PATIENCE = 600.0  # seconds
DAY = 86_400.0  # seconds
STREAM = 200  # tasks a second that a client spools meanwhile
PAUSE = 0.5  # seconds between two urgent ones
MEMORY = 300.0  # MiB


def scenarios() -> Sequence[Scenario]:
    waiting = scaled(1_000_000, 200_000)
    first = scaled(200_000, 120_000)  # of them, that are drained: enough for a second look at the directory
    return (_cost(waiting, first), _urgent(waiting, first), _future(waiting))


# --- what a task costs -----------------------------------------------------------------------------------


def _cost(waiting: int, first: int) -> Scenario:
    short, long = "1,000 files", f"{waiting:,} files"
    return Scenario(
        group="backlog",
        name="cost per task with many files waiting",
        contenders={
            short: partial(cost, 1_000, 1_000, repetitions=5),
            "100,000 files": partial(cost, 100_000, 100_000),
            long: partial(cost, waiting, first),
        },
        goals=(
            Goal(figure="µs per task", of=long, to=short, at_most=2.5),
            Goal(figure="times the bare loop", of=long, at_most=2.5),
            Goal(figure="peak MiB", of=long, at_most=MEMORY),
        ),
        rounds=3,
        notes=f"From the first task to the last of one worker process. Of the longest queue the first {first:,} are "
        "drained, while it is longest: the worker knows 100,000 names at a time, so it reads the whole directory again "
        "meanwhile. The bare loop lists the directory once and makes aspool's system calls for as many files of the "
        "same directory, which is filled up again before. Before a drain all is on the disk, and what is drained is in "
        "memory too.",
    )


def cost(waiting: int, drained: int, directory: Path, *, repetitions: int = 1) -> Figures:
    """A worker and the bare loop drain so many files of the same directory."""
    spool = directory / "spool"
    fill(spool, waiting - drained)
    runs: list[dict[str, float]] = []
    for _ in range(repetitions):
        fill(spool, drained)
        warm_up(spool, drained)
        figures = drain(directory, drained)
        fill(spool, drained)
        warm_up(spool, drained)
        calls = bare_loop(spool, drained)
        runs.append(figures | {"bare loop µs": calls, "times the bare loop": figures["µs per task"] / calls})
    return {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}


def drain(directory: Path, drained: int) -> dict[str, float]:
    """One worker process drains so many no-ops, and is ended then."""
    with worker(directory, "draining", environment={COUNT: drained}) as process:
        figures = wait_for_report(directory, "drained", PATIENCE, process)
        figures |= {"peak MiB": peak_bytes(process.process.pid) / MEBIBYTE}
        process.process.terminate()  # in order: what it holds must not count as a crash for the next worker
        process.wait(PATIENCE)
        return figures


def bare_loop(spool: Path, drained: int) -> float:
    """Microseconds per file for nothing but the system calls, the listing among them."""
    begun = time.monotonic()
    place = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    for name in earliest(spool, drained):
        bare.drain_all(name, place)
    os.close(place)
    return (time.monotonic() - begun) / drained * 1e6


def warm_up(spool: Path, count: int) -> None:
    """Have the files in memory that are drained next: a kernel that has dropped some would be what is measured."""
    for name in earliest(spool, count):
        (spool / name).read_bytes()


def earliest(spool: Path, count: int) -> list[str]:
    """The names of so many files, in the order of work."""
    return sorted(name for name in os.listdir(spool) if name.startswith(bare.PREFIX))[:count]


# --- who gets through ------------------------------------------------------------------------------------


def _urgent(waiting: int, first: int) -> Scenario:
    return Scenario(
        group="backlog",
        name="urgent tasks during a long drain",
        contenders={"aspool": partial(urgent, waiting, first)},
        goals=(
            Goal(figure="worst s late", at_most=1.0),
            Goal(figure="urgent tasks", at_least=10),
            Goal(figure="peak MiB", at_most=MEMORY),
        ),
        rounds=1,
        notes=f"{waiting:,} files wait. While a worker drains the first {first:,} of them, a client spools {STREAM} "
        f"no-ops a second and every {PAUSE:g} s a task of priority 0. Late: from the call of spool() to the run.",
    )


def urgent(waiting: int, drained: int, directory: Path) -> Figures:
    """How late the urgent ones are."""
    fill(directory / "spool", waiting)
    environment = {COUNT: drained}
    with worker(directory, "draining", environment=environment) as process:
        wait_for_report(directory, "begun", PATIENCE, process)
        with script(directory, "stream", STREAM, PAUSE, environment=environment) as client:
            figures = wait_for_report(directory, "drained", PATIENCE, process, client)
        return figures | {"peak MiB": peak_bytes(process.process.pid) / MEBIBYTE}


def _future(waiting: int) -> Scenario:
    return Scenario(
        group="backlog",
        name="1,000 due tasks among many future ones",
        contenders={"aspool": partial(future, waiting, 1_000)},
        goals=(Goal(figure="peak MiB", at_most=MEMORY),),
        rounds=1,
        notes=f"{waiting:,} files are due tomorrow, 1,000 now. Seconds since the worker's first look at the directory.",
    )


def future(waiting: int, due: int, directory: Path) -> Figures:
    """When a worker has found and run the due ones."""
    fill(directory / "spool", waiting, ahead=DAY)
    fill(directory / "spool", due)
    return drain(directory, due)
