"""Health over HTTP, asked over TCP, over a socket file, and over a socket that systemd opened."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aspool.errors import CallError
from aspool.net.addresses import Asked, Listening, listen
from aspool.observe import connection, health
from aspool.observe.health import BACKLOG, check_health, serve_health
from aspool.observe.metrics import nothing
from aspool.observe.prometheus import View, exposition

pytestmark = pytest.mark.anyio


class Fake:
    """A source."""

    def __init__(self) -> None:
        self.is_alive = True
        self.reason = ""
        self.takes = 0.0  # seconds
        self.asked, self.may_answer = anyio.Event(), anyio.Event()
        self.told: Any = {"workers": 2, "nan": float("nan"), "text": "\udc80"}

    def alive(self) -> bool:
        return self.is_alive

    def ready(self) -> tuple[bool, str]:
        return not self.reason, self.reason

    async def status(self) -> dict[str, Any]:
        await anyio.sleep(self.takes)
        if isinstance(self.told, Exception):
            raise self.told
        return self.told  # type: ignore[no-any-return]  # as the test says

    async def answer_late(self) -> dict[str, Any]:
        self.asked.set()
        await self.may_answer.wait()
        return {}

    async def metrics(self) -> bytes:
        return exposition(View(1.0, nothing(), deaths=3))


@pytest.fixture
def source() -> Fake:
    return Fake()


def opened(where: str | socket.socket) -> Listening:
    return listen(Asked(where, "health", BACKLOG)) if isinstance(where, str) else Listening(where)


@asynccontextmanager
async def serving(where: str | socket.socket, source: Fake) -> AsyncIterator[httpx.AsyncClient]:
    listening = opened(where)
    path = str(listening).removeprefix("unix:") if str(listening).startswith("unix:") else None
    base = "http://health" if path else f"http://{listening}"
    transport = httpx.AsyncHTTPTransport(uds=path)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(serve_health, listening, source)
            async with httpx.AsyncClient(base_url=base, transport=transport, timeout=20) as client:
                yield client
            group.cancel_scope.cancel()


async def test_what_it_answers(source: Fake) -> None:
    async with serving(":0", source) as client:
        alive = await client.get("/alive")
        assert (alive.status_code, alive.text, alive.headers["cache-control"]) == (200, "alive\n", "no-store")
        assert (await client.get("/ready")).text == "ready\n"
        source.is_alive, source.reason = False, "no worker is up: \udc80"
        assert (await client.get("/alive")).status_code == 503
        ready = await client.get("/ready")
        assert (ready.status_code, ready.text) == (503, "not ready: no worker is up: \\udc80\n")
        status = await client.get("/status")
        assert status.headers["content-type"] == "application/json"
        assert status.json() == {"workers": 2, "nan": "nan", "text": "\\udc80"}
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = {family.name: family for family in text_string_to_metric_families(metrics.text)}
        assert found["aspool_worker_deaths"].samples[0].value == 3


async def test_what_it_does_not_answer(source: Fake, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(":0", source) as client:
        head = await client.head("/ready")
        assert (head.status_code, head.content) == (200, b"")
        for path in ("/", "/alive/", "/nothing", "/status/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = await client.request(method, "/ready")
            assert (answer.status_code, answer.headers["allow"].replace(" ", "")) in (
                (405, "GET,HEAD"), (405, "HEAD,GET"),
            )  # fmt: skip
        source.told = ValueError("the source is broken")
        assert (await client.get("/status")).status_code == 500
        assert "the source is broken" in caplog.text
        assert (await client.get("/alive")).status_code == 200


async def test_over_a_socket_file(source: Fake, tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/health", source) as client:
        assert (await client.get("/ready")).status_code == 200
    assert not (tmp_path / "health").exists()


async def test_over_a_socket_that_is_there(source: Fake, tmp_path: Path) -> None:
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(tmp_path / "given"))
    given.listen()
    async with serving(given, source) as client:
        assert (await client.get("/ready")).status_code == 200
    assert (tmp_path / "given").exists()  # it is not ours to remove


async def test_signals_stay_as_they_were(source: Fake) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving(":0", source) as client:
        await client.get("/alive")
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_connection_that_says_nothing_keeps_nobody(source: Fake) -> None:
    """The server ends although a client holds a connection."""
    listening = opened(":0")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(serve_health, listening, source)
            stream = await anyio.connect_tcp("127.0.0.1", listening.socket.getsockname()[1])
            await stream.send(b"GET /alive HTTP/1.1\r\n")
            group.cancel_scope.cancel()
        assert listening.socket.fileno() == -1
        await stream.aclose()


# --- those who keep a connection ---------------------------------------------------------------------------------


@asynccontextmanager
async def listened(source: Fake) -> AsyncIterator[tuple[str, int]]:
    """The server's place."""
    listening = opened(":0")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            await group.start(serve_health, listening, source)
            yield listening.socket.getsockname()
            group.cancel_scope.cancel()


async def ask(place: tuple[str, int]) -> int:
    async with httpx.AsyncClient(timeout=30) as client:
        return (await client.get(f"http://{place[0]}:{place[1]}/alive")).status_code


