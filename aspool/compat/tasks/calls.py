"""What `uwsgi.spool` is given -> the message, and which spool it is for (contract §1.4, §2.2, §4.1). Values only.

`strict` is as py_uwsgi_send_spool in Python 3: bytes alone. Otherwise what the manual shows is taken too: str and
numbers as text, keywords, `message_dict=`.
"""

import math
import os.path
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from ... import clock
from ...body import Body
from ...errors import AspoolError
from ...ids import checked_priority, new_id
from ...message import OURS, Message
from ...moments import timestamp
from ...raw import BODY
from ...wire import LARGEST_VARIABLES, encoded_size

NO_DICT = "The argument of spooler callable must be a dictionary"
NO_BYTES = "spooler callable dictionary must contains only bytes"
REFUSED = "unable to spool job"
REMOTE = re.compile(r"(\[[^\]]+\]|[^/:]+):\d{1,5}|unix:/.+|uwsgi://.+", re.DOTALL)
_MANUAL = ("message_dict", "spooler", "priority", "at", "body")  # keywords that are None if they are not given
_SIZE = "the variables of a task take {} bytes and a uwsgi packet holds {}: give large data as body"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pairs of a packet, in their order, and the body."""

    variables: dict[bytes, bytes]
    body: bytes


def wanted(args: Sequence[Any], keywords: Mapping[str, Any], *, strict: bool) -> Wanted:
    """What a call asks for. As in uWSGI the body is removed from the caller's dict. Raises ValueError."""
    if args and not isinstance(args[0], dict):
        raise ValueError(NO_DICT)
    if strict:
        return _taken(args[0] if args else dict(keywords), strict=True)
    first = args[0] if args else None
    rest = {key: value for key, value in keywords.items() if value is not None or key not in _MANUAL}
    if first is None and isinstance(rest.get("message_dict"), dict):
        first = rest.pop("message_dict")
    own = Wanted({}, b"") if first is None else _taken(first, strict=False)
    more = _taken(rest, strict=False)
    return Wanted(own.variables | more.variables, more.body or own.body)


def _taken(pairs: MutableMapping[Any, Any], *, strict: bool) -> Wanted:
    body = _body(pairs, strict=strict)
    return Wanted({_key(key, strict=strict): _value(key, value, strict=strict) for key, value in pairs.items()}, body)


def _body(pairs: MutableMapping[Any, Any], *, strict: bool) -> bytes:
    """The body, if it is one; anything else under its name stays an ordinary pair."""
    found = b""
    for key in (BODY,) if strict else ("body", BODY):
        value = pairs.get(key)
        if isinstance(value, bytes) or (isinstance(value, str) and not strict):
            del pairs[key]
            found = _text(value)
    return found


def _text(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode(errors="surrogateescape")


def _key(key: Any, *, strict: bool) -> bytes:
    if isinstance(key, bytes) or (isinstance(key, str) and not strict):
        return _text(key)
    raise ValueError(NO_BYTES if strict else f"the keys of a task are bytes or str, not {key!r}")


def _value(key: Any, value: Any, *, strict: bool) -> bytes:
    """As PyObject_Bytes has it, which takes no number; numbers are text unless strict."""
    if isinstance(value, bytes):
        return value
    if not strict and isinstance(value, str):
        return _text(value)
    if not strict and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value).encode()
    is_number = hasattr(value, "__index__") and not hasattr(value, "__bytes__")
    try:
        if not is_number and not isinstance(value, str):
            return bytes(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(NO_BYTES if strict else f"the value of {key!r} is no bytes, str or number: {value!r}")


# --- the message -------------------------------------------------------------------------------------------------


def message_of(asked: Wanted, *, strict: bool) -> Message:
    """The message, as uWSGI would write it. Raises ValueError, always with uWSGI's own words if strict."""
    try:
        _check(asked.variables)
        now = clock.now()
        at, priority = asked.variables.get(b"at", b""), asked.variables.get(b"priority", b"")
        return Message(
            id=new_id(),
            raw=asked.variables,
            spooled=now,
            due=(_number(at) if strict else _moment(at)) or now,
            priority=_priority(priority),
            body=Body(asked.body) if asked.body else None,
            plain=True,
        )
    except (ValueError, AspoolError) as error:
        raise refusal(str(error), strict=strict) from None


def refusal(reason: str, *, strict: bool) -> ValueError:
    """The error of a task that cannot be spooled."""
    return ValueError(REFUSED if strict else f"{REFUSED}: {reason}")


def _check(variables: Mapping[bytes, bytes]) -> None:
    """Raises ValueError for what uWSGI writes and its reader throws away, or cuts, and for what is ours."""
    if (size := encoded_size(variables)) > LARGEST_VARIABLES:  # it would cut a long value to its length mod 65536
        raise ValueError(_SIZE.format(size, LARGEST_VARIABLES))
    if b"" in variables:
        raise ValueError("a variable needs a name: uWSGI deletes a task with an empty key, unrun")
    if ours := [key for key in variables if key.startswith(OURS)]:
        raise ValueError(f"{ours[0]!r} is one of aspool's own variables")


def _moment(at: bytes) -> float:
    if not at:
        return 0.0
    try:
        return timestamp(float(at))
    except ValueError:
        raise ValueError(f"at={at!r} is no UNIX timestamp") from None


def _number(at: bytes) -> float:
    """What spooler_req_parser_hook and uwsgi_str_num read: up to the first dot, each byte as if it were a digit."""
    digits = at.partition(b".")[0]
    if len(digits) > 19:  # beyond 64 bits the first power of ten is none
        return 0.0
    number = sum((digit - 48) * 10**place for place, digit in enumerate(reversed(digits)))
    number = (number + (1 << 31)) % (1 << 32) - (1 << 31)  # an int
    return float(number) if number > 0 else 0.0


def _priority(given: bytes) -> int | None:
    """A number alone: uWSGI makes a directory of whatever this is, and with ../ one outside of the spool."""
    if not given:
        return None
    if not given.isdigit() or len(given) > 20:
        raise ValueError(f"the priority {given!r} is refused: it is a whole number, as 0 (first) or 10")
    return checked_priority(int(given))


# --- which spool -------------------------------------------------------------------------------------------------


def spool_named(given: bytes, spools: Mapping[str, str], *, strict: bool) -> str | None:
    """The name of a spool, or a remote address, for the value of `spooler`; None for the default one.

    `spools`: addresses by names, in their order. It is the exact address (uwsgi_spool_request); unless strict also
    its name, its position (from 0), another way to write its path, or `HOST:PORT` or `unix:PATH` of a remote one.
    Raises ValueError for any other.
    """
    if not given:
        return None
    text = os.fsdecode(given)
    for name, address in spools.items():
        if text == address:
            return name
    if not strict:
        if text in spools:
            return text
        if text.isdecimal() and int(text) < len(spools):
            return list(spools)[int(text)]
        for name, address in spools.items():
            if "/" in text and os.path.abspath(text) == address:
                return name
        if REMOTE.fullmatch(text):
            return f"uwsgi://{text.removeprefix('uwsgi://').removeprefix('unix:')}"
    known = ", ".join(spools.values())
    raise refusal(f"the spooler {text!r} is none of uwsgi.spoolers: {known}", strict=strict)


def frequency(seconds: float) -> float | None:
    """What set_spooler_frequency was given, for a Spooler; None is the one of the settings. Raises ValueError."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"the frequency of the spooler is a number of seconds, not {seconds!r}")
    return seconds or None
