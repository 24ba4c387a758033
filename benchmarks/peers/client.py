"""The process that spools to a peer: no-ops as fast as it can, or probes one at a time.

`python -m benchmarks.peers.client MODULE send|probe COUNT COROUTINES`
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

import anyio

from ..enqueue import has_uvloop
from ..jobs import TEXT
from ..probing import pause, pause_length
from ..reports import report
from ..stopwatch import now


def blocking(peer: Any, what: str, count: int) -> None:
    """With plain calls."""
    peer.send(TEXT)  # opens what is to be opened
    started = now()
    for _ in range(count):
        if what == "probe":
            pause()
            peer.probe(now())
        else:
            peer.send(TEXT)
    report(what, {"tasks/s": count / (now() - started)})


async def asynchronous(peer: Any, what: str, count: int, coroutines: int) -> None:
    """With so many coroutines, each of which waits for its call."""

    async def go_on() -> None:
        for _ in range(count // coroutines):
            if what == "probe":
                await asyncio.sleep(pause_length())
                await peer.probe(now())
            else:
                await peer.send(TEXT)

    async with getattr(peer, "connected", nowhere)():
        await peer.send(TEXT)  # opens what is to be opened
        started = now()
        await asyncio.gather(*(go_on() for _ in range(coroutines)))
        report(what, {"tasks/s": count / (now() - started)})


@asynccontextmanager
async def nowhere() -> AsyncIterator[None]:
    """For a peer that needs no connection."""
    yield


def main(module: str, what: str, count: int, coroutines: int) -> None:
    peer = import_module(f".{module}", __package__)
    if iscoroutinefunction(peer.send):
        anyio.run(asynchronous, peer, what, count, coroutines, backend_options={"use_uvloop": has_uvloop()})
    else:
        blocking(peer, what, count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
