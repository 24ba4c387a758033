"""Messages on their way to another aspool: the listener here is made of `aspool.exchange`."""

import asyncio
import io
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aspool import Body, Spooler, SpoolFull
from aspool.errors import ArgumentsRefused, CallError, NotSpooled, PartlySpooled, SpoolUnusable, Uncertain, Unsupported
from aspool.exchange import Answer, Refusal
from aspool.protocol import Spool, WorkerSide
from aspool.spools.uwsgi import UwsgiSpool
from aspool.testing.conformance import message

from .conftest import FakeAspool, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
SECRET = b"correct horse battery staple"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


def greet(name: str, body: Body) -> None:
    """A task."""


# --- tasks -------------------------------------------------------------------------------------------------------


async def test_a_task_arrives_with_all_that_was_said_of_it(fake: FakeAspool, there: str) -> None:
    spooler = Spooler(there)
    task = spooler.task(name="greet", retries=2)(greet)
    at = time.time() + 60.25
    options = task.using(id="one", at=at, priority=3, expires=at + 5, retries=1, buffer={"a": 1})
    ticket = await options.spool("Ada", Body(b"the body"))
    assert (ticket.id, ticket.duplicate) == ("one", False)
    ((got, placed, body),) = fake.messages
    assert (got.task, got.arguments, body) == ("greet", b'{"name":"Ada"}', b"the body")
    assert (placed.id, placed.unique, placed.priority) == ("one", True, 3)
    assert placed.due == pytest.approx(at, abs=1e-5)
    assert got.expires == pytest.approx(at + 5, abs=1e-5)
    assert (got.options, got.buffer) == ({"retries": 1}, {"a": 1})
    assert got.origin == "net"
    assert (await options.spool("Ada", Body(b"again"))).duplicate


async def test_the_address_of_one_call(fake: FakeAspool, there: str, tmp_path: Path) -> None:
    task = Spooler(tmp_path / "spool").task(name="greet")(greet)
    await task.using(spool=there, at=timedelta(seconds=1)).spool("Ada", Body(b"x"))
    assert len(fake.messages) == 1
    assert not (tmp_path / "spool").exists()


def test_the_blocking_form(fake: FakeAspool, there: str) -> None:
    spooler = Spooler(there)
    spooler.task(name="greet")(greet).spool_sync("Ada", Body(b"x"))
    ticket = spooler.spool_sync({"a": "b", "spooler": there}, body=io.BytesIO(b"y"))
    assert [body for _, _, body in fake.messages] == [b"x", b"y"]
    assert fake.messages[1][0].raw == {b"a": b"b"}
    assert fake.messages[1][1].id == ticket.id


async def test_the_blocking_form_refuses_to_stop_an_event_loop(there: str) -> None:
    with pytest.raises(CallError, match=r"other side of a network.*await ….spool"):
        Spooler(there).spool_sync({"a": "b"})


