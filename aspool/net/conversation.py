"""One connection from its first bytes to the answer: what it says, whether it may, and how it is told the result.

What is done about it is in `taking`.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

from .. import exchange
from ..errors import AspoolError, BadPacket
from ..settings import ListenerSettings
from ..wire import HEADER_SIZE, SPOOL_MODIFIER, Packet, PacketReader, variables_size
from .admission import Admission
from .connection import Connection
from .keeping import Keep
from .rare_warnings import RareWarnings
from .replies import Form, Refused, Reply, busy, refusal, reply_to
from .requests import is_http, is_of_web_server, read_uwsgi, read_web, seems_of_web_server
from .secret import knows
from .stream import Evicted, Gone, Late
from .taking import Taker

logger = logging.getLogger("aspool.net")
PONG = exchange.packet({}, exchange.PING_MODIFIER, 1)
Variables = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a listener share. `secret` is empty if there is none."""

    settings: ListenerSettings
    secret: bytes
    keep: Keep
    taker: Taker
    admission: Admission
    warnings: RareWarnings


class Conversation:
    """On a connection whose peer has said these bytes."""

    def __init__(self, shared: Shared, connection: Connection, begun: bytes) -> None:
        self._shared = shared
        self._reply_form = shared.settings.reply
        self._connection = connection
        self._peer = connection.peer
        self._stream = connection.speak(begun)
        self._form: Form = "http" if self._reply_form == "http" else "uwsgi"
        self._nonce = b""  # of the greeting, once there was one

    async def run(self) -> None:
        """To the end; the connection is closed then."""
        try:
            answer, is_unread = await self._answer()
            await self._stream.send(answer)
            await self._stream.finish(unread=is_unread)
        except (Gone, Late, Evicted) as end:
            logger.debug("%s: %s before it was answered", self._peer.name, type(end).__name__.lower())
        finally:
            self._stream.close()
            self._shared.admission.leave(self._connection)

    async def _answer(self) -> tuple[bytes, bool]:
        """What the peer is told, and whether it may still be sending."""
        try:
            packet = await self._request()
            self._shared.admission.heard(self._connection)
            if packet.modifier1 == exchange.PING_MODIFIER:
                return PONG, False
            reply = await self._reply_to(packet)
        except Refused as refused:
            reply = refused.reply
        except (AspoolError, OSError) as error:
            reply = reply_to(error)
        except (Gone, Late, Evicted):
            raise
        except Exception:  # whatever a spool raises: one request must not end the listener
            logger.exception("a request of %s could not be answered", self._peer.name)
            reply = Reply(500, reason="the listener has failed: its log says why", error="uncertain")
        self._tell(reply)
        return reply.written(self._form), not reply.is_stored

    def _tell(self, reply: Reply) -> None:
        if reply.is_stored:
            logger.debug("%s: stored as %s", self._peer.name, reply.id)
        else:
            self._shared.warnings.note(f"refused with {reply.status}", f"{self._peer.name}: {reply.reason}")

    # --- packets ---------------------------------------------------------------------------------------------

    async def _request(self) -> Packet:
        """The packet that says what is wanted; a greeting before it is answered."""
        packet = await self._packet()
        if self._is_hello(packet):
            self._form = "aspool"
            self._nonce = os.urandom(exchange.NONCE_SIZE)  # for the one request that may follow
            await self._stream.send(exchange.Greeting(self._nonce, self._trust).written())
            packet = await self._packet()
        return packet

    def _is_hello(self, packet: Packet) -> bool:
        try:
            return exchange.is_hello(packet)
        except BadPacket as error:
            self._form = "aspool"
            raise Refused(refusal(400, str(error))) from None

    @property
    def _trust(self) -> exchange.Trust:
        if self._peer.is_us:
            return "yes"
        return "proof" if self._shared.secret else "no"

    async def _packet(self) -> Packet:
        reader = PacketReader(HEADER_SIZE + self._shared.settings.max_packet)
        while True:
            data = await self._stream.receive(self._connection.until)
            if not reader.rest and is_http(data):
                self._form = "http"
                raise Refused(refusal(400, "uwsgi packets are taken here (uwsgi_pass in nginx), and this is HTTP"))
            try:
                packet = reader.feed(data)
            except BadPacket as error:
                raise Refused(self._bad(reader.rest, error)) from None
            if packet is not None:
                self._stream.push_back(reader.rest)
                return packet

    def _bad(self, found: bytes, error: BadPacket) -> Reply:
        if self._reply_form == "auto" and self._form == "uwsgi" and seems_of_web_server(found):
            self._form = "http"
        return refusal(413 if variables_size(found) > self._shared.settings.max_packet else 400, str(error))

    # --- requests --------------------------------------------------------------------------------------------

    async def _reply_to(self, packet: Packet) -> Reply:
        variables, taker = packet.variables, self._shared.taker
        if self._reply_form == "auto" and self._form == "uwsgi" and is_of_web_server(variables):
            self._form = "http"
        is_trusted = self._is_trusted(packet)
        self._check_welcome(variables, is_trusted=is_trusted)
        if packet.modifier1 == exchange.SIGNAL_MODIFIER:
            return await taker.raise_signal(packet.modifier2)
        if packet.modifier1 != SPOOL_MODIFIER:
            what = f"modifier1 is {packet.modifier1}, that of a task is {SPOOL_MODIFIER}"
            raise Refused(refusal(400, f"{what}: write uwsgi_modifier1 17 in nginx"))
        if self._nonce and exchange.is_request(variables):
            if not is_trusted:
                raise Refused(refusal(403, "tasks are taken from those only who prove that they know the secret"))
            return await taker.take_trusted(variables, self._stream)
        is_web = is_of_web_server(variables) or self._reply_form == "http"
        request = read_web(variables, self._shared.keep) if is_web else read_uwsgi(variables)
        return await taker.take_raw(request, self._stream)

    def _is_trusted(self, packet: Packet) -> bool:
        """Only of a request: the proof of one says nothing of its modifiers, so it must not raise a signal."""
        if not self._nonce:
            return False
        is_proven = exchange.is_proven(packet.variables, self._shared.secret, self._nonce)
        return self._peer.is_us or (is_proven and packet.modifier1 == SPOOL_MODIFIER)

    def _check_welcome(self, variables: Variables, *, is_trusted: bool) -> None:
        """Who knows the secret may have more than the share of his machine: a web server stands for many others."""
        verdict = self._connection.verdict
        is_known = is_trusted or knows(variables, self._shared.secret)
        if verdict == "surplus" or (verdict == "beyond its share" and not is_known):
            raise Refused(busy("there are too many connections"))
        if self._peer.reach == "outer" and not is_known:
            raise Refused(refusal(403, "whoever sends from another machine must know the secret of this listener"))
        if is_known:
            self._shared.admission.known(self._connection)
