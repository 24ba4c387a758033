"""What another aspool sends: tasks from those who are trusted, whatever else from anybody; with bodies in frames."""

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import Body, DirectorySpool, MemorySpool, Spooler
from aspool.errors import NotSpooled, SpoolFull, Unsupported
from aspool.exchange import (
    PING_MODIFIER,
    SIGNAL_MODIFIER,
    frame,
    hello,
    packet,
    read_answer,
    read_greeting,
    request,
)
from aspool.message import Message
from aspool.net import Listener
from aspool.wire import SPOOL_MODIFIER, PacketReader

from .clients import connected, rest_of, served

pytestmark = pytest.mark.anyio
SECRET = b"0123456789abcdef"


def secret_file(directory: Path) -> str:
    path = directory / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return str(path)


async def receive(stream: Any) -> Any:
    reader = PacketReader()
    with anyio.fail_after(30):
        while (found := reader.feed(await stream.receive())) is None:
            pass
    return found


async def converse(listener: Listener, message: Message, *pieces: bytes, secret: bytes = b"", **changed: bytes) -> Any:
    """Greet, and send a message whatever the greeting says; with other variables than it should have."""
    async with await connected(listener.addresses[0]) as stream:
        await stream.send(hello())
        greeting = read_greeting(await receive(stream))
        assert greeting is not None
        variables, front = request(message, framed=bool(pieces), secret=secret, nonce=greeting.nonce)
        variables |= {f"aspool.{name}".encode(): value for name, value in changed.items()}
        await stream.send(packet(variables, SPOOL_MODIFIER))
        for piece in (front, *pieces) if front else pieces:
            await stream.send(frame(piece))
        if pieces or front:
            await stream.send(frame(b""))
        return greeting.trust, read_answer(await receive(stream))


def a_task(**options: Any) -> Message:
    found = {"id": "welcome-1", "task": "app.mail", "arguments": b'{"to": "a"}', "spooled": 5.0, "due": 7.0}
    return Message(**{**found, **options})


async def test_our_own_user_is_trusted_on_a_unix_socket(memory: MemorySpool, tmp_path: Path) -> None:
    async with served(memory, listen=(f"unix:{tmp_path}/s",)) as listener:
        message = a_task(unique=True, priority=3, options={"retries": 2}, expires=9_000_000_000.0)
        trust, answer = await converse(listener, message, b"he", b"llo")
        again = await converse(listener, message)
    (found,) = memory.messages()
    assert (trust, answer.stored, answer.id, answer.duplicate) == ("yes", True, "welcome-1", False)
    assert (again[1].stored, again[1].duplicate) == (True, True)
    assert (found.id, found.task, found.arguments, found.due) == ("welcome-1", "app.mail", b'{"to": "a"}', 7.0)
    assert (found.priority, found.options, found.origin, found.expires) == (3, {"retries": 2}, "net", 9e9)
    assert found.body is not None
    assert found.body.file.read() == b"hello"


async def test_who_knows_the_secret_is_trusted(memory: MemorySpool, tmp_path: Path) -> None:
    async with served(memory, secret_file=secret_file(tmp_path)) as listener:
        assert (await converse(listener, a_task(), secret=SECRET))[0] == "proof"
        for wrong in (b"", b"another secret, as long"):
            _, answer = await converse(listener, a_task(id="other"), secret=wrong)
            assert (answer.stored, answer.error) == (False, "refused")
            assert "prove that they know the secret" in answer.reason
        _, changed = await converse(listener, a_task(id="other"), secret=SECRET, due=b"1.0")
        assert not changed.stored
    assert [one.id for one in memory.messages()] == ["welcome-1"]


