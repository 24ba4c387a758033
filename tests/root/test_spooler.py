"""Spooler: clashing names, the handler, its spools by name and address, and many messages in one trip."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from aspool import (
    ArgumentsRefused,
    Body,
    CallError,
    DirectorySpool,
    MemorySpool,
    NameRefused,
    NotSpooled,
    PartlySpooled,
    Spooler,
    SpoolUnusable,
    TaskRefused,
    Ticket,
    UnknownSpool,
)
from aspool.message import Message
from aspool.outcomes import Outcome
from aspool.protocol import Claim, Stored, WorkerSide
from aspool.task import HANDLER


class AwkwardSpool(MemorySpool):
    """Refuses some messages, or everything."""

    def __init__(self, address: str = "awkward:", *, unusable: bool = False) -> None:
        super().__init__(address)
        self.unusable = unusable
        self.trips = 0

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        self.trips += 1
        if self.unusable:
            raise SpoolUnusable("it is gone")
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Stored | Exception:
        if message.arguments == b'{"number":13}':
            return NotSpooled("full")
        return super().put_blocking([message])[0]

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        return self.put_blocking(messages)


class AsyncOnlySpool:
    """A spool that cannot be written to without an event loop, as one in a database."""

    address = "async:"
    concurrency = None
    external = False

    async def open(self) -> None: ...

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        return [Stored(message.id) for message in messages]

    def serving(self, side: WorkerSide) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:  # noqa: ARG002 - the seam's
        return []

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None: ...

    def abandon(self, claim: Claim) -> None: ...

    async def wait(self, timeout: float) -> None: ...

    def next_due(self) -> float | None:
        return None

    @property
    def has_looked(self) -> bool:
        return True

    async def aclose(self) -> None: ...


def count(number: int) -> None: ...


def waiting(spool: Any) -> list[Message]:
    return [claim.message for claim in asyncio.run(spool.claim(999, 1e12))]


# --- names -----------------------------------------------------------------------------------------------


def test_two_tasks_may_not_have_one_name() -> None:
    spooler = Spooler("memory:")
    spooler.task(name="same")(count)
    with pytest.raises(TaskRefused, match="two tasks are called same"):
        spooler.task(name="same")(lambda: None)
    assert spooler.tasks["same"].function is count


def test_the_same_function_again_is_a_reloaded_module() -> None:
    spooler = Spooler("memory:")
    spooler.task(count)
    newer = spooler.task(retries=9)(count)
    assert list(spooler.tasks.values()) == [newer]


def test_a_name_must_fit_into_a_scoreboard_and_a_packet() -> None:
    with pytest.raises(TaskRefused, match="longer than 200 bytes"):
        Spooler("memory:").task(name="é" * 101)(count)


@pytest.mark.parametrize("frequency", [0, -1, -0.5, float("nan")])
def test_a_frequency_that_is_refused(frequency: float) -> None:
    spooler = Spooler("memory:")
    with pytest.raises(CallError, match="frequency must be more than 0"):
        spooler.frequency = frequency
    with pytest.raises(CallError):
        Spooler("memory:", frequency=frequency)
    assert spooler.frequency is None


def test_the_frequency_may_be_set_at_run_time() -> None:
    spooler = Spooler("memory:", frequency=5)
    spooler.frequency = 0.1
    assert spooler.frequency == 0.1
    spooler.frequency = None


# --- the handler -----------------------------------------------------------------------------------------


def test_a_spooler_has_one_handler() -> None:
    spooler = Spooler("memory:")

    @spooler.handler
    def handle(variables: dict[str, str], body: Body) -> None: ...

    assert spooler.raw_handler is not None
    assert spooler.raw_handler.name == HANDLER
    assert spooler.raw_handler.arguments.body_name == "body"
    assert spooler.tasks == {}
    assert not isinstance(handle, type(spooler.raw_handler))  # the function itself comes back
    spooler.handler(retries=9)(handle)  # a reloaded module
    assert spooler.raw_handler.options.retries == 9
    with pytest.raises(TaskRefused, match="has a handler already"):
        spooler.handler(print)


# --- where messages go -----------------------------------------------------------------------------------


def test_spools_have_names_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mail = MemorySpool()
    spooler = Spooler(spools={"mail": mail, "logs": "./logs"})
    monkeypatch.chdir("/")
    assert [spool.address for spool in spooler.spools.values()] == [f"{tmp_path}/spool", "memory:", f"{tmp_path}/logs"]
    assert list(tmp_path.iterdir()) == []
    task = spooler.task(spool="mail")(count)
    task.spool_sync(1)
    task.using(spool=tmp_path / "other").spool_sync(2)
    task.using(spool=f"{tmp_path}/logs").spool_sync(3)
    spooler.spool_sync({"a": "b"}, spool="mail")
    spooler.spool_sync({"a": "b", "spooler": f"{tmp_path}/other"})
    assert [message.arguments for message in waiting(mail)] == [b'{"number":1}', b""]
    assert len(list((tmp_path / "other").glob("uwsgi_*"))) == 2
    assert len(list((tmp_path / "logs").glob("uwsgi_*"))) == 1
    assert not (tmp_path / "spool").exists()
    asyncio.run(spooler.aclose())


def test_an_address_that_is_a_known_spool_is_that_spool(tmp_path: Path) -> None:
    known = DirectorySpool(tmp_path / "a")
    spooler = Spooler("memory:", spools={"known": known})
    names = ("known", tmp_path / "a", f"file:{tmp_path}/a")
    calls = [spooler.task(count).using(spool=name).call(1) for name in names]
    tickets = spooler.spool_many_sync(calls)
    assert len(list((tmp_path / "a").glob("uwsgi_*"))) == len(tickets) == 3
    asyncio.run(spooler.aclose())


@pytest.mark.parametrize("spool", ["mial", "Mail", "", Path("mail2"), "nosuch:x"])
def test_an_unknown_spool_is_refused(spool: Any) -> None:
    spooler = Spooler("memory:", spools={"mail": "memory:"})
    with pytest.raises(UnknownSpool):
        spooler.task(count).using(spool=spool).spool_sync(1)
    with pytest.raises(UnknownSpool):
        asyncio.run(spooler.task(count).using(spool=spool).spool(1))


def test_a_spool_that_needs_an_event_loop() -> None:
    spooler = Spooler(AsyncOnlySpool())

    @spooler.task
    def measure(body: Body) -> None: ...

    assert asyncio.run(measure.spool(Body(b"x"))).id
    with pytest.raises(CallError, match="only be written to from an event loop"):
        measure.spool_sync(Body(b"x"))
    with pytest.raises(CallError, match="cannot read a Body"):
        measure(Body(b"x"))


# --- raw messages ----------------------------------------------------------------------------------------


def test_a_raw_message_is_spooled_in_both_ways() -> None:
    spooler = Spooler("memory:")
    first = asyncio.run(spooler.spool({"ToGroup": "customers"}, body=b"pdf", at=5, priority=2))
    second = spooler.spool_sync({b"ToGroup": "customers", b"body": "pdf", b"at": "5", b"priority": "2"})
    assert isinstance(first, Ticket)
    messages = {message.id: message for message in waiting(spooler.spools["default"])}
    for ticket in (first, second):
        message = messages[ticket.id]
        assert message.raw[b"ToGroup"] == b"customers"
        assert (message.due, message.priority, message.task) == (5.0, 2, None)
        assert message.body is not None
        assert b"".join(message.body) == b"pdf"


def test_raw_messages_that_are_refused() -> None:
    spooler = Spooler("memory:")
    with pytest.raises(ArgumentsRefused):
        spooler.spool_sync({"aspool.task": "x"})
    with pytest.raises(NameRefused):
        spooler.spool_sync({"a": "b"}, id="../x")
    assert waiting(spooler.spools["default"]) == []


# --- many ------------------------------------------------------------------------------------------------


def in_both_ways(spooler: Spooler, calls: list[Any]) -> list[Any]:
    """What spool_many answers, or the results of its error, without and with an event loop."""
    answers: list[Any] = []
    for way in (spooler.spool_many_sync, lambda calls: asyncio.run(spooler.spool_many(calls))):
        try:
            answers.append(way(calls))
        except PartlySpooled as error:
            answers.append(error)
    return answers


def test_many_are_one_trip_per_spool_and_come_back_in_order() -> None:
    first, second = AwkwardSpool("first:"), AwkwardSpool("second:")
    spooler = Spooler(first, spools={"second": second})
    task = spooler.task(count)
    calls: list[Any] = [(task if number % 2 else task.using(spool="second")).call(number) for number in range(10)]
    for tickets in in_both_ways(spooler, calls):
        assert [ticket.id for ticket in tickets] == [call.message.id for call in calls]
    assert (first.trips, second.trips) == (2, 2)
    assert in_both_ways(spooler, []) == [[], []]


def test_an_error_says_which_are_in_and_which_are_not() -> None:
    spooler = Spooler(AwkwardSpool())
    calls: list[Any] = [spooler.task(count).call(number) for number in (1, 13, 2)]
    for error in in_both_ways(spooler, calls):
        assert isinstance(error, PartlySpooled)
        assert [type(result) for result in error.results] == [Ticket, NotSpooled, Ticket]
        assert error.results[2].id == calls[2].message.id
        assert str(error) == "1 of 3 messages were not spooled; the first reason: full"


def test_a_spool_that_is_gone_does_not_hide_what_is_in_another() -> None:
    good = MemorySpool()
    spooler = Spooler(good, spools={"gone": AwkwardSpool(unusable=True)})
    task = spooler.task(count)
    calls: list[Any] = [task.call(1), task.using(spool="gone").call(2), task.call(3)]
    for error in in_both_ways(spooler, calls):
        assert isinstance(error, PartlySpooled)
        assert [type(result) for result in error.results] == [Ticket, SpoolUnusable, Ticket]
    assert len(waiting(good)) == 4


def test_an_unknown_spool_among_many_is_refused_before_anything_is_written() -> None:
    spooler = Spooler("memory:")
    task = spooler.task(count)
    calls: list[Any] = [task.call(1), task.using(spool="nosuch").call(2)]
    for way in (spooler.spool_many_sync, lambda calls: asyncio.run(spooler.spool_many(calls))):
        with pytest.raises(UnknownSpool):
            way(calls)
    assert waiting(spooler.spools["default"]) == []


def test_a_body_that_breaks_is_one_of_many() -> None:
    spooler = Spooler("memory:")

    @spooler.task
    def measure(body: Body) -> None: ...

    calls: list[Any] = [measure.call(Body(b"x")), measure.call(Body(Path("/nosuch/file"))), measure.call(Body(b"y"))]
    for error in in_both_ways(spooler, calls):
        assert isinstance(error, PartlySpooled)
        assert isinstance(error.results[1], OSError | NotSpooled)
    assert len(waiting(spooler.spools["default"])) == 4


def test_opening_and_closing_reaches_every_spool(tmp_path: Path) -> None:
    spooler = Spooler(tmp_path / "a", spools={"b": tmp_path / "b"})

    async def main() -> None:
        await spooler.open()
        assert (tmp_path / "a").is_dir()
        assert (tmp_path / "b").is_dir()
        await spooler.aclose()
        await spooler.spool({"a": "b"})  # opens again
        await spooler.aclose()

    asyncio.run(main())
