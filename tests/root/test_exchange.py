"""What two aspools say to each other, as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool import Body
from aspool.errors import ArgumentsRefused, BadFile, BadPacket, CallError
from aspool.exchange import (
    ANSWER_MODIFIER,
    LARGEST_FRAME,
    PING_MODIFIER,
    REFUSED,
    STORED,
    Answer,
    Greeting,
    Trust,
    _proof,
    checked_secret,
    frame,
    frame_size,
    front_of,
    hello,
    is_framed,
    is_hello,
    is_proven,
    is_request,
    outer,
    packet,
    read_answer,
    read_greeting,
    read_request,
    request,
)
from aspool.message import Message
from aspool.testing.conformance import message
from aspool.wire import LARGEST_VARIABLES, SPOOL_MODIFIER, decode, encode_pairs, encoded_size

SECRET, NONCE = b"correct horse battery staple", b"n" * 16


# --- greeting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trust", ["yes", "proof", "no"])
def test_a_greeting_is_read_as_it_was_written(trust: Trust) -> None:
    assert is_hello(decode(hello()))
    assert read_greeting(decode(Greeting(NONCE, trust).written())) == Greeting(NONCE, trust)


def test_a_uwsgi_answers_a_ping_with_nothing() -> None:
    assert read_greeting(decode(packet({}, PING_MODIFIER, 1))) is None
    assert not is_hello(decode(packet({}, PING_MODIFIER)))


@pytest.mark.parametrize(
    "variables",
    [
        {b"aspool.hello": b"1"},
        {b"aspool.hello": b"1", b"aspool.nonce": b"xyz", b"aspool.trust": b"yes"},
        {b"aspool.hello": b"1", b"aspool.nonce": b"00" * 16, b"aspool.trust": b"\xff"},
        {b"aspool.hello": b"1", b"aspool.nonce": b"00" * 16, b"aspool.trust": b"always"},
        {b"aspool.hello": b"1", b"aspool.nonce": b"00" * 15, b"aspool.trust": b"yes"},
        {b"aspool.hello": b"1", b"aspool.nonce": b"00" * 17, b"aspool.trust": b"yes"},
    ],
)
def test_a_greeting_that_is_broken(variables: dict[bytes, bytes]) -> None:
    with pytest.raises(BadPacket):
        read_greeting(decode(packet(variables, PING_MODIFIER)))


def test_a_greeting_of_another_version() -> None:
    newer = decode(packet({b"aspool.hello": b"2", b"aspool.words": b"x"}, PING_MODIFIER))
    with pytest.raises(BadPacket, match=r"greets in version '2' .* and this one speaks version 1"):
        read_greeting(newer)
    with pytest.raises(BadPacket, match="greets in version '2'"):
        is_hello(newer)


def test_a_packet_that_is_no_greeting() -> None:
    with pytest.raises(BadPacket, match="modifier1 17"):
        read_greeting(decode(packet({}, SPOOL_MODIFIER)))


# --- request -----------------------------------------------------------------------------------------------------


def test_a_request_is_read_as_it_was_written() -> None:
    sent = message(priority=4, unique=True, id="chosen", expires=9.5, options={"retries": 1}, buffer={"a": [1]})
    variables, front = request(sent, framed=True)
    assert (front, is_framed(variables), is_request(variables)) == (b"", True, True)
    got, placed = read_request(variables, front)
    assert (placed.id, placed.unique, placed.priority) == ("chosen", True, 4)
    assert placed.due == pytest.approx(sent.due, abs=1e-6)
    assert (got.task, got.arguments, got.expires) == (sent.task, sent.arguments, 9.5)
    assert (got.options, got.buffer, got.origin) == ({"retries": 1}, {"a": [1]}, "net")


def test_a_raw_request_that_was_plain_is_an_aspools() -> None:
    variables, _ = request(Message(id="a", raw={b"k": b"v"}, plain=True, body=Body(b"x")), framed=True)
    got, placed = read_request(variables, b"")
    assert (got.task, got.raw, placed.unique, placed.priority) == (None, {b"k": b"v"}, False, None)


def test_the_origin_cannot_be_chosen_by_the_sender() -> None:
    variables, front = request(message(origin="here"), framed=False)
    assert read_request(variables, front)[0].origin == "net"


@pytest.mark.parametrize(
    "change",
    [
        {b"aspool.id": None},
        {b"aspool.due": None},
        {b"aspool.id": b"\xe4"},
        {b"aspool.due": b"soon"},
        {b"aspool.priority": b"high"},
        {b"aspool.priority": b"1_0"},
        {b"aspool.priority": b" 1"},
        {b"aspool.due": b"1_0"},
        {b"aspool.v": b"2"},
        {b"aspool.task": b"\xff"},
        {b"aspool.expires": b"x"},
    ],
)
def test_a_request_that_is_broken(change: dict[bytes, bytes | None]) -> None:
    variables: dict[bytes, bytes | None] = {**request(message(), framed=False)[0], **change}
    with pytest.raises((BadPacket, BadFile)):
        read_request({key: value for key, value in variables.items() if value is not None}, b"")


def test_a_stranger_may_say_nothing_of_ours() -> None:
    assert outer({b"a": b"b", b"aspool.task": b"t", b"aspool.": b""}) == {b"a": b"b"}
    assert not is_request({b"a": b"b"})


@given(st.integers(64_000, 70_000), st.booleans())
def test_arguments_of_any_size_leave_room_for_the_proof(size: int, framed: bool) -> None:
    arguments = b"x" * size
    variables, front = request(message(arguments=arguments), framed=framed, secret=SECRET, nonce=NONCE)
    assert encoded_size(variables) <= LARGEST_VARIABLES
    assert is_proven(variables, SECRET, NONCE)
    assert is_framed(variables) is (framed or bool(front))
    assert front_of(variables) == len(front)
    assert read_request(variables, front)[0].arguments == arguments


def test_variables_that_leave_no_room_are_refused() -> None:
    raw = {b"k": b"v" * 65_350}
    request(message(task=None, arguments=b"", raw=raw), framed=False)
    with pytest.raises(ArgumentsRefused, match="beside the proof"):
        request(message(task=None, arguments=b"", raw=raw), framed=False, secret=SECRET, nonce=NONCE)


# --- proof -------------------------------------------------------------------------------------------------------


def test_a_proof_is_of_the_secret_the_connection_and_all_variables() -> None:
    variables, _ = request(message(), framed=False, secret=SECRET, nonce=NONCE)
    assert SECRET not in b"".join(variables.values())
    assert is_proven(variables, SECRET, NONCE)
    assert is_proven(dict(reversed(variables.items())), SECRET, NONCE)
    assert not is_proven(variables, SECRET, b"m" * 16)
    assert not is_proven(variables, SECRET + b"!", NONCE)
    assert not is_proven(variables | {b"more": b""}, SECRET, NONCE)
    assert not is_proven(variables | {b"aspool.args": b"{}"}, SECRET, NONCE)
    assert not is_proven(variables | {b"aspool.proof": b"\xff"}, SECRET, NONCE)


def test_a_nonce_cannot_swallow_the_pairs_behind_it() -> None:
    """A false listener says, as its nonce, that of another with pairs of its own: the proof must be of no use there."""
    stolen, hidden = {b"aspool.id": b"x", b"aspool.task": b"app.evil"}, b"\3\0zzz"
    variables, _ = request(message(), framed=False)
    pairs = encode_pairs(dict(sorted(variables.items())))
    nonce = NONCE + encode_pairs(stolen) + hidden + len(pairs).to_bytes(2, "little")
    with pytest.raises(BadPacket, match="a nonce of 16 bytes, not of"):
        request(message(), framed=False, secret=SECRET, nonce=nonce)
    assert not is_proven(variables | {b"aspool.proof": _proof(variables, SECRET, nonce)}, SECRET, nonce)
    # and if somebody gave one all the same:
    forged = stolen | {b"zzz": pairs, b"aspool.proof": _proof(variables, SECRET, nonce)}
    assert not is_proven(forged, SECRET, NONCE)


def test_without_a_secret_nothing_is_proven() -> None:
    variables, _ = request(message(), framed=False)
    assert not is_proven(variables, SECRET, NONCE)
    assert not is_proven(variables, b"", NONCE)


def test_a_secret_is_what_is_in_its_file() -> None:
    assert checked_secret(b"\n " + SECRET + b"\r\n", "f") == SECRET
    for content in (b"", b"\n", b"x" * 15 + b" \n"):
        with pytest.raises(CallError, match=r"the secret in f has \d+ bytes, 16 are needed"):
            checked_secret(content, "f")
    assert checked_secret(b"x" * 4096, "f") == b"x" * 4096
    with pytest.raises(CallError, match="f has more than 4096 bytes, so it is no secret"):
        checked_secret(b"x" * 16 + b" " * 4081, "f")


# --- frames ------------------------------------------------------------------------------------------------------


def test_frames() -> None:
    assert frame(b"abc") == b"\3\0\0\0abc"
    assert frame(b"") == bytes(4)
    assert frame_size(frame(b"x" * LARGEST_FRAME)[:4]) == LARGEST_FRAME
    with pytest.raises(BadPacket, match="at most"):
        frame_size(b"\xff\xff\xff\xff")


# --- answer ------------------------------------------------------------------------------------------------------


def test_an_answer_to_whoever_greeted() -> None:
    for answer in (
        Answer(True, "one", duplicate=True),
        Answer(True, "one"),
        Answer(False, error="full", reason="no room: größer"),
        Answer(False, "one", error="uncertain", reason="no fsync"),
    ):
        assert read_answer(decode(answer.written(greeted=True))) == answer


def test_an_answer_to_anybody_else_has_four_bytes() -> None:
    assert Answer(True, "one").written(greeted=False) == b"\xff\0\0\1"
    assert Answer(False, error="full", reason="no room").written(greeted=False) == b"\xff\0\0\0"
    assert read_answer(decode(b"\xff\0\0\1")) == Answer(True)
    assert read_answer(decode(b"\xff\0\0\0")) == Answer(False, error="refused")


def test_an_answer_has_bounds() -> None:
    assert len(Answer(False, error="refused", reason="x" * 10_000).written(greeted=True)) < 4096


def test_an_error_that_is_not_known_is_a_refusal() -> None:
    assert read_answer(decode(packet({b"aspool.error": b"odd"}, ANSWER_MODIFIER, REFUSED))).error == "refused"


@pytest.mark.parametrize(("one", "two"), [(ANSWER_MODIFIER, 2), (SPOOL_MODIFIER, STORED)])
def test_what_is_no_answer(one: int, two: int) -> None:
    with pytest.raises(BadPacket, match="no spooler answers"):
        read_answer(decode(packet({}, one, two)))


def test_a_packet_has_bounds() -> None:
    with pytest.raises(BadPacket, match="a packet holds"):
        packet({b"k": b"v" * 65_531}, ANSWER_MODIFIER)
