"""A request for a task, as values: variables of a packet -> the message, where it goes, and how long its body is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..exchange import NET, outer
from ..message import Message
from ..protocol import Spool
from ..raw import BODY, raw_call
from ..spooler import DEFAULT
from .keeping import Keep
from .replies import Refused, refusal
from .secret import without_secret

METHOD, HOST = b"REQUEST_METHOD", b"HTTP_HOST"
_PAIRS = (b"\x0e\0" + METHOD, b"\x09\0" + HOST)  # as they stand in a packet
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Request:
    """`spool` is what its variable `spooler` says, `body_size` the bytes that follow the packet."""

    message: Message
    spool: str | None
    body_size: int


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
    return _request(keep.kept(without_secret(outer(variables))), _body_size(variables))


def _request(kept: Mapping[bytes, bytes], body_size: int) -> Request:
    """A pair that is called body is no body here, as uWSGI has it (contract §7.1)."""
    pairs = {key: value for key, value in kept.items() if key != BODY}
    call = raw_call(pairs, None, at=None, priority=None, id=None, expires=None, spool=None)
    name = kept.get(b"spooler", b"").decode(errors="surrogateescape") or None
    return Request(replace(call.message, raw=kept, origin=NET), name, body_size)


def _body_size(variables: Mapping[bytes, bytes]) -> int:
    """CONTENT_LENGTH, also if it is empty; only without it the header. nginx sends one whenever it sends a body."""
    text = variables.get(b"CONTENT_LENGTH", variables.get(b"HTTP_CONTENT_LENGTH", b"")).strip()
    if text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    if text:
        raise Refused(refusal(400, f"CONTENT_LENGTH is {text[:40]!r}, which is no length"))
    if b"chunked" in variables.get(b"HTTP_TRANSFER_ENCODING", b"").lower():
        raise Refused(refusal(411, "nobody says how long the body is: CONTENT_LENGTH is needed"))
    return 0


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