async def is_closed(stream: anyio.abc.SocketStream) -> bool:
    """Whether the other side ends it, after whatever it says."""
    try:
        while True:
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return True


HALF = [b"", b"GET /alive HTTP/1.1\r\n", b"POST /alive HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"]


@pytest.mark.parametrize("said", HALF)
async def test_probes_are_answered_whoever_keeps_connections(
    source: Fake, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go for the new ones."""
    monkeypatch.setattr(connection, "IDLE", 600)
    async with listened(source) as place:
        streams = [await anyio.connect_tcp(*place) for _ in range(connection.MOST + 10)]
        for stream in streams:
            with suppress(anyio.BrokenResourceError):  # it has gone for another
                await stream.send(said)
        assert [await ask(place) for _ in range(3)] == [200] * 3
        for stream in streams[:10]:
            assert await is_closed(stream)
        for stream in streams:
            await stream.aclose()


async def test_an_answer_under_way_stays(source: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks nothing goes before it."""
    monkeypatch.setattr(connection, "IDLE", 600)
    monkeypatch.setattr(connection, "ANSWERED", 30)
    monkeypatch.setattr(source, "status", source.answer_late)
    async with listened(source) as place, await anyio.connect_tcp(*place) as asking:
        await asking.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        await source.asked.wait()
        streams = [await anyio.connect_tcp(*place) for _ in range(connection.MOST + 10)]
        assert await is_closed(streams[0])
        source.may_answer.set()
        assert (await asking.receive()).startswith(b"HTTP/1.1 200")
        for stream in streams:
            await stream.aclose()


async def test_probes_are_answered_whoever_comes_all_the_time(source: Fake) -> None:
    open_ones: list[anyio.abc.SocketStream] = []

    async def flood(place: tuple[str, int]) -> None:
        while True:
            open_ones.append(await anyio.connect_tcp(*place))
            if len(open_ones) > 300:
                await open_ones.pop(0).aclose()

    async with listened(source) as place, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(flood, place)
        assert [await ask(place) for _ in range(10)] == [200] * 10
        group.cancel_scope.cancel()
    for stream in open_ones:
        await stream.aclose()


@pytest.mark.parametrize("said", [*HALF, b"GET /alive HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_connection_without_a_request_is_closed(
    source: Fake, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for the next, too."""
    monkeypatch.setattr(connection, "IDLE", 0.1)
    async with listened(source) as place, await anyio.connect_tcp(*place) as stream:
        await stream.send(said)
        assert await is_closed(stream)


@pytest.mark.parametrize("said", HALF[1:])
async def test_drop_by_drop_is_no_request(source: Fake, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE", 0.1)
    async with listened(source) as place, await anyio.connect_tcp(*place) as stream:
        await stream.send(said)
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await stream.send(b"x")
                await anyio.sleep(0.01)


async def test_an_answer_has_its_time(source: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is another than that for a request."""
    monkeypatch.setattr(connection, "IDLE", 0.5)
    source.takes = 1.0
    async with serving(":0", source) as client:
        assert (await client.get("/status")).status_code == 200
        monkeypatch.setattr(connection, "ANSWERED", 0.1)
        source.takes = 600
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/status")


async def test_who_does_not_take_the_answers_is_closed(source: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWERED", 0.1)
    source.told = {"long": "x" * 9_000_000}
    async with listened(source) as place, await anyio.connect_tcp(*place) as stream:
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await stream.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
                await anyio.sleep(0.01)


def test_on_uvloop(source: Fake, tmp_path: Path) -> None:
    async def ask() -> int:
        async with serving(f"unix:{tmp_path}/health", source) as client:
            return (await client.get("/alive")).status_code

    pytest.importorskip("uvloop")
    assert anyio.run(ask, backend_options={"use_uvloop": True}) == 200


def test_libraries_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "NEEDED", ("starlette", "not_there", "nor_there"))
    with pytest.raises(CallError, match=re.escape("health needs not_there, nor_there, which are not installed: "
                                                  "pip install 'aspool[health]'")):  # fmt: skip
        check_health()


SERVICE = """
import os, anyio
from aspool.net.addresses import Listening
from aspool.observe.health import serve_health
from aspool.observe.systemd import Notifier, listen_fds
from tests.observe.test_health import Fake

async def main():
    (given,) = listen_fds(os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"], os.getpid())
    async with anyio.create_task_group() as group:
        await group.start(serve_health, Listening(given), Fake())

anyio.run(main)
"""


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd is not installed")
async def test_under_systemds_socket_activation(tmp_path: Path) -> None:
    """The service starts with the first connection, which it answers."""
    path = tmp_path / "health"
    command = ["systemd-socket-activate", "-l", str(path), sys.executable, "-c", SERVICE]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=dict(os.environ), stderr=subprocess.DEVNULL)
    try:
        with anyio.fail_after(60):
            while not path.exists():
                await anyio.sleep(0.01)
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path)), timeout=60) as client:
                assert (await client.get("http://health/ready")).text == "ready\n"
    finally:
        process.kill()
        process.wait()
