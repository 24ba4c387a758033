"""`aspool listen` as a process of its own, and what it takes of the machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..cli.conftest import plain_environment

PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Process:
    pid: int
    addresses: list[str]
    spool: Path
    log: Path

    @property
    def port(self) -> int:
        """Of its first address that is not a file."""
        return next(int(one.rpartition(":")[2]) for one in self.addresses if not one.startswith("unix:"))

    def megabytes(self, line: str = "VmRSS") -> float:
        """Of memory, now; VmHWM: at most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(text.split()[1]) / 1024 for text in status.splitlines() if text.startswith(line))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def files(self) -> list[Path]:
        """The tasks."""
        return sorted(path for path in self.spool.rglob("uwsgi_spoolfile_on_*") if ".aspool" not in path.parts)


@contextmanager
def listening_process(directory: Path, *arguments: str, addresses: int = 1) -> Iterator[Process]:
    """With a spool in the directory; it must end in order."""
    log = directory / "listener.log"
    command = [sys.executable, "-m", "aspool.cli", "listen", "-d", str(directory / "spool"), *arguments]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.PIPE, stderr=errors, text=True, env=plain_environment()
        )
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(addresses)]
            assert all("listens on" in line for line in lines), (lines, log.read_text())
            yield Process(process.pid, [line.split()[4] for line in lines], directory / "spool", log)
            process.terminate()
            assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            process.kill()
            process.communicate()


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
