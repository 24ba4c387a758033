"""What a plain packet says of a message, and what it cannot say."""

from typing import Any

import pytest

from aspool import Body
from aspool.errors import ArgumentsRefused
from aspool.message import Firing, Message, from_variables
from aspool.spools.uwsgi.plain import plain_variables, unsaid, without_our_way


def raw(variables: dict[bytes, bytes] | None = None, **changes: Any) -> Message:
    return Message(id="a", raw={b"k": b"v"} if variables is None else variables, **changes)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (raw(spooled=100.0, due=100.0), {b"k": b"v"}),
        (raw(spooled=100.0, due=100.1), {b"k": b"v", b"at": b"101"}),
        (raw({b"at": b"1e3"}, spooled=2000.0, due=1000.0), {b"at": b"1000"}),  # uWSGI would read 739
        (raw({b"at": b""}, spooled=100.0, due=100.0), {b"at": b""}),
        (raw({b"at": b"5000.75", b"k": b"v"}, spooled=1.0, due=5000.75), {b"k": b"v", b"at": b"5001"}),
        (raw(priority=7), {b"k": b"v", b"priority": b"7"}),
        (raw({b"priority": b"007"}, priority=7), {b"priority": b"7"}),
        (raw({b"spooler": b"/var/spool"}), {b"spooler": b"/var/spool"}),
        (raw({b"spooler": b"uwsgi://host:1"}), {}),
        (raw({b"spooler": b"remote"}), {}),
        (raw(body=Body(b"")), {b"k": b"v"}),
    ],
)
def test_what_uwsgi_reads(message: Message, said: dict[bytes, bytes]) -> None:
    assert unsaid(message, to_uwsgi=True) == unsaid(message, to_uwsgi=False) == ""
    assert plain_variables(message) == said


def test_what_fits_into_no_packet() -> None:
    assert plain_variables(raw({b"k": b"v" * 65_530}))
    with pytest.raises(ArgumentsRefused, match="take 65536 bytes"):
        plain_variables(raw({b"k": b"v" * 65_531}))


def test_a_name_may_be_one_of_the_peers() -> None:
    for name, stays in ((b"mail", True), (b"/var/spool", True), (b"uwsgi://host:1", False)):
        assert (b"spooler" in without_our_way({b"spooler": name, b"k": b"v"}, names=True)) is stays
    assert without_our_way({b"k": b"v"}) == {b"k": b"v"}


@pytest.mark.parametrize(
    ("message", "lacking"),
    [
        (Message(id="a", task="t"), "tasks"),
        (raw(expires=5.0), "expires"),
        (raw(options={"retries": 1}), "options"),
        (raw(buffer={"a": 1}), "options"),
        (raw(firing=Firing("s", 1.0)), "options"),
    ],
)
def test_what_is_said_in_variables_of_ours(message: Message, lacking: str) -> None:
    assert unsaid(message, to_uwsgi=False) == lacking
    assert unsaid(message, to_uwsgi=True) == ""
    assert from_variables(plain_variables(message), b"", id="a") == message


@pytest.mark.parametrize(
    ("message", "lacking"),
    [
        (raw(body=Body(b"x")), "bodies"),
        (raw(unique=True), "chosen ids"),
        (raw(unique=True, body=Body(b"x")), "bodies and no chosen ids"),
        (raw(arguments=b'"' + b"x" * 70_000 + b'"'), "arguments of that size"),
    ],
)
def test_what_has_no_place(message: Message, lacking: str) -> None:
    assert unsaid(message, to_uwsgi=True) == unsaid(message, to_uwsgi=False) == lacking
