"""Message: one call of a task, written down; and how it becomes the variables of a uwsgi packet and back.

Ours are called aspool.…; everything else in a packet belongs to whoever wrote it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from .body import Body
from .errors import ArgumentsRefused, BadFile
from .moments import LATEST
from .wire import LARGEST_VARIABLES, encoded_size

T = TypeVar("T", int, float)

VERSION = b"1"
_NOTHING: Mapping[Any, Any] = {}  # one for all messages
OURS = b"aspool."
LARGEST_ARGUMENTS = 64 * 1024 * 1024  # bytes; what is larger is a Body
LARGEST_BUFFER = 32 * 1024  # bytes of JSON
SURELY_FIT = 32 * 1024  # bytes of arguments: what is beside them in a task's packet is far smaller
RESERVED = 64  # bytes of a packet that a spool keeps for length and checksum (aspool.len, aspool.crc)


@dataclass(frozen=True, slots=True)
class Firing:
    """Which moment (a UNIX timestamp) of which schedule a message is for; `tz` is the schedule's zone."""

    schedule: str
    moment: float
    tz: str = "UTC"


@dataclass(slots=True, kw_only=True)
class Message:
    """One call, written down, and never changed after. Moments are UNIX timestamps in seconds.

    A message that names no task is raw: `raw` has its variables, for the Spooler's handler.
    """

    id: str
    task: str | None = None
    arguments: bytes = b""  # a JSON object
    raw: Mapping[bytes, bytes] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  # of this call: retries, backoff, harakiri …
    unique: bool = False  # the caller chose the id
    spooled: float = 0.0
    due: float = 0.0
    priority: int | None = None
    expires: float | None = None
    attempt: int = 0  # runs that were charged
    crashes: int = 0  # workers that died while running it
    buffer: Mapping[str, Any] = field(default_factory=dict)  # what an earlier run, or its own task, gave it
    body: Body | None = None
    firing: Firing | None = None  # if a schedule spooled it
    origin: str = ""  # "net": it came over a network, and nothing of it may be unpickled
    plain: bool = False  # a raw one that is written as uWSGI writes it, without any variable of ours


def to_variables(message: Message) -> tuple[dict[bytes, bytes], bytes]:
    """The variables of the packet, and the arguments that did not fit and go to the front of the body.

    Raises ArgumentsRefused when the arguments are larger than 64 MiB, or raw variables do not fit a packet.
    """
    if message.plain:
        return dict(message.raw), b""  # the packet says whether they fit: nothing is added to them
    variables = _without_arguments(message)
    if not message.arguments:
        return _fitting(variables), b""
    if len(message.arguments) > LARGEST_ARGUMENTS:
        raise ArgumentsRefused(
            f"{message.task}: the arguments take {len(message.arguments)} bytes, at most {LARGEST_ARGUMENTS} are "
            "possible; give large data as a Body"
        )
    if _fits(message, variables):
        variables[b"aspool.args"] = message.arguments
        return variables, b""
    variables[b"aspool.front"] = b"%d" % len(message.arguments)
    return _fitting(variables), message.arguments


def _without_arguments(message: Message) -> dict[bytes, bytes]:
    variables = {**message.raw, b"aspool.v": VERSION, b"aspool.spooled": b"%.6f" % message.spooled}
    if message.task is not None:
        variables[b"aspool.task"] = message.task.encode()
    if message.options:
        variables[b"aspool.options"] = json.dumps(dict(message.options)).encode()
    if message.buffer:
        variables[b"aspool.buffer"] = written_buffer(message.buffer)
    if message.firing is not None:
        variables[b"aspool.firing"] = json.dumps(asdict(message.firing)).encode()
    if message.origin:
        variables[b"aspool.origin"] = message.origin.encode()
    if message.expires is not None:
        variables[b"aspool.expires"] = b"%.6f" % message.expires
    return variables


