"""What a listener does about a request that may be made: it puts a message into a spool, or raises a signal."""

from collections.abc import Mapping
from dataclasses import replace

from .. import exchange
from ..body import Body
from ..errors import AspoolError, ScheduleRefused
from ..ids import checked_id, checked_priority
from ..message import Message
from ..moments import timestamp
from ..protocol import Spool
from ..settings import ListenerSettings
from ..signals import raise_signal
from .bodies import Announced, Framed, Incoming, too_large
from .disk import Disk
from .replies import Refused, Reply, refusal, reply_to
from .requests import Request, no_length, spool_for
from .secret import without_secret
from .stream import Stream

SMALL = 32 * 1024  # bytes of a body that is read before it is spooled: it shares the trips of others to the disk


class Taker:
    """For all connections of a listener. Everything raises Refused, and CallError for what cannot be."""

    def __init__(self, spools: Mapping[str, Spool], settings: ListenerSettings) -> None:
        self.spools = spools  # whoever exchanges them leaves those alone that are under way
        self._settings = settings
        self._disk = Disk(settings.min_free)

    async def raise_signal(self, number: int) -> Reply:
        """uWSGI's signals are numbers; here their names are the digits."""
        try:
            await raise_signal(str(number), [spool_for(self.spools, None)], [])
        except ScheduleRefused as error:
            raise Refused(refusal(400, str(error))) from None
        return Reply(202)

    async def take_raw(self, request: Request, stream: Stream) -> Reply:
        """The message of a stranger; a body of a known length follows."""
        spool = spool_for(self.spools, request.spool)
        incoming = self._incoming(spool, stream)
        if request.body_size > incoming.largest:
            raise Refused(too_large(incoming.largest))
        if request.expected is not None and await stream.is_followed(request.expected):
            raise Refused(no_length())
        await incoming.check(request.body_size)
        pieces = Announced(incoming, request.body_size)
        body: Body | None = None
        if request.body_size > SMALL:
            await pieces.begin()
            body = Body(pieces)
        elif request.body_size:
            body = Body(b"".join([piece async for piece in pieces]))
        return await _put(spool, replace(request.message, body=body))

    async def take_trusted(self, variables: Mapping[bytes, bytes], stream: Stream) -> Reply:
        """The message of an aspool that is trusted; its body follows in frames."""
        spool = spool_for(self.spools, self._known_spool(variables))
        incoming = self._incoming(spool, stream)
        await incoming.check(0)
        frames = Framed(incoming) if exchange.is_framed(variables) else None
        size = exchange.front_of(variables)
        front = b"" if frames is None else await frames.take(size)
        if len(front) < size:
            raise Refused(refusal(400, "arguments were announced, and none came"))
        message, placed = exchange.read_request(variables, front)
        message = replace(
            message, raw=without_secret(message.raw), id=checked_id(placed.id), unique=placed.unique,
            due=timestamp(placed.due), priority=checked_priority(placed.priority),
            body=None if frames is None else Body(frames),
        )  # fmt: skip
        return await _put(spool, message)

    def _known_spool(self, variables: Mapping[bytes, bytes]) -> str | None:
        """What `spooler` says, as long as we know it: there it may have meant the way to us."""
        name = variables.get(b"spooler", b"").decode(errors="surrogateescape")
        return name if name in {*self.spools, *(spool.address for spool in self.spools.values())} else None

    def _incoming(self, spool: Spool, stream: Stream) -> Incoming:
        async def check(coming: int) -> None:
            await self._disk.check(spool.address, coming)

        return Incoming(stream, self._settings.max_body, self._settings.body_timeout, check)


async def _put(spool: Spool, message: Message) -> Reply:
    """What the spool answers, once the message is as safe as it makes it; also what the body has refused."""
    try:
        (answer,) = await spool.put([message])
    except (AspoolError, OSError) as error:
        return reply_to(error)
    return reply_to(answer)
