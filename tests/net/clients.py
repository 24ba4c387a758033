"""A listener in this event loop, and what its peers send to it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import SocketStream

from aspool.net import Listener, listening
from aspool.protocol import Spool
from aspool.settings import ListenerSettings
from aspool.wire import encode

STORED, REFUSED = b"\xff\0\0\1", b"\xff\0\0\0"
PATIENCE = 30.0  # seconds


@asynccontextmanager
async def served(*spools: Spool, **options: Any) -> AsyncIterator[Listener]:
    """On a port of the kernel's, if nothing else is said; the first spool is the default one, the second is "mail"."""
    settings = ListenerSettings(**{"listen": (":0",), **options})
    with anyio.fail_after(2 * PATIENCE):
        async with listening(dict(zip(("default", "mail"), spools, strict=False)), settings) as listener:
            yield listener


async def connected(address: str) -> SocketStream:
    if address.startswith("unix:"):
        return await anyio.connect_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await anyio.connect_tcp(host, int(port))


async def rest_of(stream: SocketStream) -> bytes:
    """All that comes until the other side closes the connection."""
    found = b""
    with anyio.fail_after(PATIENCE):
        try:
            while True:
                found += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return found


async def say(listener: Listener, *pieces: bytes) -> bytes:
    """Send some pieces, each on its own, to its first address; what it answers."""
    async with await connected(listener.addresses[0]) as stream:
        for piece in pieces:
            await stream.send(piece)
            await anyio.sleep(0)
        return await rest_of(stream)


@dataclass(frozen=True)
class Http:
    """An answer for a web server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def record(self) -> Any:
        return json.loads(self.body)


def http(answer: bytes) -> Http:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers["Content-Length"]) == len(body), answer
    return Http(int(first.split()[1]), headers, body)


def web(body: bytes = b"", **variables: str) -> bytes:
    """What a web server sends for a POST."""
    found = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)) if body else "", **variables}
    return encode({key.encode(): value.encode() for key, value in found.items()}) + body


async def ask(listener: Listener, body: bytes = b"", **variables: str) -> Http:
    """A request of a web server."""
    return http(await say(listener, web(body, **variables)))
