"""A request for a task, as values: variables of a packet -> the message, where it goes, and how long its body is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..exchange import NET, outer
from ..message import Message
from ..protocol import Spool
from ..raw import BODY, raw_call
from ..spooler import DEFAULT
from .keeping import Keep
from .replies import Refused, Reply, refusal
from .secret import without_secret

METHOD, HOST = b"REQUEST_METHOD", b"HTTP_HOST"
_PAIRS = (b"\x0e\0" + METHOD, b"\x09\0" + HOST)  # as they stand in a packet
_MOST_DIGITS = 18
_BARE = (b"GET", b"HEAD", b"OPTIONS", b"DELETE")  # methods that come without a body, nearly always
_LENGTHS = (b"CONTENT_LENGTH", b"HTTP_CONTENT_LENGTH")
LOOK = 0.25  # seconds: a web server that has read the body sends its first piece with the packet, or right after it


@dataclass(frozen=True, slots=True)
class Request:
    """`spool` is what its variable `spooler` says, `body_size` the bytes that follow the packet.

    `expected` is not None if nobody has said how many follow: the seconds to look whether any do.
    """

    message: Message
    spool: str | None
    body_size: int
    expected: float | None = None


def is_http(begun: bytes) -> bool:
    """Whether somebody takes this port for a web server: no modifier1 that is known here is a capital letter."""
    return begun[:1].isalpha() and begun[:1].isupper()


def is_of_web_server(variables: Mapping[bytes, bytes]) -> bool:
    """Whether a web server passes on what its client wants. A bare `uwsgi_param` drops the method, not the host."""
    return METHOD in variables or HOST in variables


def seems_of_web_server(data: bytes) -> bool:
    """The same of a packet that cannot be read, or not yet."""
    return any(pair in data for pair in _PAIRS)


def read_uwsgi(variables: Mapping[bytes, bytes]) -> Request:
    """What a uwsgi peer wants: all its pairs are kept, and nothing follows them. Raises CallError."""
    return _request(without_secret(outer(variables)), 0)


def read_web(variables: Mapping[bytes, bytes], keep: Keep) -> Request:
    """What a web server wants, by whatever method, as in uWSGI. Raises CallError and Refused."""
    request = _request(keep.kept(without_secret(outer(variables))), _body_size(variables))
    return replace(request, expected=_expected(variables))


def _expected(variables: Mapping[bytes, bytes]) -> float | None:
    """Raises Refused for a method that comes with a body, of which neither a length nor the headers are passed on.

    Where headers are, the length of each body is among them, so that nothing need be waited for.
    """
    if any(name in variables for name in _LENGTHS):
        return None
    if HOST in variables:
        return 0.0
    if variables.get(METHOD, b"GET").upper() not in _BARE:
        raise Refused(no_length())
    return LOOK


def _request(kept: Mapping[bytes, bytes], body_size: int) -> Request:
    """A pair that is called body is no body here, as uWSGI has it (contract §7.1)."""
    pairs = {key: value for key, value in kept.items() if key != BODY}
    call = raw_call(pairs, None, at=None, priority=None, id=None, expires=None, spool=None)
    name = kept.get(b"spooler", b"").decode(errors="surrogateescape") or None
    return Request(replace(call.message, raw=kept, origin=NET), name, body_size)


def _body_size(variables: Mapping[bytes, bytes]) -> int:
    """CONTENT_LENGTH, also if it is empty; only without it the header. nginx sends one whenever it sends a body."""
    text = next((variables[name] for name in _LENGTHS if name in variables), b"").strip()
    if text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    if text:
        raise Refused(refusal(400, f"CONTENT_LENGTH is {text[:40]!r}, which is no length"))
    if b"chunked" in variables.get(b"HTTP_TRANSFER_ENCODING", b"").lower():
        raise Refused(no_length())
    return 0


def no_length() -> Reply:
    """The answer to a body of any size."""
    return refusal(411, "nobody says how long the body is: CONTENT_LENGTH is needed")


def spool_for(spools: Mapping[str, Spool], name: str | None) -> Spool:
    """The spool of that name, or at exactly that address; without a name the default one. Raises Refused.

    Nothing that is not among `spools` is ever opened.
    """
    if name is None:
        return spools.get(DEFAULT) or next(iter(spools.values()))
    if name in spools:
        return spools[name]
    for spool in spools.values():
        if spool.address == name:
            return spool
    raise Refused(refusal(400, f"there is no spool {name[:80]!r} here"))
