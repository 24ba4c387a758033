"""One connection as bytes: read with a deadline, written, seen off. What they mean is not known here."""

import contextlib
import socket

from anyio import CancelScope, current_time, wait_readable, wait_writable
from anyio.lowlevel import checkpoint

CHUNK = 64 * 1024  # bytes
ANSWER_WAIT = 5.0  # seconds for the answer to be taken
LAST_WORDS = 2.0  # seconds for a peer that still sends, so that it reads our answer before the connection breaks
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)  # where there is none, Python ignores SIGPIPE itself


class Late(Exception):
    """A peer took too long."""


class Evicted(Exception):
    """Others needed the room of a peer that waits."""


class Gone(Exception):
    """A peer has closed the connection, or it broke."""


class Stream:
    """A connected socket that does not block. `begun` has the bytes that were read already."""

    def __init__(self, connection: socket.socket, begun: bytes = b"") -> None:
        self._socket = connection
        self._begun = begun
        self._waiting: CancelScope | None = None
        self._is_evicted = False
        self.quiet_since: float | None = None  # while it is waited for the peer

    async def receive(self, until: float, most: int = CHUNK) -> bytes:
        """Up to `most` bytes, at least one. `until` is a moment of the event loop's clock. Raises what is above."""
        if self._begun:
            data, self._begun = self._begun[:most], self._begun[most:]
            return data
        while True:
            try:
                data = self._socket.recv(most)
            except BlockingIOError:
                await self._wait(until)
                continue
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            return data

    async def _wait(self, until: float) -> None:
        if self._is_evicted:
            raise Evicted
        self.quiet_since = current_time()
        try:
            with CancelScope(deadline=until) as self._waiting:
                await wait_readable(self._socket)
        finally:
            waiting, self._waiting, self.quiet_since = self._waiting, None, None
        if waiting is not None and waiting.cancelled_caught:
            raise Evicted if self._is_evicted else Late

    async def is_followed(self, seconds: float) -> bool:
        """Whether more bytes are here, or come within so many seconds; they are read later. Raises Evicted."""
        try:
            self.push_back(await self.receive(current_time() + seconds))
        except (Gone, Late):
            return False
        return True

    def push_back(self, data: bytes) -> None:
        """Give bytes back that belong to what comes next."""
        self._begun = data + self._begun

    def evict(self) -> None:
        """Let it wait no longer for its peer; what else it does goes on."""
        self._is_evicted = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def send(self, data: bytes) -> None:
        """All of it. Raises Gone and Late."""
        view = memoryview(data)
        with CancelScope(deadline=current_time() + ANSWER_WAIT):
            while view:
                try:
                    view = view[self._socket.send(view, _NO_SIGNAL) :]
                except BlockingIOError:
                    await wait_writable(self._socket)
                except OSError as error:
                    raise Gone from error
        if view:
            raise Late

    async def finish(self, *, unread: bool) -> None:
        """Close the connection. With bytes `unread` they are waited for: else our answer would be lost with them."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if unread or self._has_more():
            await self._drain()
        self.close()

    def _has_more(self) -> bool:
        try:
            return bool(self._begun or self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    async def _drain(self) -> None:
        self._begun = b""
        until = current_time() + LAST_WORDS
        with contextlib.suppress(Gone, Late, Evicted):
            while current_time() < until:
                await self.receive(until)
                await checkpoint()

    def close(self) -> None:
        """Now."""
        self._socket.close()


def hang_up(connection: socket.socket) -> None:
    """Close a connection at once, whose peer shall notice."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
