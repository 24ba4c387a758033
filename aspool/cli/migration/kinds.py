"""What a task file is: who wrote it, for which function, and whether there are pickles in it. Values only."""

from dataclasses import dataclass
from typing import Literal

from ...errors import BadPacket
from ...raw import Package, function_of
from ...wire import SPOOL_MODIFIER, Packet, decode

Kind = Package | Literal["aspool", "raw"]
_PICKLES = tuple(b"\x80%c" % protocol for protocol in range(2, 6))
_LENGTH = b"aspool.len"


@dataclass(frozen=True, slots=True)
class Content:
    """Of a task file that can be read; `name` of the function, "" if it names none."""

    kind: Kind
    name: str
    has_pickles: bool
    priority: str


def content_of(data: bytes, size: int) -> Content:
    """What the first 64 KiB of a file of so many bytes say. Raises BadPacket with the reason if it will not run."""
    if len(data) < 4:
        raise BadPacket(f"it has {len(data)} bytes only: its writer has died")
    packet = decode(data)
    if packet.modifier1 != SPOOL_MODIFIER:
        raise BadPacket(f"its modifier1 is {packet.modifier1}, not {SPOOL_MODIFIER}: it is no spool file")
    _check_length(packet, size)
    kind, name = _kind_of(packet.variables)
    return Content(kind, name, _has_pickles(packet, data, kind), _text(packet.variables.get(b"priority", b"")))


def _check_length(packet: Packet, size: int) -> None:
    length = packet.variables.get(_LENGTH, b"")
    if length.isdigit() and int(length) != size - packet.size:
        raise BadPacket(f"its body should have {int(length)} bytes, but has {size - packet.size}")


def _kind_of(variables: dict[bytes, bytes]) -> tuple[Kind, str]:
    if b"aspool.v" in variables:
        return "aspool", _text(variables.get(b"aspool.task", b""))
    package, name = function_of(variables)
    return package or "raw", _text(name)


def _has_pickles(packet: Packet, data: bytes, kind: Kind) -> bool:
    """Those of protocols 0 and 1 cannot be told from text, so what the packages always pickle counts too."""
    if kind == "aspool":
        return False
    values = [*packet.variables.values(), data[packet.size : packet.size + 2]]
    return kind in ("uwsgi_tasks", "uwsgiconf") or any(value.startswith(_PICKLES) for value in values)


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
