"""Raw messages: the magic keys of uwsgi.spool, what may be in the dict, and what is refused."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool import Body
from aspool.errors import ArgumentsRefused, CallError, MomentRefused, NameRefused
from aspool.raw import raw_call, text_variables
from aspool.spoolable import Call


def raw(variables: Any, body: Any = None, **options: Any) -> Call[None]:
    given = {"at": None, "priority": None, "id": None, "expires": None, "spool": None, **options}
    return raw_call(variables, body, **given)


def source(call: Call[Any]) -> Any:
    assert call.message.body is not None
    return call.message.body.source


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"a": "b"}, {b"a": b"b"}),
        ({b"a": b"\xff"}, {b"a": b"\xff"}),
        ({"clé": "☃"}, {"clé".encode(): "☃".encode()}),
        ({"n": 5, "f": 1.5}, {b"n": b"5", b"f": b"1.5"}),
        ({"a": bytearray(b"x"), "b": memoryview(b"y")}, {b"a": b"x", b"b": b"y"}),
        ({"a": "\udcff"}, {b"a": b"\xff"}),
        ({"a": ""}, {b"a": b""}),
        ({"a": 1, b"a": 2}, {b"a": b"2"}),
        ({"aspool": "x", "Aspool.v": "1"}, {b"aspool": b"x", b"Aspool.v": b"1"}),
    ],
)
def test_a_dict_becomes_these_variables(variables: Any, expected: dict[bytes, bytes]) -> None:
    message = raw(variables).message
    assert message.raw == expected
    assert message.task is None
    assert message.body is None
    assert not message.unique


@given(st.dictionaries(st.binary(min_size=1, max_size=9), st.binary(max_size=30), max_size=5))
def test_a_handler_gets_text_that_can_be_turned_back(variables: dict[bytes, bytes]) -> None:
    back = {os.fsencode(key): os.fsencode(value) for key, value in text_variables(variables).items()}
    assert back == variables


# --- magic keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("magic", "due"),
    [
        ("2000000000", 2e9),
        (b"2000000000.75", 2000000000.75),
        (2000000000, 2e9),
        (2000000000.5, 2000000000.5),
        ("1000000000", 1e9),
        (" 2000000000", 2e9),
    ],
)
def test_at_in_the_dict(magic: Any, due: float) -> None:
    call = raw({"at": magic, "x": "y"})
    assert call.message.due == due
    assert b"at" in call.message.raw  # uWSGI keeps it, and its handlers see it


@pytest.mark.parametrize("magic", ["", "0", b"", "-5", 0])
def test_an_empty_at_is_now(magic: Any) -> None:
    before = time.time()
    assert before <= raw({"at": magic}).message.due <= time.time()


@pytest.mark.parametrize("magic", ["abc", "nan", "inf", "1e400", "2026-01-01", b"\xff", "9" * 20, "9" * 5000])
def test_an_at_that_is_no_moment_is_refused(magic: Any) -> None:
    with pytest.raises(MomentRefused):
        raw({"at": magic})


@pytest.mark.parametrize(
    ("magic", "priority"), [("5", 5), (b"10", 10), (0, 0), ("007", 7), ("", None), ("999999", 999999)]
)
def test_priority_in_the_dict(magic: Any, priority: int | None) -> None:
    call = raw({"priority": magic})
    assert call.message.priority == priority
    assert b"priority" in call.message.raw


@pytest.mark.parametrize(
    "magic", ["high", "5/2", "../x", "/abs", "-1", "1.5", " 5", "+5", "1000000", "9" * 5000, "٣", b"\xb2"]
)
def test_a_priority_that_is_no_small_number_is_refused(magic: Any) -> None:
    with pytest.raises(NameRefused, match="priority"):
        raw({"priority": magic})


def test_spooler_in_the_dict_names_the_spool() -> None:
    assert raw({"spooler": "./mail"}).spool == "./mail"
    assert raw({"spooler": b"./\xff"}).spool == "./\udcff"
    assert raw({"spooler": ""}).spool is None
    assert raw({}).spool is None


@pytest.mark.parametrize(
    ("body", "expected"), [(b"x", b"x"), ("é", "é".encode()), (bytearray(b"x"), b"x"), (Path("f"), Path("f"))]
)
def test_body_in_the_dict_leaves_it(body: Any, expected: Any) -> None:
    for call in (raw({"body": body, "a": "b"}), raw({b"body": body, "a": "b"}), raw({"a": "b"}, body)):
        assert source(call) == expected
        assert call.message.raw == {b"a": b"b"}


def test_what_is_given_beside_the_dict_wins() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    inside = {"at": "1000000000", "priority": "5", "spooler": "./mail", "body": b"inner"}
    call = raw(inside, b"outer", at=at, priority=1, spool="./other", id="chosen", expires=timedelta(days=1))
    message = call.message
    assert (message.due, message.priority, call.spool) == (at.timestamp(), 1, "./other")
    assert source(call) == b"outer"
    assert b"body" not in message.raw
    assert (message.id, message.unique) == ("chosen", True)
    assert message.expires is not None
    assert message.expires > time.time() + 86_000


def test_the_callers_dict_stays_as_it_was() -> None:
    variables = {"body": b"x", "at": "0"}
    raw(variables)
    assert variables == {"body": b"x", "at": "0"}


def test_a_body_object_is_taken_as_it_is() -> None:
    body = Body(b"x")
    assert raw({}, body).message.body is body
    assert raw({"body": body}).message.body is body


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"a": None}, "the value of b'a' .* not NoneType"),
        ({"a": True}, "not bool"),
        ({"a": ["x"]}, "not list"),
        ({"a": {"b": 1}}, "not dict"),
        ({("a",): "b"}, "a key .* not tuple"),
        ({None: "b"}, "a key .* not NoneType"),
        ({"": "b"}, "needs a name"),
        ({"aspool.task": "x"}, "aspool's own"),
        ({b"aspool.v": "2"}, "aspool's own"),
        ({"aspool.": "2"}, "aspool's own"),
        ({"a": "\ud800"}, "cannot be written"),
        ({"\ud800": "a"}, "cannot be written"),
    ],
)
def test_variables_that_are_refused(variables: Any, complaint: str) -> None:
    with pytest.raises(ArgumentsRefused, match=complaint):
        raw(variables)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"at": datetime(2026, 1, 1)}, MomentRefused),
        ({"expires": "x"}, MomentRefused),
        ({"priority": -1}, NameRefused),
        ({"priority": "5"}, NameRefused),
        ({"id": "../x"}, NameRefused),
        ({"id": ""}, NameRefused),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], error: type[CallError]) -> None:
    with pytest.raises(error):
        raw({"a": "b"}, **options)


@pytest.mark.parametrize("body", [5, 1.5, ["x"], object()])
def test_a_body_that_is_none_is_refused(body: Any) -> None:
    with pytest.raises((TypeError, CallError)):
        raw({}, body)