async def test_nobody_is_trusted_without_a_secret(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        trust, answer = await converse(listener, a_task())
    assert (trust, answer.stored, memory.messages()) == ("no", False, [])


async def test_a_nonce_is_good_for_one_request(memory: MemorySpool, tmp_path: Path) -> None:
    async with served(memory, secret_file=secret_file(tmp_path)) as listener:
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(hello())
            greeting = read_greeting(await receive(stream))
            assert greeting is not None
            proven = [request(a_task(id=id), framed=False, secret=SECRET, nonce=greeting.nonce)[0] for id in "ab"]
            await stream.send(b"".join(packet(variables, SPOOL_MODIFIER) for variables in proven))
            reader = PacketReader()
            answer = reader.feed(await rest_of(stream))
            assert answer is not None
            assert (read_answer(answer).id, reader.rest) == ("a", b"")
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(hello())
            await receive(stream)
            await stream.send(packet(proven[1], SPOOL_MODIFIER))
            assert not read_answer(await receive(stream)).stored
    assert [one.id for one in memory.messages()] == ["a"]


async def test_a_proof_of_a_request_raises_no_signal(
    memory: MemorySpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IPv4Address, "is_loopback", False)
    async with (
        served(memory, secret_file=secret_file(tmp_path), allow=("127.0.0.0/8",)) as listener,
        await connected(listener.addresses[0]) as stream,
    ):
        await stream.send(hello())
        greeting = read_greeting(await receive(stream))
        assert greeting is not None
        variables, _ = request(a_task(), framed=False, secret=SECRET, nonce=greeting.nonce)
        await stream.send(packet(variables, SIGNAL_MODIFIER, 17))
        assert "must know the secret" in read_answer(await receive(stream)).reason


async def test_one_that_speaks_another_version_is_told(memory: MemorySpool, tmp_path: Path) -> None:
    async with served(memory, listen=(f"unix:{tmp_path}/s",)) as listener:
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(packet({b"aspool.hello": b"2"}, PING_MODIFIER))
            answer = read_answer(await receive(stream))
        assert (answer.error, "greets in version '2'" in answer.reason) == ("refused", True)
    assert memory.messages() == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"id": b"../../x"}, "the id '../../x' is refused"),
        ({"id": b"\xff"}, "cannot be read"),
        ({"priority": b"-1"}, "the priority -1 is refused"),
        ({"priority": b"x"}, "cannot be read"),
        ({"priority": b"1_0"}, "b'1_0' is no number"),
        ({"due": b"1_0"}, "b'1_0' is no number"),
        ({"v": b"2"}, "a newer aspool has sent this"),
        ({"due": b"nan"}, "is out of range"),
        ({"due": b"1e300"}, "is out of range"),
        ({"front": b"5"}, "arguments were announced"),
        ({"front": b"-5"}, "aspool.front says -5 bytes"),
        ({"options": b"[]"}, "aspool.options is not a JSON object"),
    ],
)
async def test_what_they_say_is_checked(
    memory: MemorySpool, tmp_path: Path, changed: dict[str, bytes], reason: str
) -> None:
    async with served(memory, listen=(f"unix:{tmp_path}/s",)) as listener:
        _, answer = await converse(listener, a_task(), **changed)
    assert (answer.stored, answer.error, reason in answer.reason) == (False, "refused", True), answer
    assert memory.messages() == []


async def test_large_arguments_come_before_the_body(memory: MemorySpool, tmp_path: Path) -> None:
    arguments = b'{"text": "%s"}' % (b"x" * 200_000)
    async with served(memory, listen=(f"unix:{tmp_path}/s",)) as listener:
        _, answer = await converse(listener, a_task(arguments=arguments), b"body")
        assert answer.stored, answer
        _, refused = await converse(listener, a_task(id="two"), b"body", front=b"50")
    assert not refused.stored
    (found,) = memory.messages()
    assert found.body is not None
    assert (found.arguments, found.body.file.read()) == (arguments, b"body")


async def test_frames_have_limits(memory: MemorySpool, tmp_path: Path) -> None:
    async with served(memory, listen=(f"unix:{tmp_path}/s",), max_body=10, body_timeout=0.05) as listener:
        _, answer = await converse(listener, a_task(), b"x" * 6, b"x" * 6)
        assert (answer.stored, answer.reason) == (False, "the body is larger than 10 bytes")
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(hello())
            await receive(stream)
            variables, _ = request(a_task(), framed=True)
            await stream.send(packet(variables, SPOOL_MODIFIER) + b"\xff\xff\xff\xff")
            assert "a frame announces" in read_answer(await receive(stream)).reason
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(hello())
            await receive(stream)
            await stream.send(packet(variables, SPOOL_MODIFIER) + b"\5\0\0\0xx")
            assert "nothing of the body came" in read_answer(await receive(stream)).reason
    assert memory.messages() == []


# --- with our own sender -----------------------------------------------------------------------------------------


async def test_our_sender(spool_path: Path, tmp_path: Path) -> None:
    """A task with a large body, through the uwsgi: spool, over a unix socket and over TCP with a secret."""
    data = os.urandom(2_000_000)
    there = DirectorySpool(spool_path, durability="process")
    options = {"listen": (f"unix:{tmp_path}/s", ":0"), "secret_file": secret_file(tmp_path)}
    async with served(there, **options) as listener:
        for address in (f"uwsgi://{tmp_path}/s", f"uwsgi://{listener.addresses[1]}?secret_file={tmp_path}/secret"):
            here = Spooler(address)

            @here.task(name="app.store")
            async def store(name: str, body: Body) -> None: ...

            ticket = await store.using(priority=5).spool("x", Body(data))
            (file,) = (spool_path / "5").glob(f"*{ticket.id}*")
            assert file.read_bytes().endswith(data)
            assert b"app.store" in file.read_bytes()[:500]


async def test_our_sender_is_told_why_not(memory: MemorySpool, tmp_path: Path) -> None:
    full = MemorySpool(max_waiting=1)
    async with served(full) as listener:
        here = Spooler(f"uwsgi://{listener.addresses[0]}")
        await here.spool({"job": "one"}, priority=4)
        assert (full.messages()[0].raw[b"job"], full.messages()[0].priority) == (b"one", 4)
        with pytest.raises(SpoolFull):
            await here.spool({"job": "two"})
        with pytest.raises(Unsupported, match="no tasks: nothing was sent"):
            await here.task(name="x.y")(_nothing).spool()
    async with served(memory, listen=(f"unix:{tmp_path}/s",), max_body=10) as listener:
        here = Spooler(f"uwsgi://{tmp_path}/s")
        with pytest.raises(NotSpooled, match="the body is larger than 10 bytes"):
            await here.spool({"job": "one"}, body=b"x" * 5_000_000)


async def _nothing() -> None: ...
