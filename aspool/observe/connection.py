"""One connection to health: closed when it is silent or slow, or when others need its room.

Probes must be answered whatever others do: nobody can hold all connections. What is answered is the affair of `health`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 200  # connections: more than two times as many as come at once (health.BACKLOG), so that each one is heard
IDLE = 5.0  # seconds for a request; from the connection's begin or the last answer, whatever comes drop by drop
ANSWERED = 30.0  # seconds until an answer is made, and taken


class Connection(H11Protocol):
    """As uvicorn has it, with an end: each request, and each answer, must be whole in time."""

    _deadline: asyncio.TimerHandle | None = None
    _answered: object = None  # the request that the deadline is for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as there
        """If there are too many, one of them goes."""
        super().connection_made(transport)
        self._set_deadline()
        if len(self.connections) > MOST:
            others: list[Any] = [connection for connection in self.connections if connection is not self]
            min(others, key=Connection._worth).end()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._stop_deadline()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """As soon as a request is there, the answer has its own time."""
        super().handle_events()
        if self.cycle is not self._answered:
            self._set_deadline()

    def on_response_complete(self) -> None:
        """The next request, which may be there already."""
        super().on_response_complete()
        self._set_deadline()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _worth(self) -> tuple[bool, float]:
        """The least goes first: who asks nothing, and of those who does it the longest."""
        return self._is_answering, self._deadline.when() if self._deadline else 0.0

    def _set_deadline(self) -> None:
        self._stop_deadline()
        if self in self.connections:
            self._answered = self.cycle
            self._deadline = self.loop.call_later(ANSWERED if self._is_answering else IDLE, self.end)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def end(self) -> None:
        """Now, and without waiting for what the other side has not taken."""
        self._stop_deadline()
        self.connections.discard(self)  # at once, as they are counted
        self.transport.abort()
