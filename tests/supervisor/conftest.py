"""An application in a directory of its own, and `aspool worker` on it as a real program."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aspool import DirectorySpool
from aspool.testing.conformance import message

from ..cli.conftest import plain_environment
from ..worker.conftest import storm_tasks as storm_tasks  # a fixture of theirs

APP = """
import os, subprocess, sys, time
from pathlib import Path
from aspool import Spooler

spooler = Spooler("./spool")

@spooler.task(name="note")
async def note(name: str) -> None:
    Path(name).write_text(f"VERSION {os.getpid()}")

@spooler.task(name="program", retries=0)
def program(name: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(name).write_text(str(child.pid))
    time.sleep(600)
"""
PATIENCE = 60.0  # seconds: the machine may be busy


def wait_for(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail after a long while."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Program:
    """`aspool worker app …` in a directory."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.spool = DirectorySpool(directory / "spool", durability="process")
        self.told = directory / "told"
        with self.told.open("ab") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aspool.cli", "worker", "app", *options],
                stdin=subprocess.DEVNULL, stdout=told, stderr=told, cwd=directory, env=plain_environment(),
            )  # fmt: skip

    def workers(self) -> list[int]:
        """The pids of the workers, in the order of their places, as `aspool status` has them."""
        notices = self.spool.notices() if self.spool.path.exists() else []
        ready = [worker for notice in notices for worker in notice["workers"] if worker["state"] == "ready"]
        return [worker["pid"] for worker in sorted(ready, key=lambda worker: worker["number"])]

    def ready(self, count: int) -> list[int]:
        """Their pids, once there are so many."""
        wait_for(lambda: len(self.workers()) == count)
        return self.workers()

    def run(self, task: str, name: str) -> str:
        """What a task wrote into its file."""
        self.send(task, name)
        path = self.directory / name
        wait_for(lambda: path.exists() and path.read_text())
        return path.read_text()

    def send(self, task: str, name: str) -> None:
        """Spool a call of a task."""
        self.spool.put_blocking([message(task=task, arguments=f'{{"name":"{name}"}}'.encode())])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def says(self, text: str) -> bool:
        """Whether that is in its log."""
        return text in self.told.read_text()


@pytest.fixture
def directory_of_app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(directory_of_app: Path) -> Iterator[Callable[..., Program]]:
    """Start the program; at the end all of it is gone."""
    programs: list[Program] = []

    def begin(*options: str) -> Program:
        programs.append(Program(directory_of_app, *options))
        return programs[-1]

    yield begin
    for program in programs:
        pids = program.workers()
        program.process.kill()
        program.process.wait()
        for pid in pids:
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:
                pass
