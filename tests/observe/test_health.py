"""Health over HTTP, asked over TCP, over a socket file, and over a socket that systemd opened."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aspool.errors import CallError
from aspool.observe import health
from aspool.observe.health import open_health, serve_health
from aspool.observe.metrics import nothing
from aspool.observe.prometheus import View, exposition

pytestmark = pytest.mark.anyio


class Fake:
    """A source."""

    def __init__(self) -> None:
        self.is_alive = True
        self.reason = ""
        self.told: Any = {"workers": 2, "nan": float("nan"), "text": "\udc80"}

    def alive(self) -> bool:
        return self.is_alive

    def ready(self) -> tuple[bool, str]:
        return not self.reason, self.reason

    async def status(self) -> dict[str, Any]:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told  # type: ignore[no-any-return]  # as the test says

    async def metrics(self) -> bytes:
        return exposition(View(1.0, nothing(), restarts=3))


@pytest.fixture
def source() -> Fake:
    return Fake()


@asynccontextmanager
async def serving(where: str | socket.socket, source: Fake) -> AsyncIterator[httpx.AsyncClient]:
    listening = open_health(where)
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
        assert found["aspool_worker_restarts"].samples[0].value == 3


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
    listening = open_health(":0")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(serve_health, listening, source)
            stream = await anyio.connect_tcp("127.0.0.1", listening.socket.getsockname()[1])
            await stream.send(b"GET /alive HTTP/1.1\r\n")
            group.cancel_scope.cancel()
        await stream.aclose()


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
        open_health(":0")


SERVICE = """
import os, anyio
from aspool.observe.health import open_health, serve_health
from aspool.observe.systemd import Notifier, listen_fds
from tests.observe.test_health import Fake

async def main():
    (given,) = listen_fds(os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"], os.getpid())
    async with anyio.create_task_group() as group:
        await group.start(serve_health, open_health(given), Fake())

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
