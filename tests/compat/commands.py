"""`aspool` as processes of their own, for programs that were written for uWSGI. Not here: what they are asked."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0  # seconds: the machine may be busy


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("ASPOOL_")}


def aspool(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "aspool.cli", *arguments],
        cwd=directory, env=environment(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


@contextmanager
def worker(directory: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`aspool worker` as long as the block lasts; what it says is in directory/log."""
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aspool.cli", "worker", *arguments],
            cwd=directory, env=environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield process
        process.terminate()
        assert process.wait(PATIENCE) == 0, (directory / "log").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(PATIENCE)


def wait_until(condition: Callable[[], object], directory: Path, seconds: float = PATIENCE) -> None:
    """Return when it holds; fails with what the worker has said."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, (directory / "log").read_text()
        time.sleep(0.02)
