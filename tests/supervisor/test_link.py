"""The link keeps messages whole, and its end is news."""

import anyio
import pytest

from aspool.supervisor.link import Link, pair

pytestmark = pytest.mark.anyio


async def test_messages_stay_whole_and_the_end_is_heard() -> None:
    ours, theirs = pair()
    worker = Link(theirs)
    sent = [b"a", b"b" * 70_000, b"c"]
    assert all(worker.send(message) for message in sent)
    worker.close()
    with anyio.fail_after(10):
        assert [message async for message in ours.messages()] == sent
    assert ours.receive_now() == b""
    ours.close()


async def test_who_does_not_listen_holds_nobody_up() -> None:
    ours, theirs = pair()
    worker = Link(theirs)
    taken = 0
    while worker.send(b"x" * 10_000):
        taken += 1
    assert taken > 10
    ours.close()
    assert not worker.send(b"x")
    worker.close()


def test_an_order_is_waited_for() -> None:
    ours, theirs = pair()
    ours.send(b"order")
    end = Link.inherited(theirs.detach())
    assert end.receive_blocking() == b"order"
    ours.close()
    assert end.receive_blocking() == b""
    end.close()