def test_a_source_of_an_event_loop_has_no_blocking_form(fake: FakeAspool, there: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    answers = UwsgiSpool(there).put_blocking([message(body=Body(pieces())), message(), message(body=Body(pieces()))])
    assert [type(answer).__name__ for answer in answers] == ["TypeError", "Stored", "TypeError"]


async def test_many_messages_get_their_answers_in_order(fake: FakeAspool, there: str) -> None:
    spooler = Spooler(there)
    task = spooler.task(name="greet")(greet)
    tickets = await spooler.spool_many([task.using(id=f"n{n}").call("Ada", Body(b"%d" % n)) for n in range(30)])
    assert [ticket.id for ticket in tickets] == [f"n{n}" for n in range(30)]
    assert {placed.id: body for _, placed, body in fake.messages} == {f"n{n}": b"%d" % n for n in range(30)}


async def test_nothing_to_send(there: str) -> None:
    assert await UwsgiSpool(there).put([]) == []


# --- large ones --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [65_000, 65_300, 65_536, 300_000])
async def test_arguments_of_any_size_arrive(fake: FakeAspool, secret_file: Path, size: int) -> None:
    fake.trust, fake.secret = "proof", SECRET
    arguments = b'{"a":"%b"}' % (b"x" * (size - 8))
    with listening(fake) as listener:
        sent = message(arguments=arguments, id="i" * 80, unique=True, body=Body(b"tail"))
        (answer,) = await UwsgiSpool(listener.address, secret_file=str(secret_file)).put([sent])
    assert not isinstance(answer, Exception), answer
    ((got, _, body),) = fake.messages
    assert (got.arguments == arguments, body) == (True, b"tail")


async def test_variables_that_leave_no_room_for_the_proof_are_refused(fake: FakeAspool, secret_file: Path) -> None:
    fake.trust, fake.secret = "proof", SECRET
    with listening(fake) as listener:
        spool = UwsgiSpool(listener.address, secret_file=str(secret_file))
        (answer,) = await spool.put([message(task=None, arguments=b"", raw={b"k": b"v" * 65_350})])
    assert isinstance(answer, ArgumentsRefused)
    assert "give large data as body" in str(answer)


async def test_a_body_is_streamed(fake: FakeAspool, there: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""
        for _ in range(3):
            yield b"y" * 1_500_000
            await asyncio.sleep(0)

    (answer,) = await UwsgiSpool(there).put([message(body=Body(pieces()))])
    assert not isinstance(answer, Exception), answer
    assert fake.messages[0][2] == b"y" * 4_500_000
    assert fake.most_frame <= 256 * 1024


async def test_a_body_of_a_file(fake: FakeAspool, there: str, tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    (tmp_path / "f").write_bytes(data)
    await UwsgiSpool(there).put([message(body=Body(tmp_path / "f")), message(body=Body(data))])
    assert [body == data for _, _, body in fake.messages] == [True, True]


async def test_a_body_that_cannot_be_read_is_not_sent(fake: FakeAspool, there: str, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ValueError("the source is broken")

    async def text() -> AsyncIterator[str]:
        yield "no bytes"

    bodies = [Body(tmp_path / "missing"), Body(broken()), Body(text())]  # type: ignore[arg-type]  # on purpose
    missing, broke, wrong = await UwsgiSpool(there).put([message(body=body) for body in bodies])
    assert isinstance(missing, NotSpooled)
    assert "missing" in str(missing)
    assert isinstance(broke, NotSpooled)
    assert "the source is broken" in str(broke)
    assert isinstance(wrong, TypeError)
    assert fake.messages == []


async def test_a_source_may_take_its_time(fake: FakeAspool, there: str) -> None:
    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.4)
        yield b"z"

    (answer,) = await UwsgiSpool(there, timeout=0.3).put([message(body=Body(slow()))])
    assert not isinstance(answer, Exception), answer


# --- who may what ------------------------------------------------------------------------------------------------


async def test_the_secret_is_proven_and_not_told(fake: FakeAspool, secret_file: Path) -> None:
    fake.trust, fake.secret = "proof", SECRET
    with listening(fake) as listener:
        spool = UwsgiSpool(f"{listener.address}?secret_file={secret_file}")
        (answer,) = await spool.put([message()])
        assert not isinstance(answer, Exception), answer
        secret_file.write_bytes(b"another one, of enough bytes")
        (answer,) = await spool.put([message()])
    assert isinstance(answer, NotSpooled)
    assert "the proof is wrong" in str(answer)
    assert len(fake.messages) == 1


@pytest.mark.parametrize("trust", ["no", "proof"])
async def test_who_is_not_trusted_may_send_raw_messages(fake: FakeAspool, trust: str) -> None:
    fake.trust = trust  # type: ignore[assignment]  # it is one
    with listening(fake) as listener:
        spooler = Spooler(listener.address)
        ticket = await spooler.spool({"a": "b"}, at=time.time() + 1000.5, priority=2)
        with pytest.raises(Unsupported, match="no bodies"):
            await spooler.spool({"a": "b"}, body=b"x")
        with pytest.raises(Unsupported, match=r"secret.*raw variables only, no tasks"):
            await spooler.task(name="greet")(greet).spool("Ada", Body(b""))
    assert ticket.id == "s1"
    (variables,) = fake.strangers
    assert variables.keys() == {b"a", b"at", b"priority"}
    assert variables[b"at"].isdigit()
    assert fake.messages == []


async def test_a_secret_that_is_of_no_use(fake: FakeAspool, there: str, secret_file: Path) -> None:
    spool = UwsgiSpool(there, secret_file=str(secret_file))
    await spool.open()
    secret_file.chmod(0o644)
    with pytest.raises(SpoolUnusable, match="everybody can read"):
        await spool.open()
    secret_file.chmod(0o600)
    secret_file.write_bytes(b"short")
    with pytest.raises(SpoolUnusable, match="5 bytes, 16 are needed"):
        await spool.put([message()])
    secret_file.write_bytes(b"x" * 4097)
    with pytest.raises(SpoolUnusable, match="has more than 4096 bytes"):
        await spool.put([message()])
    secret_file.unlink()
    os.mkfifo(secret_file, 0o600)  # nobody waits for who might write into it
    with pytest.raises(SpoolUnusable, match="is no file"):
        await spool.put([message()])
    secret_file.unlink()
    with pytest.raises(SpoolUnusable, match="No such file"):
        await spool.put([message()])
    assert fake.messages == []


async def test_a_unix_socket(fake: FakeAspool, tmp_path: Path) -> None:
    with listening(fake, tmp_path / "s") as listener:
        assert listener.address == f"uwsgi://{tmp_path}/s"
        await Spooler(listener.address).spool({"a": "b"}, body=b"x")
    assert fake.messages[0][2] == b"x"


async def test_a_name_with_several_addresses(fake: FakeAspool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As localhost, where nobody listens on ::1."""
    with listening(fake) as listener:
        port = int(listener.address.rpartition(":")[2])
        places = [(socket.AF_INET, (address, port)) for address in ("127.0.0.2", "127.0.0.3", "127.0.0.1")]

        async def found(*_: object, **__: object) -> list[object]:
            return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in places]

        monkeypatch.setattr("aspool.spools.uwsgi.connection.getaddrinfo", found)
        await Spooler(f"uwsgi://several.example:{port}").spool({"a": "b"})
    assert len(fake.messages) == 1


# --- what a listener answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [("refused", NotSpooled), ("full", SpoolFull), ("unusable", SpoolUnusable), ("uncertain", Uncertain)],
)
async def test_a_refusal_is_the_error_that_it_would_be_here(
    fake: FakeAspool, error: Refusal, kind: type[Exception]
) -> None:
    fake.answer = Answer(False, error=error, reason="the disk has had enough")
    with listening(fake) as listener:
        with pytest.raises(kind, match="the disk has had enough") as told:
            await Spooler(listener.address).spool({"a": "b"})
        assert type(told.value) is kind
        assert listener.address in str(told.value)


async def test_some_of_many_are_refused(fake: FakeAspool) -> None:
    fake.trust = "no"
    with listening(fake) as listener:
        spooler = Spooler(listener.address)
        task = spooler.task(name="greet")(greet)
        with pytest.raises(PartlySpooled, match="1 of 1"):
            await spooler.spool_many([task.call("Ada", Body(b""))])


# --- what it cannot ----------------------------------------------------------------------------------------------


@contextmanager
def unsupported() -> "Iterator[None]":
    with pytest.raises(Unsupported, match="uwsgi://host:1"):
        yield


async def test_what_it_cannot_do_is_told() -> None:
    spooler = Spooler("uwsgi://host:1")
    spool: Spool = spooler.spool_of(None)
    with unsupported():
        spool.serving(WorkerSide(lambda: 1.0))
    with unsupported():
        await spool.claim(1, 0.0)
    with unsupported():
        await spool.finish([])
    with unsupported():
        await spool.wait(1.0)
    with unsupported():
        spool.next_due()
    with unsupported():
        assert spool.has_looked
    with unsupported():
        await spooler.ticket("a").status()
    with unsupported():
        await spooler.pause()
    await spooler.open()  # nobody is called
    await spooler.aclose()


async def test_a_body_can_be_read_without_being_spooled() -> None:
    assert await UwsgiSpool("uwsgi://host:1").readable(Body(b"x")).read() == b"x"


async def test_a_cancelled_sender_leaves_nothing_open(fake: FakeAspool, there: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await anyio.sleep(0)

    with anyio.move_on_after(0.1):
        await UwsgiSpool(there).put([message(body=Body(endless()))])
    assert fake.messages == []
