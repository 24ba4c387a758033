"""`assert_spooled` and its likes: what they find, and what they say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest

from aspool import ArgumentsRefused, Body, CallError, Spooler
from aspool.testing import assert_not_spooled, assert_nothing_spooled, assert_spooled, use

shop = Spooler("./never-opened", spools={"mail": "./never-opened-either"})


@shop.task(name="send")
def send(to: str, subject: str = "hello", *, tags: tuple[str, ...] = ()) -> None:
    """A task with defaults."""


@shop.task(name="plain")
def plain(value) -> None:  # type: ignore[no-untyped-def]
    """A task without a type hint."""


@shop.task(name="digest")
def digest(name: str, content: Body) -> None:
    """A task with a Body."""


@shop.task(name="inline", executor="inline")
def inline() -> None:
    """A task that is never spooled."""


def test_a_call_is_found_however_it_was_written() -> None:
    with use(shop):
        send.spool_sync("a@b.c", "hello", tags=("x",))
        for found in (
            assert_spooled(send),
            assert_spooled(send, "a@b.c", tags=("x",)),
            assert_spooled(send, subject="hello", to="a@b.c", tags=("x",)),
            assert_spooled(send, ANY, tags=ANY),
            assert_spooled(shop.task_named("send"), "a@b.c", tags=("x",)),
        ):
            assert [each.kwargs["to"] for each in found] == ["a@b.c"]
        assert_not_spooled(send, "a@b.c")
        assert_not_spooled(send, "a@b.c", "bye", tags=("x",))
        assert_not_spooled(plain)


def test_values_are_compared_as_the_task_gets_them() -> None:
    with use(shop):
        plain.spool_sync((1, (2, 3)))
        for like in ((1, (2, 3)), [1, [2, 3]], [1, ANY]):
            assert len(assert_spooled(plain, like)) == 1
        with pytest.raises(AssertionError, match="was not spooled like this"):
            assert_spooled(plain, (1, 2))
        assert_not_spooled(plain, (1, 2))


def test_all_like_it_are_returned_in_order() -> None:
    with use(shop):
        for subject in ("one", "two", "three"):
            send.spool_sync("a@b.c", subject)
        send.spool_sync("other@b.c")
        found = assert_spooled(send, "a@b.c", ANY)
        assert [each.kwargs["subject"] for each in found] == ["one", "two", "three"]


def test_a_body_is_compared_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"abc")
    with use(shop):
        digest.spool_sync("it", Body(path))
        assert_spooled(digest, "it", Body(b"abc"))
        assert_spooled(digest, "it", Body(path))
        assert_spooled(digest, "it", ANY)
        assert_not_spooled(digest, "it", Body(b"other"))
        with pytest.raises(AssertionError, match="<- content"):
            assert_spooled(digest, "it", Body(b"other"))


def test_options_are_asked_for_by_using() -> None:
    moment = datetime(2030, 5, 1, tzinfo=UTC)
    with use(shop):
        everything = send.using(
            at=moment, priority=2, id="one", expires=timedelta(hours=2), spool="mail", buffer={"n": 1}, retries=7
        )
        everything.spool_sync("a@b.c")
        for found in (
            assert_spooled(everything, "a@b.c"),
            assert_spooled(everything),
            assert_spooled(send.using(priority=2), "a@b.c"),
        ):
            assert [each.id for each in found] == ["one"]
        with pytest.raises(AssertionError, match="was spooled"):
            assert_not_spooled(everything, "a@b.c")
        assert_not_spooled(everything, "other@b.c")
        for other in (
            send.using(at=moment + timedelta(seconds=1)), send.using(at=timedelta(hours=1)), send.using(priority=3),
            send.using(id="two"), send.using(expires=timedelta(hours=3)), send.using(spool="default"),
            send.using(buffer={"n": 2}), send.using(retries=8), send.using(harakiri=3),
        ):  # fmt: skip
            assert_not_spooled(other, "a@b.c")


def test_a_timedelta_is_from_the_moment_of_spooling() -> None:
    with use(shop) as spool:
        send.using(at=timedelta(minutes=1)).spool_sync("a@b.c")
        spool.clock.move(3600)
        assert len(assert_spooled(send.using(at=timedelta(minutes=1)))) == 1
        with pytest.raises(AssertionError, match="was not spooled like this"):
            assert_spooled(send.using(at=timedelta(minutes=2)))
        assert_not_spooled(send.using(at=timedelta(minutes=2)))


def test_a_failure_shows_what_was_spooled_instead() -> None:
    with use(shop):
        send.spool_sync("ada@b.c", "hi")
        send.using(at=timedelta(minutes=1), priority=3, spool="mail").spool_sync("bob@b.c")
        plain.spool_sync(1)
        with pytest.raises(AssertionError) as failure:
            assert_spooled(send.using(priority=1), "bob@b.c")
    assert str(failure.value).splitlines() == [
        "send was not spooled like this:",
        "    - send(to='bob@b.c')  using(priority=1)",
        "It was spooled like this; what follows the arrow is different:",
        "    + send(to='ada@b.c', subject='hi')  <- to, subject, priority",
        "    + send(to='bob@b.c')  using(at=datetime.timedelta(seconds=60), priority=3, spool='mail')  <- priority",
        "Other messages that were spooled:",
        "      plain(value=1)",
    ]


def test_a_failure_shows_not_more_than_can_be_read() -> None:
    with use(shop):
        for n in range(30):
            plain.spool_sync("x" * 1000 + str(n))
        with pytest.raises(AssertionError, match="Other messages") as failure:
            assert_spooled(send)
        lines = str(failure.value).splitlines()
        assert lines[:2] == ["send was not spooled:", "    - send(…)"]
        assert lines[-1] == "      … and 10 more"
        assert len(lines) == 2 + 1 + 20 + 1
        assert max(map(len, lines)) < 240


def test_nothing_was_spooled() -> None:
    with use(shop):
        assert_nothing_spooled(shop)
        with pytest.raises(AssertionError, match=r"Nothing was spooled\."):
            assert_spooled(send, "a@b.c")
        inline.spool_sync()
        with pytest.raises(AssertionError, match="runs at once"):
            assert_spooled(inline)


def test_the_opposites_show_what_they_found() -> None:
    with use(shop):
        send.spool_sync("a@b.c")
        with pytest.raises(AssertionError, match=r"send was spooled:\n    \+ send\(to='a@b.c'\)"):
            assert_not_spooled(send)
        with pytest.raises(AssertionError, match=r"1 messages were spooled:\n    \+ send\(to='a@b.c'\)"):
            assert_nothing_spooled(shop)


def test_arguments_that_the_task_does_not_take_are_a_mistake() -> None:
    with use(shop):
        with pytest.raises(ArgumentsRefused, match="missing a required argument: 'to'; give all"):
            assert_spooled(send, subject="hi")  # type: ignore[call-overload]
        with pytest.raises(ArgumentsRefused, match="unexpected keyword argument 'nobody'"):
            assert_not_spooled(send, "a@b.c", nobody=1)  # type: ignore[call-arg]


def test_without_use_it_is_a_mistake() -> None:
    with pytest.raises(CallError, match=r"never-opened is not under test.*use\(spooler\)"):
        assert_spooled(send)
    with pytest.raises(CallError, match="is not under test"):
        assert_nothing_spooled(shop)


def test_a_task_of_another_program_is_compared_as_json() -> None:
    there = shop.task_named("there.send")
    with use(shop):
        there.spool_sync("a@b.c", {"n": (1, 2)}, flag=True)
        assert_spooled(there, "a@b.c", {"n": (1, 2)}, flag=True)
        assert_spooled(there, "a@b.c", ANY, flag=True)
        assert_not_spooled(there, "a@b.c")
        with pytest.raises(AssertionError, match=r"- there.send\('x'\)\nIt was.*\n    \+ there.send\('a@b.c', "):
            assert_spooled(there, "x")
