"""Who may connect to a listener, how many at the same time, and what becomes of them when it stops."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import MemorySpool
from aspool.errors import CallError
from aspool.net import Listener
from aspool.net.own_process import possible
from aspool.net.peers import address_of, network_of
from aspool.settings import ListenerSettings
from aspool.wire import encode

from .clients import REFUSED, STORED, ask, connected, rest_of, say, served

pytestmark = pytest.mark.anyio
MAIL = encode({b"job": b"mail", b"to": b"a@b.c"})


# --- who may come in ---------------------------------------------------------------------------------------------


async def test_a_unix_socket(memory: MemorySpool, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with served(memory, listen=(f"unix:{path}", ":0")) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert listener.addresses[0] == f"unix:{path}"
        assert await say(listener, MAIL) == STORED
    assert not path.exists()


async def test_a_unix_socket_for_others(memory: MemorySpool, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with served(memory, listen=(f"unix:{path}",), allow_user=("nobody",)) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert await say(listener, MAIL) == STORED


def refused(reason: str, **options: Any) -> None:
    with pytest.raises(CallError, match=reason):
        Listener(ListenerSettings(**options)).open()


def secret_file(tmp_path: Path, content: str = "0123456789abcdef\n", mode: int = 0o600) -> str:
    path = tmp_path / "secret"
    path.write_text(content)
    path.chmod(mode)
    return str(path)


async def test_other_machines_need_networks_and_a_secret(tmp_path: Path) -> None:
    secret = secret_file(tmp_path)
    refused("nothing says where to listen")
    refused("give allow and secret_file, or listen on 127.0.0.1", listen=("*:0",))
    refused("give secret_file, or", listen=("*:0",), allow=("10.0.0.0/8",))
    refused("give allow, or", listen=("0.0.0.0:0",), secret_file=secret)
    Listener(ListenerSettings(listen=("*:0",), allow=("10.0.0.0/8",), secret_file=secret)).close()


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("short\n", 0o600, "has 5 bytes, 16 are needed"),
        ("0123456789abcdef", 0o644, "can be read by others: chmod 600"),
        ("0123456789abcdef", 0o640, "can be read by others: chmod 600"),
    ],
)
async def test_secret_files(tmp_path: Path, content: str, mode: int, reason: str) -> None:
    refused(reason, listen=(":0",), secret_file=secret_file(tmp_path, content, mode))


async def test_secret_files_that_are_none(tmp_path: Path) -> None:
    refused("cannot be read: No such file", listen=(":0",), secret_file=str(tmp_path / "none"))
    refused("is no file", listen=(":0",), secret_file=str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    refused("is no file", listen=(":0",), secret_file=str(tmp_path / "pipe"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_secret_file_of_somebody_else(tmp_path: Path) -> None:
    path = secret_file(tmp_path)
    os.chown(path, 12345, -1)
    refused("belongs to user 12345", listen=(":0",), secret_file=path)


async def test_a_secret_file_that_is_too_long(tmp_path: Path) -> None:
    refused("has more than 4096 bytes", listen=(":0",), secret_file=secret_file(tmp_path, "x" * 4097))
    Listener(ListenerSettings(listen=(":0",), secret_file=secret_file(tmp_path, "x" * 4096))).close()


async def test_an_allowed_user_must_be_there() -> None:
    refused("there is no user no-such-user", listen=(":0",), allow_user=("no-such-user",))


async def test_one_address_that_cannot_be_had_closes_the_others(tmp_path: Path) -> None:
    refused("cannot listen", listen=(f"unix:{tmp_path}/one", f"unix:{tmp_path}/none/two"))
    assert not (tmp_path / "one").exists()


@pytest.fixture
def outer_address() -> str:
    """An address of this machine by which others reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine is in no network")
        return str(probe.getsockname()[0])


async def test_from_another_machine(memory: MemorySpool, tmp_path: Path, outer_address: str) -> None:
    options = {"listen": (f"{outer_address}:0",), "secret_file": secret_file(tmp_path)}
    async with served(memory, allow=(f"{outer_address}/32",), **options) as listener:
        assert await say(listener, MAIL) == REFUSED
        assert await say(listener, encode({b"aspool.secret": b"0123456789abcdeX"})) == REFUSED
        assert await say(listener, b"\x6e\0\0\1") == REFUSED
        assert await say(listener, encode({b"job": b"x", b"aspool.secret": b"0123456789abcdef"})) == STORED
        assert (await ask(listener)).status == 403
        assert (await ask(listener, ASPOOL_SECRET="0123456789abcdef", own="1")).status == 202
    assert [dict(one.raw) for one in memory.messages()] == [{b"job": b"x"}, {b"REQUEST_METHOD": b"POST", b"own": b"1"}]
    async with served(memory, allow=("198.51.100.0/24",), **options) as listener:
        assert await say(listener, MAIL) == b""


