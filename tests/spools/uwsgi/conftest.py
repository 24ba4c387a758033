"""Listeners of which a test says what they do: one made of `aspool.exchange`, and ones that behave badly."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aspool import exchange
from aspool.exchange import Answer, Greeting, Trust
from aspool.message import Message
from aspool.wire import HEADER_SIZE, Packet, decode, variables_size

PATIENCE = 30.0  # seconds


def address_of(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    name = sock.getsockname()
    return f"uwsgi://{name}" if sock.family == socket.AF_UNIX else f"uwsgi://127.0.0.1:{name[1]}"


class Connection:
    """One connection to a listener of a test. Blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._begun = b""

    def packet(self) -> Packet | None:
        """The next packet; None when the peer has closed."""
        try:
            header = self.exactly(HEADER_SIZE)
        except EOFError:
            return None
        return decode(header + self.exactly(variables_size(header)))

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises EOFError."""
        while len(self._begun) < size:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._begun += data
        found, self._begun = self._begun[:size], self._begun[size:]
        return found

    def frames(self) -> list[bytes]:
        """The frames up to the last."""
        found = []
        while size := exchange.frame_size(self.exactly(exchange.FRAME_HEADER)):
            found.append(self.exactly(size))
        return found

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)


Behaviour = Callable[[Connection], None]


@dataclass
class Listener:
    """A thread that does with each connection what it was told. `raised`: what went wrong in there."""

    address: str
    raised: list[Exception] = field(default_factory=list)


@contextmanager
def listening(behaviour: Behaviour, path: Path | None = None) -> Iterator[Listener]:
    """A listener, on a free port or a unix socket."""
    with socket.socket(socket.AF_INET if path is None else socket.AF_UNIX) as sock:
        sock.bind(("127.0.0.1", 0) if path is None else str(path))
        sock.listen(100)
        listener = Listener(address_of(sock))

        def serve() -> None:
            while True:
                peer, _ = sock.accept()
                with peer:
                    if is_over.is_set():
                        return
                    peer.settimeout(PATIENCE)
                    try:
                        behaviour(Connection(peer))
                    except (OSError, EOFError):
                        pass  # the sender has gone
                    except Exception as error:
                        listener.raised.append(error)

        is_over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            is_over.set()
            with socket.socket(sock.family) as last:
                last.connect(sock.getsockname())
            thread.join(PATIENCE)
    assert not listener.raised


@dataclass
class FakeAspool:
    """Behaves as aspool's listener does; remembers what it was given."""

    trust: Trust = "yes"
    secret: bytes = b""
    answer: Answer | None = None  # instead of "stored"
    messages: list[tuple[Message, exchange.Placed, bytes]] = field(default_factory=list)
    strangers: list[dict[bytes, bytes]] = field(default_factory=list)
    most_frame: int = 0

    def __call__(self, connection: Connection) -> None:
        packet = connection.packet()
        if packet is None:
            return
        nonce = os.urandom(16)
        if greeted := exchange.is_hello(packet):
            connection.say(Greeting(nonce, self.trust).written())
            packet = connection.packet()
            if packet is None:
                return
        connection.say((self.answer or self._taken(connection, packet, nonce)).written(greeted=greeted))

    def _taken(self, connection: Connection, packet: Packet, nonce: bytes) -> Answer:
        variables = packet.variables
        if not exchange.is_request(variables):
            self.strangers.append(variables)
            return Answer(True, f"s{len(self.strangers)}")
        if self.trust == "proof" and not exchange.is_proven(variables, self.secret, nonce):
            return Answer(False, error="refused", reason="the proof is wrong")
        frames = connection.frames() if exchange.is_framed(variables) else []
        self.most_frame = max([self.most_frame, *map(len, frames)])
        rest = b"".join(frames)
        front = exchange.front_of(variables)
        message, placed = exchange.read_request(variables, rest[:front])
        duplicate = placed.unique and placed.id in {known.id for _, known, _ in self.messages}
        self.messages.append((message, placed, rest[front:]))
        return Answer(True, placed.id, duplicate)


@pytest.fixture
def fake() -> FakeAspool:
    return FakeAspool()


@pytest.fixture
def there(fake: FakeAspool) -> Iterator[str]:
    """The address of the fake."""
    with listening(fake) as listener:
        yield listener.address
