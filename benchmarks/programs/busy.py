"""A program whose event loop is busy, with a worker in it: how long the spool's calls take, and how late tasks are.

`python -m benchmarks.programs.busy SECONDS TURN INTERVAL|"as it is" inline|threads`, TURN in µs, INTERVAL in s
"""

import os
import sys
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint

from aspool import DirectorySpool, Spooler
from aspool.message import Message
from aspool.outcomes import Outcome
from aspool.protocol import Claim, Stored
from aspool.spools.directory.pace import Pace
from aspool.worker.running import running

from ..enqueue import has_uvloop
from ..reports import ROOT, report

T = TypeVar("T")
PAUSE = 0.01  # seconds between two tasks that are spooled alone
BURST, BURST_PAUSE = 50, 1.0  # tasks that are spooled side by side, and how often, in seconds


class TimedSpool(DirectorySpool):
    """A directory spool that knows how long its calls took, in seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.taken: dict[str, list[float]] = {"claim": [], "finish": [], "spool": []}

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """As the spool's own."""
        return await self._timed("claim", super().claim(limit, now))

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """As the spool's own."""
        await self._timed("finish", super().finish(settled))

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """As the spool's own."""
        return await self._timed("spool", super().put(messages))

    async def _timed(self, kind: str, work: Awaitable[T]) -> T:
        begun = time.monotonic()
        result = await work
        self.taken[kind].append(time.monotonic() - begun)
        return result


spool = TimedSpool(Path(os.environ[ROOT]) / "spool")
spooler = Spooler(spool)
late: list[float] = []  # seconds from the end of spool() to the run


@spooler.task(name="noop")
async def noop(sent: float) -> None:
    late.append(time.monotonic() - sent)


async def work(turn: float) -> None:
    """What keeps the loop busy: so many seconds between two looks at what else is to do."""
    while turn:
        end = time.perf_counter() + turn
        while time.perf_counter() < end:
            pass
        await checkpoint()


async def spool_alone() -> None:
    while True:
        await noop.spool(time.monotonic())
        await anyio.sleep(PAUSE)


async def spool_in_bursts() -> None:
    while True:
        await anyio.sleep(BURST_PAUSE)
        async with anyio.create_task_group() as group:
            for _ in range(BURST):
                group.start_soon(noop.spool, time.monotonic())


async def main(seconds: float, turn: float, interval: str) -> None:
    async with running(spooler), anyio.create_task_group() as group:
        if interval != "as it is":
            sys.setswitchinterval(float(interval))  # after the worker, which shortens it
        group.start_soon(work, turn)
        group.start_soon(spool_alone)
        group.start_soon(spool_in_bursts)
        await anyio.sleep(seconds)
        group.cancel_scope.cancel()
    figures = {f"longest {kind} ms": 1000 * max(taken) for kind, taken in spool.taken.items()}
    report("busy", figures | {"longest from spool() to run ms": 1000 * max(late), "tasks": len(late)})


def never(_: Pace) -> bool:
    """Whether the disk is quick."""
    return False


if __name__ == "__main__":
    if sys.argv[4] == "threads":
        Pace.is_quick = property(never)  # type: ignore[assignment, method-assign]
    uvloop = {"use_uvloop": has_uvloop()}
    anyio.run(main, float(sys.argv[1]), int(sys.argv[2]) / 1e6, sys.argv[3], backend_options=uvloop)
