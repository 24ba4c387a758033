"""The link between a supervisor and one worker: a pair of sockets that keep messages whole. Its end is news as well."""

import socket
from collections.abc import AsyncIterator

from anyio import wait_readable

LARGEST = 1 << 20  # bytes of one message


class Link:
    """One end. Sending never waits and never fails: what the other end does not take is lost."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)

    @classmethod
    def inherited(cls, fd: int) -> "Link":
        """The end that this process was born with."""
        end = socket.socket(fileno=fd)
        end.set_inheritable(False)
        return cls(end)

    @property
    def fd(self) -> int:
        """Its descriptor: readable when something came, or when the other end is closed."""
        return self._end.fileno()

    def send(self, message: bytes) -> bool:
        """Whether it was taken. From any thread."""
        try:
            self._end.send(message, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive_blocking(self) -> bytes:
        """The next message; empty at the end."""
        self._end.setblocking(True)
        try:
            return self._end.recv(LARGEST)
        finally:
            self._end.setblocking(False)

    def receive_now(self) -> bytes:
        """The next message, if one has come; else empty."""
        try:
            return self._end.recv(LARGEST)
        except OSError:
            return b""

    async def messages(self) -> AsyncIterator[bytes]:
        """Each message, until the other end is closed."""
        while True:
            try:
                message = self._end.recv(LARGEST)
            except BlockingIOError:
                await wait_readable(self._end)
                continue
            except OSError:
                return
            if not message:
                return
            yield message

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def pair() -> tuple[Link, socket.socket]:
    """The supervisor's end, and the one for the worker."""
    kind = socket.SOCK_SEQPACKET if hasattr(socket, "SOCK_SEQPACKET") else socket.SOCK_DGRAM
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    for end in (ours, theirs):  # counts of many tasks are large
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return Link(ours), theirs
