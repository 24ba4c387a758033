"""The uwsgi packet: byte tables, round trips, fragments, and everything that a real uWSGI and nginx wrote."""

import base64
import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.errors import BadPacket
from aspool.wire import (
    HEADER_SIZE,
    LARGEST_PACKET,
    LARGEST_VARIABLES,
    Packet,
    PacketReader,
    decode,
    encode,
    encoded_size,
    variables_size,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "uwsgi"
MANIFEST: dict[str, Any] = json.loads((FIXTURES / "MANIFEST.json").read_text())
SPOOL_FILES: list[dict[str, Any]] = MANIFEST["spool_files"]
REQUESTS: list[dict[str, Any]] = [entry for entry in MANIFEST["network"] if "pairs" in entry]
REPLIES: list[dict[str, Any]] = [entry for entry in MANIFEST["network"] if "pairs" not in entry]

keys = st.binary(min_size=1, max_size=60)
variables = st.dictionaries(keys, st.binary(max_size=300), max_size=20)


def named(entries: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=[entry["id"] for entry in entries])


def is_same(expected: Any, found: bytes) -> bool:
    """Whether bytes are what the manifest says: text, {"b64"}, or {"len", "sha256"}."""
    if isinstance(expected, str):
        return found == expected.encode()
    if "b64" in expected:
        return found == base64.b64decode(expected["b64"])
    return bool(len(found) == expected["len"] and hashlib.sha256(found).hexdigest() == expected["sha256"])


def assert_pairs(packet: Packet, expected: list[list[Any]]) -> None:
    assert len(packet.variables) == len(expected)
    for (key, value), (expected_key, expected_value) in zip(packet.variables.items(), expected, strict=True):
        assert is_same(expected_key, key)
        assert is_same(expected_value, value)


# --- bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "data"),
    [
        ({}, b"\x11\x00\x00\x00"),
        ({b"a": b"b"}, b"\x11\x06\x00\x00\x01\x00a\x01\x00b"),
        ({b"k": b""}, b"\x11\x05\x00\x00\x01\x00k\x00\x00"),
        ({b"a": b"1", b"bc": b"23"}, b"\x11\x0e\x00\x00\x01\x00a\x01\x001\x02\x00bc\x02\x0023"),
        ({b"\xff\x00": b"\n"}, b"\x11\x07\x00\x00\x02\x00\xff\x00\x01\x00\n"),
        ({b"v": b"x" * 256}, b"\x11\x05\x01\x00\x01\x00v\x00\x01" + b"x" * 256),
    ],
)
def test_a_packet_is_these_bytes(pairs: dict[bytes, bytes], data: bytes) -> None:
    assert encode(pairs) == data
    assert decode(data) == Packet(pairs, len(data))
    assert encoded_size(pairs) == len(data) - HEADER_SIZE == variables_size(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x11",
        b"\x11\x00\x00",
        b"\x11\x01\x00\x00",  # nothing of what the header promises
        b"\x11\x06\x00\x00\x01\x00a\x01\x00",  # one byte less
        b"\x11\x01\x00\x00\x00",  # one stray byte
        b"\x11\x07\x00\x00\x01\x00a\x01\x00b\x00",  # one stray byte after a pair
        b"\x11\x03\x00\x00\x01\x00a",  # a key without a value
        b"\x11\x04\x00\x00\x01\x00a\x00",  # half a length
        b"\x11\x06\x00\x00\xff\xffa\x01\x00b",  # a key that runs past the end
        b"\x11\x06\x00\x00\x01\x00a\x02\x00bc",  # a value that runs past the packet into the body
        b"\x11\x05\x00\x00\x00\x00\x01\x00b",  # an empty key
        b"\x11\x04\x00\x00\x00\x00\x00\x00",  # an empty key with an empty value
    ],
)
def test_broken_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadPacket):
        decode(data)


def test_modifiers_are_read_and_not_judged() -> None:
    packet = decode(b"\x63\x00\x00\x07")
    assert (packet.modifier1, packet.modifier2) == (99, 7)
    assert encode({}, modifier2=7) == b"\x11\x00\x00\x07"


def test_of_equal_keys_the_last_wins() -> None:
    assert decode(b"\x11\x0c\x00\x00" + b"\x01\x00a\x01\x00b" + b"\x01\x00a\x01\x00c").variables == {b"a": b"c"}


def test_what_follows_the_packet_is_its_body() -> None:
    data = encode({b"a": b"b"}) + b"the body"
    assert data[decode(data).size :] == b"the body"


def test_the_largest_packet_fits_and_one_byte_more_does_not() -> None:
    data = encode({b"a": b"x" * (LARGEST_VARIABLES - 5)})
    assert len(data) == LARGEST_PACKET
    assert decode(data).variables == {b"a": b"x" * 65_530}
    with pytest.raises(BadPacket, match="65536 bytes"):
        encode({b"a": b"x" * 65_531})


@pytest.mark.parametrize("pairs", [{b"a": b"x" * 65_536}, {b"x" * 70_000: b""}, {b"": b"x"}])
def test_what_uwsgi_would_cut_or_refuse_is_never_written(pairs: dict[bytes, bytes]) -> None:
    with pytest.raises(BadPacket):
        encode(pairs)


