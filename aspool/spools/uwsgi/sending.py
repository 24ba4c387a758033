"""How one message gets to a peer: who it is, what it may be told, and the message itself with its body."""

import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import NoReturn

from anyio import CancelScope, current_time, fail_after

from ...body import Body
from ...errors import AspoolError, BadPacket, NotSpooled, Unsupported
from ...exchange import (
    ANSWER_MODIFIER,
    Greeting,
    frame,
    hello,
    is_framed,
    packet,
    read_answer,
    read_greeting,
    request,
)
from ...message import Message
from ...protocol import Stored
from ...wire import SPOOL_MODIFIER, Packet, encoded_size
from ..readers import chunks_async, in_memory
from .connection import Closed, Connection, connected
from .failing import Way
from .plain import has_body, plain_variables, unsaid, without_our_way
from .where import Where

REMEMBERED = 60.0  # seconds: so long a uWSGI is taken for one without being asked again
PIECE = 256 * 1024  # bytes of a frame


class Peer:
    """Who listens at an address, as far as it is known, and the sending of messages to it. From any event loop."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._is_uwsgi_until = 0.0  # of the monotonic clock

    async def send(self, message: Message, secret: bytes) -> Stored:
        """One message, on a connection of its own; what the peer has stored.

        Raises SpoolUnusable, NotSpooled, SpoolFull, Uncertain, Unsupported and ArgumentsRefused.
        """
        way = Way(self.where, message.id)
        try:
            with fail_after(self.where.timeout) as patience:
                return await self._send(_Sending(way, message, secret, patience))
        except (OSError, Closed, BadPacket) as error:
            raise way.failed(error) from None

    async def _send(self, sending: "_Sending") -> Stored:
        is_remembered = time.monotonic() < self._is_uwsgi_until
        # It may be an aspool by now, which drops what strangers say in variables of ours.
        if not is_remembered or unsaid(sending.message, to_uwsgi=False):
            async with connected(self.where) as connection:
                greeting = await sending.greet(connection)
                if greeting is not None:
                    self._is_uwsgi_until = 0.0
                    return await sending.to_aspool(connection, greeting)
            self._is_uwsgi_until = time.monotonic() + REMEMBERED  # and it has closed the connection
        sending.check_said("is a uWSGI, which takes", to_uwsgi=True)
        async with connected(self.where) as connection:
            return await sending.to_uwsgi(connection)


class _Sending:
    """One message, and how far it is. Raises OSError, Closed and BadPacket, which the way puts into words."""

    def __init__(self, way: Way, message: Message, secret: bytes, patience: CancelScope) -> None:
        self.message = message
        self._way = way
        self._secret = secret
        self._patience = patience

    async def greet(self, connection: Connection) -> Greeting | None:
        """What an aspool answers; None for a uWSGI."""
        self._way.stage = "greeting"
        await connection.send(hello())
        answer = await connection.receive()
        if answer.modifier1 == ANSWER_MODIFIER:  # it does not even want to hear more
            raise self._way.refused(read_answer(answer))
        return read_greeting(answer)

    def check_said(self, who: str, *, to_uwsgi: bool) -> None:
        """Raises Unsupported for a message of which variables cannot say all."""
        if lacking := unsaid(self.message, to_uwsgi=to_uwsgi):
            raise Unsupported(f"{self._way.where} {who} variables only, no {lacking}: nothing was sent")

    async def to_uwsgi(self, connection: Connection) -> Stored:
        """Send what a uWSGI takes."""
        self._way.is_uwsgi = True
        return await self._exchange(connection, plain_variables(self.message))

    async def to_aspool(self, connection: Connection, greeting: Greeting) -> Stored:
        """Send all of it, if the listener trusts us; else what it takes from anybody."""
        if greeting.trust == "no" or (greeting.trust == "proof" and not self._secret):
            self.check_said(_UNTRUSTED[greeting.trust], to_uwsgi=False)
            return await self._exchange(connection, plain_variables(self.message))
        message = replace(self.message, raw=without_our_way(self.message.raw, names=True))
        secret = self._secret if greeting.trust == "proof" else b""
        variables, front = request(message, framed=has_body(message), secret=secret, nonce=greeting.nonce)
        return await self._exchange(connection, variables, front)

    async def _exchange(self, connection: Connection, variables: dict[bytes, bytes], front: bytes = b"") -> Stored:
        self._way.size = encoded_size(variables)
        data = packet(variables, SPOOL_MODIFIER)
        self._way.stage = "sending"
        try:
            await connection.send(data)
            if is_framed(variables):
                await self._send_body(connection, front)
        except _Interrupted as interruption:
            self._refuse(interruption.answer)
        except OSError:
            if (said := _said(connection)) is None:
                raise
            self._refuse(said)
        self._way.stage = "sent"
        return self._way.stored(read_answer(await connection.receive()))

    def _refuse(self, said: Packet) -> NoReturn:
        """Raises what an answer means that comes before all was sent."""
        answer = read_answer(said)
        if answer.stored:
            self._way.stage = "sent"
            raise BadPacket("it said that it had spooled the message before it had all of it")
        raise self._way.refused(answer)

    async def _send_body(self, connection: Connection, front: bytes) -> None:
        await self._send_frames(connection, front)
        self._patience.deadline = math.inf  # the source may take its time
        async with aclosing(_chunks(self.message.body)) as chunks:
            async for chunk in chunks:
                await self._send_frames(connection, chunk)
                self._patience.deadline = math.inf
        self._go_on()
        await connection.send(frame(b""))

    async def _send_frames(self, connection: Connection, data: bytes) -> None:
        """Some bytes, in as many frames as they need; for each there is as much time as for a message."""
        for start in range(0, len(data), PIECE):
            self._go_on()
            if (answer := connection.received()) is not None:
                raise _Interrupted(answer)
            await connection.send(frame(data[start : start + PIECE]))

    def _go_on(self) -> None:
        self._patience.deadline = current_time() + self._way.where.timeout


class _Interrupted(Exception):
    """The peer has answered before it had the whole message."""

    def __init__(self, answer: Packet) -> None:
        self.answer = answer


def _said(connection: Connection) -> Packet | None:
    """What a peer that has closed the connection said before."""
    try:
        return connection.received()
    except (OSError, Closed):
        return None


async def _chunks(body: Body | None) -> AsyncGenerator[bytes]:
    """A body in pieces. Raises NotSpooled and TypeError when its source fails."""
    data = in_memory(body)
    if data is not None:
        yield data
    elif body is not None:
        try:
            async for chunk in chunks_async(body):
                yield chunk
        except (AspoolError, TypeError):
            raise
        except OSError as error:
            raise NotSpooled(f"its body could not be read: {error}; nothing was spooled") from error
        except Exception as error:
            raise NotSpooled(f"its body could not be read: {error!r}; nothing was spooled") from error


_UNTRUSTED = {
    "proof": "takes tasks from those who know its secret (?secret_file=…); from us it takes raw",
    "no": "takes tasks from its own user on a unix socket alone, as it has no secret; from us it takes raw",
}
