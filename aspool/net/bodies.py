"""Bodies as they arrive: of a length that was announced, or in frames. Each piece is checked before it is passed on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from anyio import current_time

from ..errors import BadPacket
from ..exchange import FRAME_HEADER, frame_size
from .replies import Refused, Reply, busy, refusal
from .stream import CHUNK, Evicted, Gone, Late, Stream

Check = Callable[[int], Awaitable[None]]  # how many bytes are coming; raises Refused


def too_large(largest: int) -> Reply:
    """The answer to such a body."""
    return refusal(413, f"the body is larger than {largest} bytes")


@dataclass(frozen=True, slots=True)
class Incoming:
    """What the bodies of a connection may be: how large, how slow, and with how much room on the disk."""

    stream: Stream
    largest: int
    timeout: float
    check: Check

    async def piece(self, most: int) -> bytes:
        """At least one byte. Raises Refused."""
        try:
            return await self.stream.receive(current_time() + self.timeout, most)
        except Gone:
            raise Refused(refusal(400, "the body ended early")) from None
        except Late:
            raise Refused(refusal(408, f"nothing of the body came for {self.timeout:g} seconds")) from None
        except Evicted:
            raise Refused(busy("there are too many connections, and this one said nothing")) from None


class Announced:
    """A body of a known length. Reading it raises Refused."""

    def __init__(self, incoming: Incoming, size: int) -> None:
        self._incoming = incoming
        self._left = size
        self._spare = b""

    async def begin(self) -> None:
        """Return when its first piece is here: no file is opened for a body that never comes."""
        self._spare = await anext(self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._spare:
            spare, self._spare = self._spare, b""
            return spare
        if not self._left:
            raise StopAsyncIteration
        await self._incoming.check(self._left)
        piece = await self._incoming.piece(min(self._left, CHUNK))
        self._left -= len(piece)
        return piece


class Framed:
    """A body in frames. Reading it raises Refused."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._left = 0  # of this frame
        self._arrived = 0
        self._has_ended = False
        self._spare = b""

    async def take(self, size: int) -> bytes:
        """The first bytes of it, before it is iterated over. Raises BadPacket if there are fewer."""
        taken = bytearray()
        while len(taken) < size:
            try:
                taken += await anext(self)
            except StopAsyncIteration:
                raise BadPacket(f"{size} bytes of arguments were announced, and {len(taken)} came") from None
        self._spare = bytes(taken[size:])
        return bytes(taken[:size])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._spare:
            spare, self._spare = self._spare, b""
            return spare
        if not self._left and not self._has_ended:
            await self._next_frame()
        if self._has_ended:
            raise StopAsyncIteration
        piece = await self._incoming.piece(min(self._left, CHUNK))
        self._left -= len(piece)
        return piece

    async def _next_frame(self) -> None:
        header = b""
        while len(header) < FRAME_HEADER:
            header += await self._incoming.piece(FRAME_HEADER - len(header))
        self._left = frame_size(header)
        self._arrived += self._left
        self._has_ended = self._left == 0
        if self._arrived > self._incoming.largest:
            raise Refused(too_large(self._incoming.largest))
        await self._incoming.check(self._left)
