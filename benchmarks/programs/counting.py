"""The application of several workers on one directory: each counts what it tried and what came of it.

A worker begins when BENCH_ROOT/go is there, so that all begin at once.
"""

import atexit
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from aspool import DirectorySpool, Spooler
from aspool.protocol import WorkerSide
from aspool.spools.directory.claim import BUSY, GONE, Candidate, Claimer, FileClaim, Skip
from aspool.spools.directory.limits.gate import LIMITED

from ..filling import TASK
from ..reports import ROOT, report
from ..stopwatch import Stopwatch

root = Path(os.environ[ROOT])
CLAIMED = "claimed"
tries: Counter[str] = Counter()  # why a file was not claimed, or that it was
stopwatch = Stopwatch(root)


class WaitingSpool(DirectorySpool):
    """A directory spool that is not served before the others are ready too."""

    @asynccontextmanager
    async def serving(self, side: WorkerSide) -> AsyncIterator[None]:
        """As the spool's own, but later."""
        (root / f"ready-{os.getpid()}").touch()
        while not (root / "go").exists():  # noqa: ASYNC110 - another process makes it
            await anyio.sleep(0.002)
        async with super().serving(side):
            yield


spooler = Spooler(WaitingSpool(root / "spool", durability="process"))


@spooler.task(name=TASK)
async def noop(number: int) -> None:  # noqa: ARG001 - it travels
    stopwatch.start()
    stopwatch.end()


def count_tries() -> None:
    """Let every try to claim a file be counted, by what came of it."""
    claim_all = Claimer.claim_all

    def counted(claimer: Claimer, candidates: Sequence[Candidate], now: float) -> list[FileClaim | Skip]:
        answers = claim_all(claimer, candidates, now)
        tries.update(answer.why if isinstance(answer, Skip) else CLAIMED for answer in answers)
        return answers

    Claimer.claim_all = counted  # type: ignore[assignment, method-assign]


@atexit.register
def tell() -> None:
    """What this worker tried."""
    told = {CLAIMED: tries[CLAIMED], "refused": tries[BUSY], "vanished": tries[GONE], "kept back": tries[LIMITED]}
    report(f"tries-{os.getpid()}", told)


count_tries()
