"""The lifespan, in this process and under real servers with several processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from aspool import DirectorySpool, Spooler, SpoolUnusable
from aspool.asgi import lifespan
from aspool.testing import use

APPS = Path(__file__).parent.parent / "apps"
Serve = Callable[..., tuple["subprocess.Popen[bytes]", httpx.Client]]


@pytest.mark.anyio
async def test_the_worker_lives_as_long_as_the_application(spooler: Spooler) -> None:
    ran = anyio.Event()

    @spooler.task
    async def task() -> None:
        ran.set()

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[dict[str, int]]:
        yield {"answer": 42}

    with anyio.fail_after(10):
        async with lifespan(spooler, worker=True, inside=own)(object()) as state:
            assert state == {"answer": 42}
            await task.spool()
            await ran.wait()


@pytest.mark.anyio
async def test_without_a_worker_nothing_runs(spooler: Spooler, directory: DirectorySpool) -> None:
    @spooler.task
    async def task() -> None: ...

    async with lifespan(spooler, worker=False)(object()):
        await task.spool()
    assert [item.state for item in directory.browse()] == ["waiting"]


@pytest.mark.anyio
async def test_under_test_no_worker_runs(spooler: Spooler, directory: DirectorySpool) -> None:
    @spooler.task
    async def task() -> None: ...

    application = lifespan(spooler, worker=True)  # made when the application is imported, before the test
    with use(spooler) as spool:
        async with application(object()):
            await task.spool()
            for _ in range(10):  # a worker would have taken it
                await anyio.lowlevel.checkpoint()
            assert len(spool.waiting) == 1
        assert len(spool.waiting) == 1, "the end of the application loses nothing"
    assert list(directory.browse()) == []


@pytest.mark.anyio
@pytest.mark.parametrize("worker", [True, False])
async def test_a_spool_that_cannot_be_used_stops_the_start(tmp_path: Path, worker: bool) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(SpoolUnusable):
        async with lifespan(Spooler(tmp_path / "spool"), worker=worker)(object()):
            pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a real server on tests/apps/web.py; it must end in order."""
    running: list[tuple[subprocess.Popen[bytes], httpx.Client]] = []

    def start(*command: str, **environment: str) -> tuple["subprocess.Popen[bytes]", httpx.Client]:
        port = free_port()
        with (tmp_path / "server.log").open("ab") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=port) for part in command)], stdout=log, stderr=log,
                env={**os.environ, "WEB_ROOT": str(tmp_path), "PYTHONPATH": str(APPS), **environment},
            )  # fmt: skip
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        running.append((server, client))
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get("/descriptors")
                return server, client
            except httpx.TransportError:
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    yield start
    for server, client in running:
        client.close()
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM), (tmp_path / "server.log").read_text()


def lines(root: Path) -> list[list[str]]:
    path = root / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def waiting(root: Path) -> list[Path]:
    return list((root / "spool").glob("uwsgi_*"))


def wait_for_runs(root: Path, count: int) -> None:
    """Until so many have run and all are settled."""
    deadline = time.monotonic() + 30
    while len(lines(root)) < count or waiting(root):
        assert time.monotonic() < deadline, f"{len(lines(root))} of {count} ran, {len(waiting(root))} wait"
        time.sleep(0.02)


UVICORN = ("uvicorn", "web:app", "--port", "{port}", "--workers", "4", "--log-level", "warning")
GUNICORN = (
    "gunicorn",
    "web:app",
    "--preload",
    "-w",
    "4",
    "-k",
    "uvicorn_worker.UvicornWorker",
    "-b",
    "127.0.0.1:{port}",
)


@pytest.mark.parametrize("command", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn-preload"])
def test_four_processes_share_one_spool(tmp_path: Path, serve: Serve, command: tuple[str, ...]) -> None:
    _, client = serve(*command, WEB_SPOOL_AT_IMPORT="1")
    ids = [client.post(f"/record/n{n}").json()["id"] for n in range(100)]
    body = os.urandom(3_000_000)
    ids.append(client.post("/upload", files={"upload": ("picture.jpg", body)}).json()["id"])
    imports = 1 if command is GUNICORN else 5  # uvicorn's parent does not import the app by itself, its children do
    wait_for_runs(tmp_path, len(ids) + (1 if command is GUNICORN else 4))
    ran = Counter(line[2] for line in lines(tmp_path))
    assert all(ran[id] == 1 for id in ids)
    assert sum(ran.values()) <= len(ids) + imports
    assert ["ran", str(len(body)), ids[-1]] in [line[:3] for line in lines(tmp_path)]


def test_gunicorn_preload_inherits_no_descriptor(tmp_path: Path, serve: Serve) -> None:
    """The master spooled before the fork. A worker must have opened the spool by itself, not twice."""
    _, client = serve(*GUNICORN, WEB_SPOOL_AT_IMPORT="1", WEB_WORKER="0")
    open_files = client.get("/descriptors").json()["open"]
    assert len(open_files) == len(set(open_files)), open_files


def test_a_server_without_workers_leaves_the_tasks(tmp_path: Path, serve: Serve) -> None:
    _, client = serve(*UVICORN[:-4], WEB_WORKER="0")
    for n in range(3):
        assert client.post(f"/record/n{n}").status_code == 200
    assert len(waiting(tmp_path)) == 3
