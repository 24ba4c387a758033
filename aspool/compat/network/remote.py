"""Signals to another uWSGI or aspool, over a socket: one packet without variables, and four bytes of answer."""

import socket

from ...exchange import SIGNAL_MODIFIER, STORED, packet

TIMEOUT = 4.0  # seconds, as uWSGI's socket-timeout


def raise_at(address: str, number: int) -> None:
    """Raise a signal at HOST:PORT, or a path of a unix socket, as uwsgi_remote_signal_send does.

    Raises OSError when it cannot be delivered, ValueError when it is refused there.
    """
    try:
        answer = _asked(address, packet({}, SIGNAL_MODIFIER, number))
    except (OSError, ValueError) as error:  # ValueError: a port that is no number
        raise OSError(f"unable to deliver signal {number} to node {address}: {error}") from error
    if len(answer) < 4:
        raise OSError(f"unable to deliver signal {number} to node {address}: it closed without an answer")
    if answer[3] != STORED:
        raise ValueError(f"node {address} rejected signal {number}")


def _asked(address: str, question: bytes) -> bytes:
    with connected(address) as connection:
        connection.sendall(question)
        answer = b""
        while len(answer) < 4 and (piece := connection.recv(4 - len(answer))):
            answer += piece
        return answer


def connected(address: str) -> socket.socket:
    """A connection to HOST:PORT, or a unix socket by its path. Raises OSError, ValueError for a port that is none."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in address:
        return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), TIMEOUT)
    if not address:
        raise OSError("it has no address")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(address.removeprefix("unix:"))
    except BaseException:
        connection.close()
        raise
    return connection
