"""A real uWSGI, from the `pyuwsgi` wheel, that runs a program of a test. Not here: what the tests ask of it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 60.0  # seconds: the machine may be busy
END = "END"
_UP = "spawned uWSGI worker"
_PORT = re.compile(r"uwsgi socket 0 bound to TCP address 127\.0\.0\.1:(\d+)")
_START = "import sys, pyuwsgi; sys.argv[0] = 'uwsgi'; pyuwsgi.run()"
_PRINTING = "import sys; sys.stdout = open('uwsgi.out', 'a', buffering=1)  # uWSGI puts both of its own into its log"


@dataclass(frozen=True)
class RealUwsgi:
    """A running uWSGI: its master's process, and the files of its output and of its log."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    output: Path
    errors: Path

    @property
    def pid(self) -> int:
        """Of the master."""
        return self.process.pid

    @property
    def port(self) -> int:
        """Where its uwsgi socket listens, on 127.0.0.1."""
        found = _PORT.search(self.log())
        assert found, f"uWSGI has no socket:\n{self.log()}"
        return int(found[1])

    def log(self) -> str:
        """All that it and its program have printed, also as errors."""
        return self.errors.read_text(errors="replace") + self.printed()

    def printed(self) -> str:
        """What its program has printed, without what uWSGI says; in Python, `print(…)`."""
        return self.output.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Of all its processes that live."""
        found = []
        for directory in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                state, _, group = (directory / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.pid and state not in "ZX":
                    found.append(int(directory.name))
        return found

    def wait_for_log(self, text: str, count: int = 1, within: float = PATIENCE) -> str:
        """The log, once the text is in it so many times; fails when uWSGI ends before."""
        self.wait_until(lambda: self.log().count(text) >= count, f"{text!r} is in its log", within)
        return self.log()

    def wait_until(self, condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
        """Return when the condition holds; fails after so many seconds, and when uWSGI ends before."""
        deadline = time.monotonic() + within
        while not condition():
            ended = self.process.poll()
            if ended is not None and not condition():
                raise AssertionError(f"uWSGI ended with {ended} before {what}:\n{self.log()}")
            assert time.monotonic() < deadline, f"not within {within} s: {what}. uWSGI says:\n{self.log()}"
            self.be_fair()
            time.sleep(0.01)

    def be_fair(self) -> None:
        """Take back that spoolers are nice (19), where that is allowed: beside other tests they would starve."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self.pid, 0)

    def kill(self) -> None:
        """End all its processes, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.005)


@contextmanager
def real_uwsgi(directory: Path, program: str, *arguments: str | Path) -> Iterator[RealUwsgi]:
    """A uWSGI whose master has imported `program`, once its first worker is up; it has a socket on a free port.

    `program` becomes directory/program.py, and the directory is where uWSGI works; what else it shall have, as
    `--spooler DIR`, are the arguments. At the end all its processes are gone.
    """
    with _started(directory, program, arguments) as uwsgi:
        uwsgi.wait_for_log(_UP)
        yield uwsgi


def run_in_uwsgi(directory: Path, program: str, *arguments: str | Path) -> str:
    """What `program` prints in a uWSGI until it prints a line `END`, without that line and what uWSGI says.

    The line may come from any process of it: the master, which imports the program, a worker, a spooler, a mule.
    """
    with _started(directory, program, arguments) as uwsgi:
        uwsgi.wait_until(lambda: END in uwsgi.printed().splitlines(), f"its program has printed {END}")
        lines = uwsgi.printed().splitlines(keepends=True)
    return "".join(line for line in lines if line.rstrip("\n") != END)


@contextmanager
def _started(directory: Path, program: str, arguments: Sequence[str | Path]) -> Iterator[RealUwsgi]:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "program.py").write_text(program)
    (directory / "printing.py").write_text(_PRINTING)
    command = [sys.executable, "-c", _START, "--master", "--socket", "127.0.0.1:0"]
    command += ["--pyimport", "printing", "--pyimport", "program"]
    output, errors = directory / "uwsgi.out", directory / "uwsgi.log"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "LANG": "C.UTF-8"}
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # programs of a test change quickly
    output.write_bytes(b"")
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=directory, env=environment, start_new_session=True,
        )  # fmt: skip
    uwsgi = RealUwsgi(process, output, errors)
    try:
        yield uwsgi
    finally:
        uwsgi.kill()
