"""Processes that a contender starts: they are ended with everything that they started, whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .stopwatch import Reading, read

ROOT = Path(__file__).parents[1]  # of the project: the programs import `benchmarks`
POLL = 0.02  # seconds
PATIENCE = 5.0  # seconds until processes that were killed are gone


@dataclass(frozen=True, slots=True)
class Running:
    """A process, and the file that it writes its messages to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def has_ended(self) -> bool:
        """Whether it has ended in order. Raises RuntimeError when it has failed."""
        if self.process.poll():
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {tail(self.log)}")
        return self.process.returncode is not None

    def wait(self, seconds: float) -> None:
        """Wait for its end. Raises RuntimeError when that is a failure or does not come."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name} did not end within {seconds:g} s: {tail(self.log)}") from None
        assert self.has_ended


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], directory: Path, *, environment: Mapping[str, object] = {}
) -> Iterator[Running]:
    """Run a program until the block ends; it and its children are killed then. Its log is in the directory."""
    name = Path(command[0]).name
    log = directory / f"{name}-{time.monotonic_ns()}.log"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **{key: str(value) for key, value in environment.items()}}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, process_group=0,
        )  # fmt: skip
    try:
        yield Running(name, process, log)
    finally:
        _kill_group(process.pid)
        process.wait()


def program(name: str) -> Path:
    """A command of this virtualenv. Raises RuntimeError when it is not installed."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise RuntimeError(f"{name} is not installed beside {sys.executable}")
    return path


def wait_until(condition: Callable[[], bool], seconds: float, what: str, *processes: Running) -> None:
    """Look again and again, seldom enough to cost nothing. Raises RuntimeError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        over = bool(processes) and all(process.has_ended for process in processes)
        if condition():
            return
        if over or time.monotonic() > deadline:
            when = "before all processes had ended" if over else f"within {seconds:g} s"
            raise RuntimeError(f"no {what} {when}; {' '.join(tail(each.log) for each in processes)}")
        time.sleep(POLL)


def wait_for_jobs(notes: Path, jobs: int, seconds: float, *processes: Running) -> Reading:
    """Wait until so many jobs have noted their end."""
    wait_until(lambda: read(notes).jobs >= jobs, seconds, f"end of {jobs} jobs", *processes)
    return read(notes)


def tail(log: Path) -> str:
    """The last lines of a log, in one."""
    return " | ".join(log.read_text(errors="replace").splitlines()[-5:])


def kill_session(session: int) -> None:
    """Kill every process of a session, whatever groups they made."""
    for pid in _session(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _session(session: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    yield int(entry.name)


def _kill_group(group: int) -> None:
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)
            time.sleep(0.002)
