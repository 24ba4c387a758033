"""The uwsgi packet: bytes <-> variables. No file, socket or clock in here.

A packet is modifier1 (1 byte), size of the variables (u16, little-endian), modifier2 (1 byte), then
pairs of u16 length + bytes for key and value (mirrors uwsgi_buffer_append_keyval and uwsgi_hooked_parse).
"""

from collections.abc import Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import NamedTuple

from .errors import BadPacket

SPOOL_MODIFIER = 17
HEADER_SIZE = 4
LARGEST_VARIABLES = 65_535
LARGEST_PACKET = HEADER_SIZE + LARGEST_VARIABLES
_pack_size = Struct("<H").pack
_pack_header = Struct("<BHB").pack


class Packet(NamedTuple):
    """One decoded packet; `size` is its length in bytes, header included."""

    variables: dict[bytes, bytes]
    size: int
    modifier1: int = SPOOL_MODIFIER
    modifier2: int = 0


def encoded_size(variables: Mapping[bytes, bytes]) -> int:
    """The number of bytes that the variables take in a packet, without its header."""
    return sum(4 + len(key) + len(value) for key, value in variables.items())


def encode(variables: Mapping[bytes, bytes], modifier2: int = 0, more: bytes = b"") -> bytes:
    """A whole packet; `more` are pairs that are encoded already.

    Raises BadPacket when the variables need more than 65,535 bytes, or a key is empty (uWSGI's reader
    rejects such a packet whole; its writer cuts long values silently, which this one never does).
    """
    content = encode_pairs(variables) + more
    if len(content) > LARGEST_VARIABLES:
        raise BadPacket(f"the variables take {len(content)} bytes; a packet holds {LARGEST_VARIABLES}")
    return _pack_header(SPOOL_MODIFIER, len(content), modifier2) + content


def encode_pairs(variables: Mapping[bytes, bytes]) -> bytes:
    """The pairs of a packet, without its header. Raises BadPacket."""
    parts: list[bytes] = []
    for key, value in variables.items():
        if not key:
            raise BadPacket("a packet cannot have an empty key: uWSGI would refuse all of it")
        try:
            parts += (_pack_size(len(key)), key, _pack_size(len(value)), value)
        except StructError:
            raise BadPacket(f"the variable {key[:60]!r} is longer than {LARGEST_VARIABLES} bytes") from None
    return b"".join(parts)


def variables_size(header: bytes | bytearray) -> int:
    """The size of the variables that a 4-byte header announces."""
    return header[1] | header[2] << 8


def decode(data: bytes) -> Packet:
    """The packet at the start of `data`; what follows it is ignored.

    Modifiers are not judged here. Of equal keys the last wins, as in uWSGI.
    Raises BadPacket when the bytes are cut short or the pairs do not add up.
    """
    if len(data) < HEADER_SIZE:
        raise BadPacket(f"{len(data)} bytes are shorter than the 4-byte header")
    end = HEADER_SIZE + variables_size(data)
    if len(data) < end:
        raise BadPacket(
            f"the header promises {end - HEADER_SIZE} bytes of variables, {len(data) - HEADER_SIZE} are there"
        )
    return Packet(_pairs(data, end), end, data[0], data[3])


def _pairs(data: bytes, end: int) -> dict[bytes, bytes]:
    """One loop without helpers: every claimed file goes through it."""
    pairs: dict[bytes, bytes] = {}
    at = HEADER_SIZE
    while at < end:
        key_start = at + 2
        if key_start > end:
            raise BadPacket("stray bytes after the last pair")
        key_end = key_start + (data[at] | data[at + 1] << 8)
        value_start = key_end + 2
        if value_start > end:
            raise BadPacket("a key runs past the end of the packet")
        at = value_start + (data[key_end] | data[key_end + 1] << 8)
        if at > end:
            raise BadPacket("a value runs past the end of the packet")
        if key_start == key_end:
            raise BadPacket("an empty key")
        pairs[data[key_start:key_end]] = data[value_start:at]
    return pairs


class PacketReader:
    """Collects a packet that arrives in fragments of any size.

    `feed` answers None until the packet is whole, then the packet; `rest` has the bytes that came after it.
    """

    def __init__(self, largest: int = LARGEST_PACKET) -> None:
        self._largest = largest
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        """The bytes fed that belong to no packet yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Packet | None:
        """Take some bytes. Raises BadPacket as soon as the packet cannot become a good one."""
        self._buffer += data
        if len(self._buffer) < HEADER_SIZE:
            return None
        size = HEADER_SIZE + variables_size(self._buffer)
        if size > self._largest:
            raise BadPacket(f"the packet announces {size} bytes; at most {self._largest} are accepted here")
        if len(self._buffer) < size:
            return None
        packet = decode(bytes(self._buffer[:size]))
        del self._buffer[:size]
        return packet
