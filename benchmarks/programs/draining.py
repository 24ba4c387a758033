"""The application of a worker that drains no-ops: it reports how long they took, and how late urgent ones were.

BENCH_ROOT/spool is the spool, BENCH_COUNT how many no-ops make the figures.
"""

import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aspool import DirectorySpool, Spooler
from aspool.protocol import WorkerSide

from ..filling import TASK
from ..reports import ROOT, report
from . import COUNT


class Clock:
    """When the worker began to look, when the first no-op ran, and when the last. All moments are monotonic."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.runs = 0
        self.begun = self.first = 0.0
        self.late: list[float] = []  # seconds, of the urgent ones

    def ran(self) -> None:
        """One more has run."""
        self.runs += 1
        if self.runs == 1:
            self.first = time.monotonic()
            report("begun", {})
        if self.runs == self.tasks:
            self._report(time.monotonic())

    def _report(self, last: float) -> None:
        figures = {
            "µs per task": (last - self.first) / (self.tasks - 1) * 1e6,
            "s to the first": self.first - self.begun,
            "s to the last": last - self.begun,
        }
        if self.late:
            figures |= {
                "urgent tasks": len(self.late),
                "median s late": statistics.median(self.late),
                "worst s late": max(self.late),
            }
        report("drained", figures)


class TimedSpool(DirectorySpool):
    """A directory spool that tells when a worker begins to serve it."""

    @asynccontextmanager
    async def serving(self, side: WorkerSide) -> AsyncIterator[None]:
        """As the spool's own."""
        clock.begun = time.monotonic()
        async with super().serving(side):
            yield


clock = Clock(int(os.environ[COUNT]))
spooler = Spooler(TimedSpool(Path(os.environ[ROOT]) / "spool", durability="process"))


@spooler.task(name=TASK)
async def noop(number: int) -> None:  # noqa: ARG001 - it travels
    clock.ran()


@spooler.task(name="urgent", priority=0)
async def urgent(sent: float) -> None:
    clock.late.append(time.monotonic() - sent)
