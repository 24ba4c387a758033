"""200 MB through the spool, never whole in memory. `python large_body.py` spools, `aspool worker large_body` runs."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from aspool import Body, Job, Spooler

MEGABYTES = 200
spooler = Spooler("./spool")


async def lines() -> AsyncIterator[bytes]:
    """What might come from a socket or a database cursor."""
    block = b"".join(b"%07d\n" % number for number in range(131_072))
    for _ in range(MEGABYTES):
        yield block


@spooler.task
async def digest(job: Job, data: Body) -> None:
    checksum = hashlib.sha256()
    async for chunk in data:
        checksum.update(chunk)
    job.log.info("%d bytes", data.size)
    print(f"sha256 {checksum.hexdigest()}, at most {memory()} MB of memory", flush=True)


def memory() -> int:
    """The most this program ever had, as Linux says; getrusage would begin with the size of whoever started it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))  # it is in KiB


if __name__ == "__main__":
    ticket = asyncio.run(digest.spool(Body(lines())))
    print(f"spooled {ticket}, at most {memory()} MB of memory")
