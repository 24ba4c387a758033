"""Answers as values, and as the bytes of each kind of peer."""

import json

import pytest

from aspool.errors import (
    ArgumentsRefused,
    BadPacket,
    MomentRefused,
    NotSpooled,
    SpoolFull,
    SpoolUnusable,
    Uncertain,
)
from aspool.exchange import read_answer
from aspool.net.replies import LONGEST_REASON, Refused, Reply, refusal, reply_to
from aspool.protocol import Stored
from aspool.wire import decode


@pytest.mark.parametrize(
    ("found", "status", "error"),
    [
        (Stored("one"), 202, None),
        (Stored("one", duplicate=True), 202, None),
        (Uncertain("the disk did not confirm it", "one"), 500, "uncertain"),
        (SpoolFull("full"), 503, "full"),
        (NotSpooled("no room"), 503, "unusable"),
        (SpoolUnusable("gone"), 503, "unusable"),
        (OSError(28, "No space left"), 503, "unusable"),
        (ArgumentsRefused("the variables take 70000 bytes"), 413, "refused"),
        (MomentRefused("at=x"), 400, "refused"),
        (BadPacket("stray bytes"), 400, "refused"),
        (Refused(refusal(408, "late")), 408, "refused"),
    ],
)
def test_what_a_spool_says(found: Stored | Exception, status: int, error: str | None) -> None:
    reply = reply_to(found)
    assert (reply.status, reply.error, reply.is_stored) == (status, error, error is None)
    assert reply.written("uwsgi") == (b"\xff\0\0\1" if error is None else b"\xff\0\0\0")
    answer = read_answer(decode(reply.written("aspool")))
    assert (answer.stored, answer.error, answer.id) == (error is None, error, reply.id)
    head, _, body = reply.written("http").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nRetry-After: 5" in head) == (status == 503)
    assert json.loads(body).get("id", "") == reply.id


def test_an_error_of_the_program_is_none_of_them() -> None:
    with pytest.raises(ZeroDivisionError):
        reply_to(ZeroDivisionError())


def test_reasons_are_cut_and_can_be_anything() -> None:
    text = "x\r\n\x1b[31m\udc80" * 1000
    head, _, body = Reply(400, reason=text, error="refused").written("http").partition(b"\r\n\r\n")
    assert json.loads(body) == {"reason": text[:LONGEST_REASON]}
    assert body.isascii()
    assert b"\x1b" not in body
    assert len(head.split(b"\r\n")) == 5
    assert len(Reply(400, reason=text, error="refused").written("aspool")) < 4000
