"""The application whose tasks read bodies, and the client that spools a file as a body so many times.

`python -m benchmarks.programs.bodies FILE COUNT "side by side"|"one after the other"`
"""

import os
import sys
from pathlib import Path

import anyio

from aspool import Body, DirectorySpool, Spooler

from ..kernel import peak_bytes
from ..reports import ROOT, report
from . import COUNT, SIDE_BY_SIDE

spooler = Spooler(DirectorySpool(Path(os.environ[ROOT]) / "spool", durability="process"))


class Reads:
    """How many bodies have been read."""

    def __init__(self) -> None:
        self.count = 0

    def one_more(self) -> None:
        """Reports the peak of this process at the last one."""
        self.count += 1
        if self.count == int(os.environ[COUNT]):
            report("worker", {"peak": peak_bytes()})


reads = Reads()


@spooler.task(name="read", retries=0)
async def read(body: Body) -> None:
    length = 0
    async for piece in body:
        length += len(piece)
    assert length == body.size
    reads.one_more()


async def send(file: Path, count: int, way: str) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(count):
            if way == SIDE_BY_SIDE:
                group.start_soon(read.spool, Body(file))
            else:
                await read.spool(Body(file))
    report("client", {"peak": peak_bytes()})


if __name__ == "__main__":
    anyio.run(send, Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