def _fits(message: Message, variables: dict[bytes, bytes]) -> bool:
    """Whether the arguments have room beside the variables; most messages are so small that nobody need count."""
    size = len(message.arguments)
    if size < SURELY_FIT and not (message.raw or message.options or message.buffer or message.firing):
        return True
    return encoded_size(variables) + size + 32 + RESERVED <= LARGEST_VARIABLES


def _fitting(variables: dict[bytes, bytes]) -> dict[bytes, bytes]:
    size = encoded_size(variables) + RESERVED
    if size > LARGEST_VARIABLES:
        raise ArgumentsRefused(
            f"the variables take {size} bytes, a uwsgi packet holds {LARGEST_VARIABLES}; give large data as body"
        )
    return variables


def front_size(variables: Mapping[bytes, bytes]) -> int:
    """How many bytes of arguments lie in front of the body. Raises BadFile when that is no sensible number."""
    size = _number(variables, b"aspool.front", int)
    if size is None:
        return 0
    if not 0 <= size <= LARGEST_ARGUMENTS:
        raise BadFile(f"aspool.front says {size} bytes, at most {LARGEST_ARGUMENTS} are accepted")
    return size


def from_variables(variables: Mapping[bytes, bytes], front: bytes, **known: Any) -> Message:
    """The message of a packet; `known` is what the spool knows of it (id, due, priority, attempt …).

    Raises BadFile when one of our variables is broken.
    """
    return Message(
        task=_task_name(variables),
        arguments=front or variables.get(b"aspool.args", b""),
        raw=_NOTHING if b"aspool.task" in variables else {k: v for k, v in variables.items() if not k.startswith(OURS)},
        options=_object(variables, b"aspool.options") if b"aspool.options" in variables else _NOTHING,
        buffer=_object(variables, b"aspool.buffer") if b"aspool.buffer" in variables else _NOTHING,
        expires=_number(variables, b"aspool.expires", float),
        spooled=_number(variables, b"aspool.spooled", float) or 0.0,
        firing=_firing(variables) if b"aspool.firing" in variables else None,
        origin=variables[b"aspool.origin"].decode(errors="replace") if b"aspool.origin" in variables else "",
        **known,
    )


def is_newer(variables: Mapping[bytes, bytes]) -> bool:
    """Whether a later aspool than this wrote the message, in a form that this one may not understand."""
    version = variables.get(b"aspool.v", VERSION)
    return version != VERSION


def _task_name(variables: Mapping[bytes, bytes]) -> str | None:
    name = variables.get(b"aspool.task")
    if name is None:
        return None
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadFile(f"the task name {name!r} is not UTF-8") from None


def _object(variables: Mapping[bytes, bytes], key: bytes) -> dict[str, Any]:
    try:
        found = json.loads(variables[key])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadFile(f"{key.decode()} is not a JSON object")
    return found


def _firing(variables: Mapping[bytes, bytes]) -> Firing:
    match _object(variables, b"aspool.firing"):
        case {"schedule": str(schedule), "moment": int() | float() as moment, "tz": str(tz)} if 0 <= moment <= LATEST:
            return Firing(schedule, float(moment), tz)
    raise BadFile("aspool.firing does not say which moment of which schedule it is for")


def written_buffer(buffer: Mapping[str, Any]) -> bytes:
    """A job's buffer as JSON. Raises ArgumentsRefused when it is none, or takes more than 32 KiB."""
    try:
        data = json.dumps(buffer, allow_nan=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentsRefused(f"the buffer of a job cannot be written as JSON: {error}") from None
    if len(data) > LARGEST_BUFFER:
        raise ArgumentsRefused(f"the buffer of a job takes {len(data)} bytes as JSON, at most {LARGEST_BUFFER} travel")
    return data


def _number(variables: Mapping[bytes, bytes], key: bytes, kind: type[T]) -> T | None:
    text = variables.get(key)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise BadFile(f"{key.decode()} is {text[:40]!r}, not a number") from None
