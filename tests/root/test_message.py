"""Message and variables: round trip, large arguments in front of the body, and variables that somebody broke."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool import wire
from aspool.errors import ArgumentsRefused, BadFile
from aspool.message import (
    LARGEST_ARGUMENTS,
    RESERVED,
    Firing,
    Message,
    from_variables,
    front_size,
    is_newer,
    to_variables,
)


def travelled(message: Message) -> Message:
    """The message as a spool reads it back: through a packet, with the front cut off the body."""
    variables, front = to_variables(message)
    read = wire.decode(wire.encode(variables)).variables
    assert front_size(read) == len(front)
    known = {"id": message.id, "due": message.due, "priority": message.priority, "unique": message.unique}
    return from_variables(read, front, attempt=message.attempt, crashes=message.crashes, **known)


moments = st.integers(0, 9_999_999_999_000_000).map(lambda microseconds: microseconds / 1_000_000)
foreign_names = st.binary(min_size=1, max_size=20).filter(lambda name: not name.startswith(b"aspool."))


@given(
    task=st.text(st.characters(codec="utf-8"), min_size=1, max_size=50),
    arguments=st.sampled_from([b"", b"{}", b'{"a": 1}', b"x" * 66_000]),
    options=st.dictionaries(st.sampled_from(["retries", "backoff", "harakiri"]), st.integers(0, 99) | st.floats(0, 99)),
    spooled=moments,
    expires=st.none() | moments,
    counts=st.tuples(st.integers(0, 99), st.integers(0, 9)),
)
def test_round_trip(
    task: str, arguments: bytes, options: dict[str, Any], spooled: float, expires: float | None, counts: tuple[int, int]
) -> None:
    message = Message(
        id="a", task=task, arguments=arguments, options=options, spooled=round(spooled, 6), due=5.0, priority=3,
        unique=True, expires=expires if expires is None else round(expires, 6), attempt=counts[0], crashes=counts[1],
    )  # fmt: skip
    found = travelled(message)
    assert found.expires == pytest.approx(message.expires, abs=1e-6)
    assert found.spooled == pytest.approx(message.spooled, abs=1e-6)
    for name in ("id", "task", "arguments", "options", "due", "priority", "unique", "attempt", "crashes"):
        assert getattr(found, name) == getattr(message, name)


@given(st.dictionaries(foreign_names, st.binary(max_size=50), max_size=10))
def test_raw_variables_come_back(raw: dict[bytes, bytes]) -> None:
    found = travelled(Message(id="a", raw=raw))
    assert found.task is None
    assert found.raw == raw


@pytest.mark.parametrize("size", [1, 1000, 65_000])
def test_small_arguments_travel_in_the_packet(size: int) -> None:
    variables, front = to_variables(Message(id="a", task="t", arguments=b"x" * size))
    assert front == b""
    assert variables[b"aspool.args"] == b"x" * size


@pytest.mark.parametrize("size", [65_600, 100_000, LARGEST_ARGUMENTS])
def test_large_arguments_go_to_the_front_of_the_body(size: int) -> None:
    arguments = b"x" * size
    variables, front = to_variables(Message(id="a", task="t", arguments=arguments))
    assert front is arguments
    assert b"aspool.args" not in variables
    assert front_size(variables) == size
    assert from_variables(variables, front, id="a").arguments == arguments


@pytest.mark.parametrize("size", range(65_300, 65_560))
def test_around_the_limit_the_packet_keeps_room_for_length_and_checksum(size: int) -> None:
    message = Message(id="a", task="task", arguments=b"x" * size, spooled=1e9, options={"retries": 3}, expires=2e9)
    variables, front = to_variables(message)
    assert wire.encoded_size(variables) + RESERVED <= wire.LARGEST_VARIABLES
    assert front in (b"", message.arguments)
    wire.encode({**variables, b"aspool.len": b"0" * 16, b"aspool.crc": b"0" * 8})


def test_arguments_that_are_far_too_large_are_refused() -> None:
    message = Message(id="a", task="app.task", arguments=bytes(LARGEST_ARGUMENTS + 1))
    with pytest.raises(ArgumentsRefused, match=r"app\.task: .* give large data as a Body"):
        to_variables(message)


@pytest.mark.parametrize(
    "message",
    [
        Message(id="a", raw={b"a": b"x" * 65_500}),
        Message(id="a", raw={b"a": b"x" * 70_000}),
        Message(id="a", task="t", options={"x": "y" * 65_500}),
        Message(id="a", task="t", arguments=b"{}", options={"x": "y" * 65_500}),
    ],
)
def test_variables_that_fit_no_packet_are_refused(message: Message) -> None:
    with pytest.raises(ArgumentsRefused, match="give large data as body"):
        to_variables(message)


@pytest.mark.parametrize(
    "variables",
    [
        {b"aspool.task": b"\xff"},
        {b"aspool.options": b""},
        {b"aspool.options": b"no json"},
        {b"aspool.options": b"[1]"},
        {b"aspool.options": b"null"},
        {b"aspool.options": b"\xff\xfe"},
        {b"aspool.options": b'{"a": '},
        {b"aspool.options": b"[" * 60_000},
        {b"aspool.options": b'{"a":' * 12_000},
        {b"aspool.expires": b""},
        {b"aspool.expires": b"soon"},
        {b"aspool.expires": b"\xff"},
        {b"aspool.spooled": b"x"},
        {b"aspool.spooled": b"1,5"},
    ],
)
def test_broken_variables_are_a_bad_file(variables: dict[bytes, bytes]) -> None:
    with pytest.raises(BadFile):
        from_variables(variables, b"", id="a")


@pytest.mark.parametrize(
    "text", [b"", b"-1", b"1.5", b"x", b"9" * 5000, b"%d" % (LARGEST_ARGUMENTS + 1), b"\xd9\xa3", b"0x10"]
)
def test_a_front_of_no_sensible_size_is_a_bad_file(text: bytes) -> None:
    with pytest.raises(BadFile, match=r"aspool\.front"):
        front_size({b"aspool.front": text})


def test_files_by_others_lack_our_variables() -> None:
    message = from_variables({b"hello": b"world"}, b"", id="u1", due=5.0)
    assert message == Message(id="u1", raw={b"hello": b"world"}, due=5.0)
    assert front_size({}) == 0
    assert not is_newer({})


@pytest.mark.parametrize(("version", "newer"), [(b"1", False), (b"2", True), (b"", True), (b"1.1", True)])
def test_a_later_version_is_noticed(version: bytes, newer: bool) -> None:
    assert is_newer({b"aspool.v": version}) is newer


@given(
    st.text(st.characters(codec="utf-8"), max_size=50),
    moments,
    st.sampled_from(["UTC", "Europe/Paris", "../odd", ""]),
)
def test_the_moment_of_a_schedule_travels(name: str, moment: float, tz: str) -> None:
    firing = Firing(name, moment, tz)
    assert travelled(Message(id="a", task="t", arguments=b"{}", firing=firing)).firing == firing
    assert travelled(Message(id="a", task="t", arguments=b"{}")).firing is None


@pytest.mark.parametrize(
    "forged",
    [
        b"", b"null", b"[]", b"{}", b'{"schedule":"a","moment":1}', b'{"schedule":"a","moment":"1","tz":"UTC"}',
        b'{"schedule":1,"moment":1,"tz":"UTC"}', b'{"schedule":"a","moment":1,"tz":null}', b"\xff", b"[" * 100_000,
        b'{"schedule":"a","moment":-1,"tz":"UTC"}', b'{"schedule":"a","moment":1e300,"tz":"UTC"}',
        b'{"schedule":"a","moment":NaN,"tz":"UTC"}', b'{"schedule":"a","moment":Infinity,"tz":"UTC"}',
        b'{"schedule":"a","moment":1' + b"0" * 400 + b',"tz":"UTC"}',
    ],
)  # fmt: skip
def test_a_forged_moment_is_a_bad_file(forged: bytes) -> None:
    variables, front = to_variables(Message(id="a", task="t", arguments=b"{}", firing=Firing("a", 1.0)))
    with pytest.raises(BadFile):
        from_variables({**variables, b"aspool.firing": forged}, front, id="a")


def test_where_it_came_from_travels() -> None:
    assert travelled(Message(id="a", origin="net")).origin == "net"
    assert travelled(Message(id="a")).origin == ""


def test_a_plain_message_has_no_variable_of_ours() -> None:
    raw = {b"b": b"2", b"a": b"1"}
    variables, front = to_variables(Message(id="a", raw=raw, plain=True, spooled=5.0, expires=9.0))
    assert list(variables.items()) == list(raw.items())
    assert front == b""
