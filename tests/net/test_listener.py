"""What a listener does with what its peers send: requests of uwsgi peers and of web servers, good ones and others."""

import os
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from aspool import DirectorySpool, MemorySpool, Spooler
from aspool.message import Message
from aspool.net import Listener
from aspool.wire import encode

from .clients import REFUSED, STORED, ask, connected, http, rest_of, say, served, web

pytestmark = pytest.mark.anyio
FIXTURES = Path(__file__).parents[1] / "fixtures" / "uwsgi"
MAIL = encode({b"job": b"mail", b"to": b"a@b.c"})


def the_one(spool: MemorySpool) -> Message:
    (message,) = spool.messages()
    return message


def body_of(message: Message) -> bytes:
    assert message.body is not None
    return message.body.file.read()


# --- uwsgi peers -------------------------------------------------------------------------------------------------


async def test_a_uwsgi_peer_gets_four_bytes(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        assert await say(listener, MAIL) == STORED
    message = the_one(memory)
    assert (message.raw, message.origin) == ({b"job": b"mail", b"to": b"a@b.c"}, "net")
    assert (message.task, message.priority, message.unique, body_of(message)) == (None, None, False, b"")


async def test_a_packet_in_single_bytes(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        assert await say(listener, *(bytes([byte]) for byte in MAIL)) == STORED
    assert the_one(memory).raw[b"job"] == b"mail"


async def test_what_follows_the_packet_of_a_uwsgi_peer_is_dropped(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        assert await say(listener, MAIL + b"x" * 100_000) == STORED
    assert body_of(the_one(memory)) == b""


async def test_a_pair_called_body_is_no_body(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        assert await say(listener, encode({b"body": b"text"})) == STORED
    assert the_one(memory).raw == {b"body": b"text"}
    assert body_of(the_one(memory)) == b""


async def test_magic_keys(memory: MemorySpool) -> None:
    mail = MemorySpool("memory:mail")
    async with served(memory, mail) as listener:
        keys = {b"at": b"2000000000.5", b"priority": b"7", b"spooler": b"mail"}
        assert await say(listener, encode(keys)) == STORED
        assert await say(listener, encode({b"spooler": b"memory:mail", b"at": b"", b"priority": b""})) == STORED
    first, second = sorted(mail.messages(), key=lambda one: -one.due)
    assert (first.due, first.priority, first.raw) == (2_000_000_000.5, 7, keys)
    assert (second.priority, memory.messages()) == (None, [])


async def test_ours_are_dropped(memory: MemorySpool) -> None:
    """Nothing from outside may say that it is a task, or that it did not come from outside."""
    packet = {b"aspool.task": b"app.evil", b"aspool.origin": b"", b"aspool.x": b"1", b"aspool.secret": b"s"}
    async with served(memory) as listener:
        assert await say(listener, encode({**packet, b"job": b"x"})) == STORED
    assert (the_one(memory).task, the_one(memory).raw, the_one(memory).origin) == (None, {b"job": b"x"}, "net")


async def test_a_ping() -> None:
    async with served(MemorySpool()) as listener:
        assert await say(listener, b"\x64\0\0\0") == b"\x64\0\0\1"


async def test_a_signal(spool_path: Path) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    spooler = Spooler(spool)
    heard = anyio.Event()

    @spooler.signal("17")
    async def begin() -> None:
        heard.set()

    from aspool.worker import running

    async with served(spool) as listener:
        assert await say(listener, b"\x6e\0\0\x11") == REFUSED
        async with running(spooler):
            with anyio.fail_after(30):
                while await say(listener, b"\x6e\0\0\x11") != STORED:  # once the worker has made it known
                    await anyio.sleep(0.01)
                await heard.wait()
        assert await say(listener, b"\x6e\0\0\x12") == REFUSED


@pytest.mark.parametrize("begun", [b"\x01", b"\xff\0\0\1", b"\x05\0\0\0", b"\x80" * 5000])
async def test_another_modifier_is_closed(memory: MemorySpool, begun: bytes) -> None:
    async with served(memory) as listener:
        assert await say(listener, begun) == b""
        assert await say(listener, MAIL) == STORED


@pytest.mark.parametrize(
    "packet",
    [
        b"\x11\x05\0\0abcde",
        b"\x11\x01\0\0a",
        b"\x11\x04\0\0\0\0\0\0",
        encode({b"priority": b"../../etc"}),
        encode({b"priority": b"-1"}),
        encode({b"priority": b"1000000"}),
        encode({b"at": b"abc"}),
        encode({b"at": b"nan"}),
        encode({b"at": b"1e300"}),
        encode({b"spooler": b"/etc"}),
        encode({b"spooler": b"../mail"}),
        encode({b"spooler": b"\xff\xfe"}),
    ],
)
async def test_what_cannot_be_is_refused(memory: MemorySpool, packet: bytes) -> None:
    async with served(memory) as listener:
        assert await say(listener, packet) == REFUSED
    assert memory.messages() == []


async def test_a_connection_that_is_cut_spools_nothing(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(MAIL[:-1])
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(MAIL[:-1])
            await stream.send_eof()
            assert await rest_of(stream) == b""
        assert await say(listener, MAIL) == STORED
    assert len(memory.messages()) == 1


async def test_a_half_closed_connection_is_answered(memory: MemorySpool) -> None:
    async with served(memory) as listener, await connected(listener.addresses[0]) as stream:
        await stream.send(MAIL)
        await stream.send_eof()
        assert await rest_of(stream) == STORED


async def test_packets_have_a_limit(memory: MemorySpool) -> None:
    async with served(memory, max_packet=100) as listener:
        assert await say(listener, encode({b"a": b"x" * 90})) == STORED
        assert await say(listener, encode({b"a": b"x" * 100})) == REFUSED
        assert await say(listener, b"\x11\xff\xff\0") == REFUSED  # at once
        assert http(await say(listener, web(to="x" * 100))).status == 413
    assert len(memory.messages()) == 1


async def test_one_that_leaves_no_room_for_ours(spool_path: Path) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    async with served(spool) as listener:
        assert await say(listener, encode({b"a": b"x" * 65_530})) == REFUSED
        assert (await ask(listener, REQUEST_URI="x" * 65_400)).status == 413


# --- web servers -------------------------------------------------------------------------------------------------


async def test_a_web_server_gets_http(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        answer = await ask(listener, b"hello", job="mail", HTTP_COOKIE="secret", REMOTE_ADDR="192.0.2.7")
    message = the_one(memory)
    assert (answer.status, answer.record) == (202, {"id": message.id})
    assert (answer.headers["Content-Type"], answer.headers["Connection"]) == ("application/json", "close")
    assert message.raw == {b"REQUEST_METHOD": b"POST", b"REMOTE_ADDR": b"192.0.2.7", b"job": b"mail"}
    assert (body_of(message), message.origin) == (b"hello", "net")


@pytest.mark.parametrize(
    ("name", "answer", "body"),
    [
        ("nginx_bare_params.bin", STORED, b""),
        ("nginx_bare_post_body_off.bin", STORED, b""),
        ("nginx_if_not_empty.bin", STORED, b""),
        ("nginx_headers_only.bin", 202, b""),  # its Host tells
        ("nginx_unbuffered_post.bin", 202, b"B" * 30),
        ("nginx_uwsgi_params_post_body.bin", 202, b"hello=world&n=1"),
        ("nginx_uwsgi_params_get.bin", 202, b""),
        ("nginx_unix_modifier2_3.bin", 202, b""),
    ],
)
async def test_what_nginx_has_sent(memory: MemorySpool, name: str, answer: bytes | int, body: bytes) -> None:
    async with served(memory) as listener:
        found = await say(listener, (FIXTURES / "net" / name).read_bytes())
    assert (found if isinstance(answer, bytes) else http(found).status) == answer
    assert [body_of(message) for message in memory.messages()] == [body]


async def test_replies_as_they_are_wanted(memory: MemorySpool) -> None:
    bare = (FIXTURES / "net" / "nginx_bare_params.bin").read_bytes()
    async with served(memory, reply="http") as listener:
        assert http(await say(listener, bare)).status == 202
        assert http(await say(listener, b"\x11\x05\0\0abcde")).status == 400
    async with served(memory, reply="uwsgi") as listener:
        assert await say(listener, web(b"hello", job="x")) == STORED
        assert await say(listener, web(b"hello", at="x")) == REFUSED
    assert [body_of(message) for message in memory.messages()] == [b"", b"hello"]


@pytest.mark.parametrize("variables", [{}, {"REQUEST_METHOD": "POST"}, {"HTTP_HOST": "example.org"}])
async def test_a_body_whose_length_nobody_says(memory: MemorySpool, variables: dict[str, str]) -> None:
    """It must not be answered with 202 and be lost."""
    bare = encode({key.encode(): value.encode() for key, value in {"job": "resize", **variables}.items()})
    async with served(memory, reply="http") as listener:
        for body in (b"a picture", b"a picture" * 100_000):
            found = http(await say(listener, bare + body))
            assert (found.status, "CONTENT_LENGTH is needed" in found.record["reason"]) == (411, True)
        assert memory.messages() == []
        expected = 411 if variables.keys() == {"REQUEST_METHOD"} else 202  # its body may come at any time
        assert http(await say(listener, bare)).status == expected
    assert [body_of(message) for message in memory.messages()] == [b""] * (expected == 202)


async def test_a_body_whose_length_nobody_says_comes_later(
    memory: MemorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aspool.net.requests.LOOK", 30.0)
    async with served(memory, reply="http") as listener:
        assert http(await say(listener, MAIL, b"a picture")).status == 411
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(MAIL)
            await stream.send_eof()  # so there is none
            assert http(await rest_of(stream)).status == 202
        said = encode({b"job": b"mail", b"CONTENT_LENGTH": b""})
        assert http(await say(listener, said)).status == 202  # at once
    assert [body_of(message) for message in memory.messages()] == [b"", b""]


@pytest.mark.parametrize(
    ("variables", "status", "reason"),
    [
        ({"at": "abc"}, 400, "at=b'abc' is no UNIX timestamp"),
        ({"priority": "../x"}, 400, "the priority b'../x' is refused"),
        ({"spooler": "/etc"}, 400, "there is no spool '/etc' here"),
        ({"CONTENT_LENGTH": "x"}, 400, "CONTENT_LENGTH is b'x', which is no length"),
        ({"CONTENT_LENGTH": "-5"}, 400, "CONTENT_LENGTH is b'-5'"),
        ({"CONTENT_LENGTH": "9" * 18}, 413, "the body is larger than 1000000 bytes"),
        ({"CONTENT_LENGTH": "9" * 19}, 400, "which is no length"),
        ({"HTTP_TRANSFER_ENCODING": "Chunked"}, 411, "CONTENT_LENGTH is needed"),
    ],
)
async def test_refusals_are_http(memory: MemorySpool, variables: dict[str, str], status: int, reason: str) -> None:
    async with served(memory, max_body=1_000_000) as listener:
        answer = await ask(listener, b"", **variables)
    assert answer.status == status
    assert reason in answer.record["reason"]
    assert memory.messages() == []


async def test_a_web_server_without_the_modifier_is_told(memory: MemorySpool) -> None:
    """The likeliest slip in nginx.conf."""
    async with served(memory) as listener:
        answer = http(await say(listener, b"\0" + web(b"hello", job="x")[1:]))
    assert (answer.status, "uwsgi_modifier1 17 in nginx" in answer.record["reason"]) == (400, True)
    assert memory.messages() == []


async def test_somebody_takes_it_for_a_web_server(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        answer = http(await say(listener, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert (answer.status, "uwsgi_pass" in answer.record["reason"]) == (400, True)


async def test_keep(memory: MemorySpool) -> None:
    names = {"HTTP_X_ONE": "1", "HTTP_COOKIE": "c", "HTTP_AUTHORIZATION": "a", "QUERY_STRING": "q", "own": "o"}
    async with served(memory, keep=("HTTP_*", "HTTP_COOKIE")) as listener:
        await ask(listener, b"", **names)
    assert the_one(memory).raw == {b"HTTP_X_ONE": b"1", b"HTTP_COOKIE": b"c", b"own": b"o"}


# --- bodies ------------------------------------------------------------------------------------------------------


async def test_a_large_body_is_streamed(spool_path: Path) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    data = os.urandom(3_000_000)
    async with served(spool) as listener:
        answer = await ask(listener, data, job="large")
    (file,) = spool_path.glob("uwsgi_spoolfile_on_*")
    assert answer.record["id"] in file.name
    assert file.read_bytes().endswith(data)
    assert file.stat().st_size < len(data) + 500


@pytest.mark.parametrize("size", [1000, 200_000])
async def test_a_body_that_ends_early_is_not_spooled(spool_path: Path, size: int) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    async with served(spool) as listener:
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(web(b"x" * size)[:-1])
            await stream.send_eof()
            answer = http(await rest_of(stream))
        assert (answer.status, answer.record["reason"]) == (400, "the body ended early")
    assert list(spool_path.glob("uwsgi*")) == []


async def test_a_body_that_does_not_come(spool_path: Path) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    async with served(spool, body_timeout=0.05) as listener:
        answer = http(await say(listener, web(b"x" * 100_000)[:50_000]))
    assert (answer.status, answer.record["reason"]) == (408, "nothing of the body came for 0.05 seconds")
    assert list(spool_path.glob("uwsgi*")) == []


async def test_too_large_a_body_is_refused_while_it_is_sent(memory: MemorySpool) -> None:
    async with served(memory, max_body=10) as listener:
        assert http(await say(listener, web(b"x" * 500_000))).status == 413
        assert (await ask(listener, b"x" * 10)).status == 202


async def test_a_disk_that_is_full(spool_path: Path) -> None:
    async with served(DirectorySpool(spool_path, durability="process"), min_free=2**62) as listener:
        answer = await ask(listener, b"hello")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "too little room" in answer.record["reason"]
        assert await say(listener, MAIL) == REFUSED


async def test_a_spool_that_is_full() -> None:
    async with served(MemorySpool(max_waiting=1)) as listener:
        assert (await ask(listener)).status == 202
        answer = await ask(listener)
    assert (answer.status, "Retry-After" in answer.headers, "is full" in answer.record["reason"]) == (503, True, True)


async def test_a_spool_that_is_gone(spool_path: Path) -> None:
    spool = DirectorySpool(spool_path, durability="process")
    async with served(spool) as listener:
        (spool_path / ".aspool").rename(spool_path.parent / "old")
        spool_path.rmdir()
        answer = await ask(listener, b"x" * 50_000)
    assert answer.status == 503


async def test_a_client_that_leaves_at_once_leaves_its_task(memory: MemorySpool) -> None:
    async with served(memory) as listener:
        async with await connected(listener.addresses[0]) as stream:
            await stream.send(MAIL)
        with anyio.fail_after(30):
            while not memory.messages():
                await anyio.sleep(0.01)


# --- anything ----------------------------------------------------------------------------------------------------


class Broken(MemorySpool):
    """Fails as no spool should."""

    async def put(self, messages: Any) -> Any:
        raise ZeroDivisionError(messages)


async def test_a_spool_that_fails_does_not_end_the_listener(memory: MemorySpool) -> None:
    async with served(Broken(), memory) as listener:
        assert (await ask(listener)).status == 500
        assert await say(listener, MAIL) == REFUSED
        assert await say(listener, encode({b"spooler": b"mail"})) == STORED


KEYS = ["at", "priority", "spooler", "body", "id", "aspool.id", "aspool.priority", "aspool.task", "aspool.front",
        "aspool.hello", "aspool.framed", "REQUEST_METHOD", "CONTENT_LENGTH", "HTTP_HOST", "x"]  # fmt: skip
VALUES = ["", "0", "5", "-1", "../../x", "/etc/x", "5/../..", ".", "..", "\0", "mail", "default", "1e9", "nan", "inf",
          "0x5", "\uff15", "a" * 5000, "%s", "\n", ".aspool/dead", "~/x", "9" * 5000, "POST", "GET", "1_0",
          " 7 "]  # fmt: skip


def random_packet(random: Random) -> bytes:
    if random.random() < 0.1:
        return random.randbytes(random.randrange(1, 100))
    keys = random.sample(KEYS, random.randrange(1, 6))
    packet = bytearray(encode({key.encode(): random.choice(VALUES).encode() for key in keys}))
    packet[0] = random.choice([17, 17, 17, 17, 100, 110])
    if random.random() < 0.1:
        packet[random.randrange(len(packet))] = random.randrange(256)
    return bytes(packet) + random.randbytes(random.choice([0, 0, 5, 1000]))


async def test_whatever_comes_stays_in_the_spool(tmp_path: Path) -> None:
    """Any keys with any values: each is answered or closed, nothing appears elsewhere, and the listener goes on."""
    seed = int.from_bytes(os.urandom(4))
    random = Random(seed)
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    mail = DirectorySpool(tmp_path / "mail", durability="process")
    async with served(spool, mail, packet_timeout=0.5, body_timeout=0.1, max_packet=20_000) as listener:
        for _ in range(20):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(say_anything, listener, random_packet(random))
        assert await say(listener, MAIL) == STORED
    assert {path.name for path in tmp_path.iterdir()} == {"spool", "mail"}, seed
    for path in [*(tmp_path / "spool").iterdir(), *(tmp_path / "mail").iterdir()]:
        assert path.name == ".aspool" or path.name.startswith("uwsgi_spoolfile_on_") or path.name.isdecimal(), seed


async def say_anything(listener: Listener, data: bytes) -> None:
    async with await connected(listener.addresses[0]) as stream:
        try:
            await stream.send(data)
            await stream.send_eof()
        except (anyio.BrokenResourceError, OSError):
            return  # it did not want to begin more
        answer = await rest_of(stream)
    assert not answer or answer[0] in b"\xffdH", answer


def test_it_works_with_uvloop(tmp_path: Path) -> None:
    async def talk() -> bytes:
        async with served(MemorySpool(), listen=(f"unix:{tmp_path}/socket",)) as listener:
            silent = await connected(listener.addresses[0])
            found = await say(listener, MAIL)
            await silent.aclose()
            return found

    pytest.importorskip("uvloop")
    assert anyio.run(talk, backend_options={"use_uvloop": True}) == STORED
