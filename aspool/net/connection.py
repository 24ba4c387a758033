"""A connection that was let in, from its first moment to its last: whose it is, and what it waits for."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from .admission import Verdict
from .peers import Peer
from .stream import Stream, hang_up


@dataclass(slots=True, eq=False)
class Connection:
    """`until`: when its request must be here, on the event loop's clock; `verdict`: whether there is room for it.

    `dismiss` closes it as long as it has said nothing, and no task cares for it.
    """

    sock: socket.socket
    peer: Peer
    until: float
    dismiss: Callable[["Connection"], None]
    verdict: Verdict = "welcome"
    stream: Stream | None = None  # once it has said something

    @property
    def key(self) -> str:
        """What its connections are counted by."""
        return self.peer.key

    @property
    def quiet_since(self) -> float | None:
        """Since when it is waited for its next bytes."""
        return None if self.stream is None else self.stream.quiet_since

    def speak(self, begun: bytes) -> Stream:
        """It has said its first bytes."""
        self.stream = Stream(self.sock, begun)
        return self.stream

    def evict(self) -> None:
        """Others need its room."""
        if self.stream is None:
            self.dismiss(self)
        else:
            self.stream.evict()

    def hang_up(self) -> None:
        """Close it now."""
        hang_up(self.sock)