@given(variables, st.integers(0, 255), st.binary(max_size=40))
def test_round_trip(pairs: dict[bytes, bytes], modifier2: int, body: bytes) -> None:
    data = encode(pairs, modifier2)
    packet = decode(data + body)
    assert packet == Packet(pairs, len(data), modifier2=modifier2)
    assert list(packet.variables) == list(pairs)
    assert encoded_size(pairs) == len(data) - HEADER_SIZE


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        packet = decode(data)
    except BadPacket:
        return
    assert HEADER_SIZE <= packet.size <= len(data)


@given(st.binary(max_size=100))
def test_any_variables_decode_or_are_refused(content: bytes) -> None:
    try:
        packet = decode(b"\x11" + len(content).to_bytes(2, "little") + b"\0" + content)
    except BadPacket:
        return
    assert packet.size == HEADER_SIZE + len(content)


# --- fragments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"rest"])
def test_the_reader_takes_every_split(body: bytes) -> None:
    pairs = {b"key": b"value", b"n": b"42"}
    data = encode(pairs)
    for cut in range(len(data) + 1):
        reader = PacketReader()
        first = reader.feed(data[:cut])
        assert (first is None) == (cut < len(data))
        packet = first or reader.feed(data[cut:] + body)
        assert packet == Packet(pairs, len(data))
        if first is None:
            assert reader.rest == body


def test_the_reader_takes_single_bytes() -> None:
    data = encode({b"key": b"value"})
    reader = PacketReader()
    answers = [reader.feed(data[at : at + 1]) for at in range(len(data))]
    assert answers[:-1] == [None] * (len(data) - 1)
    assert answers[-1] is not None
    assert answers[-1].variables == {b"key": b"value"}


@given(st.lists(variables, min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=8))
def test_the_reader_takes_packets_after_each_other(packets: list[dict[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(encode(pairs) for pairs in packets)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader, found = PacketReader(), []
    for start, stop in pairwise(bounds):
        packet = reader.feed(stream[start:stop])
        while packet is not None:
            found.append(packet.variables)
            packet = reader.feed(b"")
    assert found == packets
    assert reader.rest == b""


def test_the_reader_refuses_a_packet_that_is_too_large_by_its_header() -> None:
    reader = PacketReader(largest=100)
    with pytest.raises(BadPacket, match="at most 100"):
        reader.feed(b"\x11\x61\x00\x00")
    assert PacketReader(largest=100).feed(b"\x11\x60\x00\x00") is None


def test_the_reader_refuses_a_broken_packet_when_it_is_whole() -> None:
    reader = PacketReader()
    assert reader.feed(b"\x11\x01\x00\x00") is None
    with pytest.raises(BadPacket):
        reader.feed(b"\x00")


# --- written by the real ones ----------------------------------------------------------------------------


@named([entry for entry in SPOOL_FILES if entry["pairs"] is not None])
def test_a_file_of_uwsgi_decodes_to_its_pairs_and_body(entry: dict[str, Any]) -> None:
    data = (FIXTURES / entry["file"]).read_bytes()
    packet = decode(data)
    assert_pairs(packet, entry["pairs"])
    assert is_same(entry["body"] or "", data[packet.size :])
    assert (packet.modifier1, packet.modifier2) == (entry["modifier1"], entry["modifier2"])
    assert packet.size == HEADER_SIZE + entry["pktsize"]


@named([entry for entry in SPOOL_FILES if entry["pairs"] is None])
def test_a_broken_file_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(BadPacket):
        decode((FIXTURES / entry["file"]).read_bytes())


@named([entry for entry in SPOOL_FILES if entry["pairs"] is not None and entry["modifier1"] == 17])
def test_we_write_the_bytes_that_uwsgi_wrote(entry: dict[str, Any]) -> None:
    data = (FIXTURES / entry["file"]).read_bytes()
    packet = decode(data)
    written = encode(packet.variables, packet.modifier2)
    if entry["id"] == "duplicate_key":
        assert len(written) < packet.size
    else:
        assert written == data[: packet.size]


@named(REQUESTS)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_request_of_nginx_decodes_to_its_pairs(entry: dict[str, Any], step: int) -> None:
    data = (FIXTURES / entry["file"]).read_bytes()
    reader, packet = PacketReader(), None
    for at in range(0, len(data), step):
        packet = packet or reader.feed(data[at : at + step])
        if packet is not None:
            rest = reader.rest + data[at + step :]
            break
    assert packet is not None
    assert_pairs(packet, entry["pairs"])
    assert (packet.modifier1, packet.modifier2) == (entry["modifier1"], entry["modifier2"])
    assert len(rest) == entry["trailing_bytes"]
    assert is_same(entry["trailing"], rest)


@named(REPLIES)
def test_a_reply_of_uwsgi_is_a_packet_without_variables(entry: dict[str, Any]) -> None:
    packet = decode((FIXTURES / entry["file"]).read_bytes())
    assert packet.variables == {}
    assert packet.modifier1 == 255
    assert packet.modifier2 == (entry["id"] == "uwsgi_reply_spooled")


def test_the_manifest_has_every_fixture() -> None:
    listed = {entry["file"] for entry in [*SPOOL_FILES, *MANIFEST["network"]]}
    there = {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*") if path.is_file()} - {"MANIFEST.json"}
    assert there == listed
    assert len(listed) > 40
