"""An application in a directory of its own, the command line called in this process, and real workers."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aspool.cli.main import main

APP = """
import asyncio, os, sys, time
from datetime import datetime
from pathlib import Path
from uuid import UUID
from aspool import Body, Job, Spooler

spooler = Spooler("./spool", spools={"mail": "./mail"})

@spooler.task
async def send_mail(to: str, count: int = 1, flag: bool = False, tags: list[str] | None = None) -> None:
    Path(f"sent-{to}").write_text(repr((to, count, flag, tags)))

@spooler.task
async def slow(job: Job, seconds: float = 60) -> None:
    job.progress(1, 4, "sleeping \\x1b[31m")
    Path("slow-started").touch()
    await asyncio.sleep(seconds)
    Path("slow-ended").touch()

@spooler.task
def stuck() -> None:
    Path("stuck-started").touch()
    time.sleep(600)

@spooler.task(retries=0)
async def boom(text: str = "boo\\x1b[31m") -> None:
    raise ValueError(text)

@spooler.task
async def upload(name: str, body: Body) -> None:
    Path(name).write_bytes(await body.read())

@spooler.task
async def anything(first, /, second: UUID, *, when: datetime | None = None, **rest: int) -> None:
    Path("anything").write_text(repr((first, second, when, rest)))

@spooler.task(keep_result=60)
async def count(job: Job, until: int = 3, hold: bool = False) -> dict[str, int]:
    for number in range(until):
        job.progress(number, until, "counting \\x1b[31m")
        while hold and number == until - 1 and not Path("go").exists():
            await asyncio.sleep(0.01)
    return {"counted": until}

@spooler.task(retries=0)
async def logs(job: Job) -> None:
    job.log.warning("line \\x1b[31m of %s", job.attempt)
    raise ValueError("in vain")

@spooler.task(executor="inline")
def add(a: int, b: int) -> int:
    return a + b

@spooler.task(name="other.send_mail.twice")
async def twice() -> None: ...

@spooler.task(name="more.twice")
async def more_twice() -> None: ...
"""


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Return when the condition holds; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Worker:
    """`aspool worker` as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "aspool.cli", "worker", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=plain_environment()
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit code and what it told, once it has ended."""
        output, _ = self.process.communicate(timeout=15)
        return self.process.returncode, output


def on_terminal(*arguments: str, typed: bytes = b"", columns: int = 120) -> str:
    """What the command line prints on a terminal, and what is typed there."""
    ours, theirs = pty.openpty()
    environment = {**plain_environment(), "TERM": "xterm", "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "aspool.cli", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        os.write(ours, typed)
        told = b"".join(iter(lambda: _read_or_end(ours), b""))
    os.close(ours)
    return told.decode()


def _read_or_end(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""


def plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("ASPOOL_")}


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with app.py in it."""
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    for key in os.environ:
        if key.startswith("ASPOOL_"):
            monkeypatch.delenv(key)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in [name for name, module in sys.modules.items() if _lies_in(module, tmp_path)]:
        del sys.modules[name]


def _lies_in(module: object, directory: Path) -> bool:
    return str(getattr(module, "__file__", None)).startswith(str(directory))


@pytest.fixture
def run() -> Callable[..., Result]:
    """Call the command line; the result's `stdout` and `stderr` are apart."""

    def call(*arguments: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=input)

    return call


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Start workers; what still lives at the end is killed."""
    workers: list[Worker] = []

    def start(*arguments: str) -> Worker:
        workers.append(Worker(*arguments))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()
