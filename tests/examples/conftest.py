"""The examples as real processes, each in a directory of its own; none outlives its test."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ASPOOL = str(Path(sys.executable).with_name("aspool"))
DEADLINE = 30.0  # seconds


class Process:
    """A running program; what it prints goes into a file."""

    def __init__(self, arguments: list[str], home: Path, number: int) -> None:
        self.output = home / f"{number}.out"
        path = os.pathsep.join([str(EXAMPLES), str(EXAMPLES / "photos")])
        with self.output.open("w") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=home,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_signals,
            )

    def ends(self) -> int:
        return self.popen.wait(DEADLINE)

    def says(self, pattern: str) -> str:
        """What it prints, matched; the first group if there is one."""
        found: list[re.Match[str]] = []

        def has_said() -> bool:
            over = self.popen.poll() is not None
            found.extend(re.finditer(pattern, self.output.read_text()))
            assert found or not over, f"it ended without {pattern!r}: {self.output.read_text()}"
            return bool(found)

        eventually(has_said, lambda: f"{pattern!r} in {self.output.read_text()}")
        return found[0][found[0].re.groups and 1]

    def stop(self) -> int:
        self.popen.terminate()
        return self.ends()


Start = Callable[..., Process]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the programs run."""
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts a Python program in `home`."""
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        started.append(Process(list(arguments), home, len(started)))
        return started[-1]

    yield run
    for process in started:
        try:
            os.killpg(process.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.popen.wait()


@pytest.fixture
def run(start: Start) -> Callable[..., str]:
    """Runs a Python program to its end, which must be a good one; what it printed."""

    def to_its_end(*arguments: str) -> str:
        process = start(*arguments)
        code = process.ends()
        text = process.output.read_text()
        assert code == 0, text
        return text

    return to_its_end


def _hear_signals() -> None:
    """Tests that run in the background of a shell ignore SIGINT, and their children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def eventually(condition: Callable[[], object], what: Callable[[], str] | str) -> None:
    """Wait until it is true; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.02)
