"""Raw messages: a dict of variables as `uwsgi.spool` takes it -> a call. Its magic keys are honoured."""

from collections.abc import Mapping
from typing import Any, Literal

from . import clock
from .addresses import Address
from .body import Body, Source
from .errors import ArgumentsRefused, MomentRefused, NameRefused
from .ids import checked_id, checked_priority, new_id
from .message import OURS, Message
from .moments import Moment, timestamp
from .spoolable import Call

Package = Literal["uwsgidecorators", "uwsgi_tasks", "uwsgiconf"]
Variables = Mapping[str, Any] | Mapping[bytes, Any] | Mapping[str | bytes, Any]
BODY = b"body"


def raw_call(
    variables: Variables,
    body: Body | Source | None,
    *,
    at: Moment | None,
    priority: int | None,
    id: str | None,
    expires: Moment | None,
    spool: Address | None,
) -> Call[None]:
    """The call of a raw message; what is given beside the dict wins over its magic keys.

    `at`, `priority` and `spooler` stay among the variables too, as uWSGI keeps them; `body` does not.
    Raises ArgumentsRefused, MomentRefused or NameRefused.
    """
    pairs = {_bytes(key, "a key"): value for key, value in variables.items()}
    inner = pairs.pop(BODY, None)
    body = inner if body is None else body
    raw = {key: _bytes(value, f"the value of {key!r}") for key, value in pairs.items()}
    if ours := [key for key in raw if key.startswith(OURS)]:
        raise ArgumentsRefused(f"{ours[0]!r} is one of aspool's own variables: it cannot be given")
    if b"" in raw:
        raise ArgumentsRefused("a variable needs a name: uWSGI refuses a message with an empty key")
    now = clock.now()
    message = Message(
        id=new_id() if id is None else checked_id(id),
        unique=id is not None,
        raw=raw,
        spooled=now,
        due=_due(at, raw.get(b"at", b""), now),
        priority=checked_priority(_priority(raw.get(b"priority", b"")) if priority is None else priority),
        expires=None if expires is None else timestamp(expires, "expires"),
        body=_body(body),
    )
    return Call(message, spool or raw.get(b"spooler", b"").decode(errors="surrogateescape") or None, None)


def function_of(raw: Mapping[bytes, bytes]) -> tuple[Package | None, bytes]:
    """The package of uWSGI that wrote a raw message, None for any other program, and the function that it calls."""
    if b"ud_spool_func" in raw:
        return "uwsgidecorators", raw[b"ud_spool_func"]
    if b"function_name" in raw and b"setup" in raw:
        return "uwsgi_tasks", raw[b"function_name"]
    if raw.get(b"msg", b"").startswith(b"ucfg_"):
        return "uwsgiconf", raw[b"msg"]
    return None, b""


def text_variables(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """The variables of a raw message as a handler gets them."""
    return {key.decode(errors="surrogateescape"): value.decode(errors="surrogateescape") for key, value in raw.items()}


def _bytes(value: Any, what: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise ArgumentsRefused(f"{what} of a raw message cannot be written: {error}") from None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value).encode()
    raise ArgumentsRefused(f"{what} of a raw message must be str, bytes or a number, not {type(value).__name__}")


def _due(at: Moment | None, magic: bytes, now: float) -> float:
    if at is not None:
        return timestamp(at)
    if not magic:
        return now
    try:
        return timestamp(float(magic)) or now
    except ValueError:
        raise MomentRefused(f"at={magic!r} is no UNIX timestamp") from None


def _priority(magic: bytes) -> int | None:
    if not magic:
        return None
    if not magic.isdigit() or len(magic) > 20:
        raise NameRefused(f"the priority {magic!r} is refused: it is a whole number, as 0 (first) or 10")
    return int(magic)


def _body(body: Any) -> Body | None:
    if body is None or isinstance(body, Body):
        return body
    return Body(body.encode() if isinstance(body, str) else body)