async def test_one_other_machine_does_not_take_all(memory: MemorySpool, tmp_path: Path, outer_address: str) -> None:
    options = {"listen": (f"{outer_address}:0", ":0"), "secret_file": secret_file(tmp_path), "allow": ("0.0.0.0/0",)}
    async with served(memory, max_connections=10, max_connections_per_peer=2, **options) as listener:
        held = [await connected(listener.addresses[0]) for _ in range(2)]
        answer = await ask(listener)
        assert (answer.status, answer.record["reason"]) == (503, "there are too many connections")
        assert await say(listener, MAIL) == REFUSED
        assert (await ask(listener, ASPOOL_SECRET="0123456789abcdef")).status == 202
        held += [await connected(listener.addresses[0]) for _ in range(11)]
        assert await rest_of(held[-1]) == b""
        async with await connected(listener.addresses[1]) as other:  # for whom one of those goes
            await other.send(MAIL)
            assert await rest_of(other) == STORED
        for stream in held:
            await stream.aclose()


async def test_all_addresses_are_those_of_ipv6_too(memory: MemorySpool, tmp_path: Path) -> None:
    options = {"listen": ("*:0",), "secret_file": secret_file(tmp_path), "allow": ("10.0.0.0/8",)}
    async with served(memory, **options) as listener:
        port = int(listener.addresses[0].rpartition(":")[2])
        for host in ("127.0.0.1", "::1"):
            async with await anyio.connect_tcp(host, port) as stream:
                await stream.send(MAIL)
                assert await rest_of(stream) == STORED


@pytest.mark.parametrize(
    ("network", "address", "is_in"),
    [
        ("::ffff:192.0.2.2/128", "192.0.2.2", True),
        ("::ffff:192.0.2.0/120", "::ffff:192.0.2.77", True),
        ("::ffff:192.0.2.0/120", "192.0.3.1", False),
        ("192.0.2.0/24", "::ffff:192.0.2.77", True),
        ("::/0", "2001:db8::1", True),
        ("::/0", "192.0.2.2", False),
    ],
)
def test_networks_and_addresses_in_the_clothes_of_others(network: str, address: str, is_in: bool) -> None:
    assert (address_of(address) in network_of(network)) is is_in


# --- many --------------------------------------------------------------------------------------------------------


async def test_who_is_silent_makes_room(memory: MemorySpool) -> None:
    async with served(memory, max_connections=3) as listener:
        silent = [await connected(listener.addresses[0]) for _ in range(5)]
        await silent[3].send(MAIL[:5])
        assert await say(listener, MAIL) == STORED
        assert [await rest_of(one) for one in silent[:3]] == [b"", b"", b""]
        await silent[4].send(MAIL)
        assert await rest_of(silent[4]) == STORED
        for stream in silent:
            await stream.aclose()


async def test_who_takes_too_long_for_a_packet(memory: MemorySpool) -> None:
    async with (
        served(memory, packet_timeout=0.05) as listener,
        await connected(listener.addresses[0]) as silent,
        await connected(listener.addresses[0]) as slow,
    ):
        await slow.send(MAIL[:5])
        assert await rest_of(silent) == await rest_of(slow) == b""


class Slow(MemorySpool):
    """Stores nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = anyio.Event()
        self.asked = 0

    async def put(self, messages: Any) -> Any:
        self.asked += 1
        await self.may.wait()
        return await super().put(messages)


async def test_too_many_that_wait_for_the_disk() -> None:
    """Each of them has been promised an answer: whoever comes now is told to come again."""
    spool = Slow()
    answers = []

    async def ask_and_note(listener: Listener) -> None:
        answers.append((await ask(listener)).status)

    async with served(spool, max_connections=3) as listener, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask_and_note, listener)
        while spool.asked < 3:
            await anyio.sleep(0.001)
        answer = await ask(listener)
        assert (answer.status, answer.record["reason"]) == (503, "there are too many connections")
        spool.may.set()
    assert answers == [202, 202, 202]


async def test_what_is_being_stored_is_answered_when_it_stops() -> None:
    spool = Slow()
    answers: list[bytes] = []

    async def say_and_note(stream: Any) -> None:
        answers.append(await rest_of(stream))

    async with anyio.create_task_group() as group:
        async with served(spool) as listener:
            waiting, silent = [await connected(listener.addresses[0]) for _ in range(2)]
            await waiting.send(MAIL)
            for stream in (waiting, silent):
                group.start_soon(say_and_note, stream)
            while not spool.asked:
                await anyio.sleep(0.001)
            group.start_soon(_set_soon, spool, silent, answers)
        assert answers == [b"", STORED]
        assert len(spool.messages()) == 1
        await waiting.aclose()
        await silent.aclose()


async def _set_soon(spool: Slow, silent: Any, answers: list[bytes]) -> None:
    """Once the silent one was sent away, the listener is stopping."""
    while not answers:
        await anyio.sleep(0.001)
    spool.may.set()


def test_descriptors_are_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    assert (possible(1000), possible(300)) == (308, 300)
