"""What a task file holds: a packet, then arguments that did not fit into it, then the body. Values only.

The packet ends with the length and the checksum of what follows it, both of fixed width; that of a plain message, which
is as uWSGI would write it, has neither.
"""

from typing import Final
from zlib import crc32

from ... import wire
from ...message import Message, to_variables

LENGTH: Final = b"aspool.len"
CHECKSUM: Final = b"aspool.crc"
_BLANK = b"0" * 8
_END = b"\x0a\0%b\x10\0%%016d\x0a\0%b\x08\0%b" % (LENGTH, CHECKSUM, _BLANK)  # the last pairs of each packet


class Content:
    """Of one message. Raises ArgumentsRefused when it does not fit."""

    __slots__ = ("_checksum", "_plain", "_size", "_variables", "front")

    def __init__(self, message: Message) -> None:
        self._variables, self.front = to_variables(message)
        self._plain = message.plain
        self._size = 0
        self._checksum = 0
        self.add(self.front)

    def add(self, data: bytes) -> None:
        """Count a piece of what follows the packet."""
        self._size += len(data)
        self._checksum = crc32(data, self._checksum)

    def packet(self) -> bytes:
        """The packet for what has been counted, always of the same length."""
        if self._plain:
            return wire.encode(self._variables)
        return _packet(self._variables, self._size, self._checksum)


def whole(message: Message, body: bytes) -> bytes:
    """All of a file whose body is at hand."""
    variables, front = to_variables(message)
    rest = front + body
    if message.plain:
        return wire.encode(variables) + rest
    return _packet(variables, len(rest), crc32(rest)) + rest


def _packet(variables: dict[bytes, bytes], size: int, checksum: int) -> bytes:
    packet = wire.encode(variables, more=_END % size)
    return packet[: -len(_BLANK)] + b"%08x" % crc32(packet, checksum)


def checksum_fits(data: bytes, packet_size: int, expected: bytes) -> bool:
    """Whether a whole file has the checksum that its variables say: of the body, then of the packet without it.

    Header byte 3 counts as 0: it may carry a mark.
    """
    blank = data[:3] + b"\0" + data[4 : packet_size - len(_BLANK)] + _BLANK
    return b"%08x" % crc32(blank, crc32(data[packet_size:])) == expected
