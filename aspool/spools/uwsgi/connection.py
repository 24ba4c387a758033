"""One connection to a uwsgi peer: packets out and in. Every wait can be cancelled; what is said is the others' affair.

A plain socket, so that an answer can still be read after a failed write: a peer may refuse a body in its middle.
"""

import errno
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from anyio import current_time, getaddrinfo, move_on_after, sleep, wait_readable, wait_writable

from ...escape import safe
from ...wire import Packet, PacketReader
from .where import Where

LARGEST_ANSWER = 16 * 1024  # bytes
_AT_ONCE = 65_536  # bytes that are read in one go
_PAUSE = 0.01  # seconds
_Place = tuple[int, str | tuple[str, int]]  # family and address of a socket


class Closed(Exception):
    """The peer has closed the connection; `half`: in the middle of a packet."""

    def __init__(self, *, half: bool) -> None:
        super().__init__("it closed the connection" + (" in the middle of its answer" if half else ""))
        self.half = half


class Connection:
    """A connected socket, and what has arrived of a packet."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = PacketReader(LARGEST_ANSWER)

    async def send(self, data: bytes) -> None:
        """Hand all of it to the system. Raises OSError."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await wait_writable(self._socket)

    async def receive(self) -> Packet:
        """The next packet. Raises OSError, Closed, and BadPacket for bytes that cannot become one."""
        while (packet := self.received()) is None:
            await wait_readable(self._socket)
        return packet

    def received(self) -> Packet | None:
        """The next packet, if it is there already. Raises as `receive`."""
        packet = self._reader.feed(b"")
        while packet is None:
            try:
                data = self._socket.recv(_AT_ONCE)
            except BlockingIOError:
                return None
            if not data:
                raise Closed(half=bool(self._reader.rest))
            packet = self._reader.feed(data)
        return packet


@asynccontextmanager
async def connected(where: Where) -> AsyncIterator[Connection]:
    """A connection, closed at the end. Raises OSError when nobody listens there, and when the name is not known."""
    sock = await _connect(where)
    with sock:
        yield Connection(sock)


async def _connect(where: Where) -> socket.socket:
    """The first of the addresses of a name that answers; each gets its part of the time."""
    places = await _places(where)
    end = current_time() + where.timeout
    failed: OSError = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    for number, (family, address) in enumerate(places):
        with move_on_after(max(0.0, end - current_time()) / (len(places) - number)):
            try:
                return await _connect_to(family, address)
            except OSError as error:
                failed = error
    raise failed


async def _places(where: Where) -> Sequence[_Place]:
    if where.path:
        return [(socket.AF_UNIX, where.path)]
    try:
        found = await getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # IDNA has no such name
        raise OSError(errno.EINVAL, f"{safe(where.host[:80])} is no name of a machine: {safe(error)}") from None
    return [(family, address) for family, _, _, _, address in found]


async def _connect_to(family: int, address: str | tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a request and its frames are one answer's
        await _finish_connecting(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _finish_connecting(sock: socket.socket, address: str | tuple[str, int]) -> None:
    code = sock.connect_ex(address)
    while code == errno.EAGAIN:  # of a unix socket whose queue is full: nothing tells when there is room again
        await sleep(_PAUSE)
        code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        await wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
