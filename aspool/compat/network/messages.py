"""Messages: `uwsgi.send_message`, as uWSGI 1.4 and its manual have it: one packet to any server that speaks uwsgi."""

import socket
from collections.abc import Iterator, Mapping

from ...exchange import packet
from ..program import Program
from .remote import TIMEOUT, connected

CHUNK = 65536  # bytes


class Messages:
    """Newer ones have none of it, and neither has a strict program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def send_message(
        self,
        address: str | bytes | int,
        modifier1: int,
        modifier2: int = 0,
        message: Mapping[str | bytes, str | bytes] | str | bytes = b"",
        timeout: float = TIMEOUT,
        fd: int = -1,
        length: int = 0,
    ) -> Iterator[bytes]:
        """Send variables, or bytes, to HOST:PORT, the path of a unix socket or an open socket: the answer, in pieces.

        `length` bytes of the file `fd` follow the packet; `timeout` is in seconds. Raises OSError, and BadPacket for
        what does not fit into a packet.
        """
        if self._program.strict:
            raise AttributeError("module 'uwsgi' has no attribute 'send_message'")
        data = _packet(message, modifier1, modifier2)
        connection = _connection(address)
        try:
            connection.settimeout(timeout or None)
            connection.sendall(data)
            if length > 0:
                with open(fd, "rb", closefd=False) as file:
                    connection.sendall(file.read(length))
        except BaseException:
            connection.close()
            raise
        return _answer(connection)


def _packet(message: Mapping[str | bytes, str | bytes] | str | bytes, modifier1: int, modifier2: int) -> bytes:
    if isinstance(message, Mapping):
        return packet({_bytes(key): _bytes(value) for key, value in message.items()}, modifier1, modifier2)
    content = _bytes(message)
    return bytes((modifier1, len(content) & 0xFF, len(content) >> 8, modifier2)) + content


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _connection(address: str | bytes | int) -> socket.socket:
    if isinstance(address, int):
        return socket.socket(fileno=address)
    return connected(address.decode() if isinstance(address, bytes) else address)


def _answer(connection: socket.socket) -> Iterator[bytes]:
    with connection:
        while piece := connection.recv(CHUNK):
            yield piece
