"""The application of the size tests: bodies of a gigabyte, a million files."""

import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from aspool import Body, DirectorySpool, Job, Spooler

ROOT = Path(os.environ.get("LARGE_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))
PIECE = bytes(range(256)) * 4096  # 1 MiB


def note(text: str) -> None:
    with (ROOT / "log").open("a") as file:
        file.write(f"{text}\n")


@spooler.task
async def stream(body: Body) -> None:
    digest = hashlib.blake2b()
    async for chunk in body:
        digest.update(chunk)
    note(f"async {body.size} {digest.hexdigest()}")


@spooler.task
def read(body: Body) -> None:
    digest = hashlib.blake2b()
    while chunk := body.file.read(1 << 20):
        digest.update(chunk)
    note(f"sync {body.size} {digest.hexdigest()}")


@spooler.task(executor="process")
def read_in_process(body: Body) -> None:
    digest = hashlib.blake2b()
    while chunk := body.file.read(1 << 20):
        digest.update(chunk)
    note(f"process {body.size} {digest.hexdigest()}")


@spooler.task
async def started(job: Job) -> None:
    if not (ROOT / "first").exists():
        (ROOT / "first").write_text(str(time.time()))


async def send(mebibytes: int) -> None:
    """Spool a body of so many MiB three times: from a path, from an async iterator, blocking."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(mebibytes):
            yield PIECE

    await stream.spool(Body(pieces()))
    await read.spool(Body(ROOT / "source"))
    read_in_process.spool_sync(Body(ROOT / "source"))


if __name__ == "__main__":
    anyio.run(send, int(sys.argv[1]))
