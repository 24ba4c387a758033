"""An `aspool worker` of one of our applications, or a program of ours, and the figures that it reports in a file."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from .processes import Running, running, wait_until

ROOT = "BENCH_ROOT"  # the environment variable with the directory of a contender


def worker(
    directory: Path, application: str, *options: str, environment: Mapping[str, object] | None = None
) -> AbstractContextManager[Running]:
    """`aspool worker benchmarks.programs.APPLICATION` until the block ends."""
    quiet = ("--log-level", "warning")
    command = [sys.executable, "-m", "aspool.cli", "worker", f"benchmarks.programs.{application}", *quiet, *options]
    return running(command, directory, environment={**(environment or {}), ROOT: directory})


def script(
    directory: Path, module: str, *arguments: object, environment: Mapping[str, object] | None = None
) -> AbstractContextManager[Running]:
    """`python -m benchmarks.programs.MODULE` until the block ends."""
    command = [sys.executable, "-m", f"benchmarks.programs.{module}", *map(str, arguments)]
    return running(command, directory, environment={**(environment or {}), ROOT: directory})


def report(name: str, figures: Mapping[str, float]) -> None:
    """In a process of ours: leave figures for `wait_for_report`, all at once."""
    path = Path(os.environ[ROOT]) / f"{name}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(figures))
    partial.rename(path)


def wait_for_report(directory: Path, name: str, seconds: float, *processes: Running) -> dict[str, float]:
    """The figures that a process reported under this name, once. Raises RuntimeError when they do not come."""
    path = directory / f"{name}.json"
    wait_until(path.exists, seconds, f"the report {name!r}", *processes)
    figures: dict[str, float] = json.loads(path.read_text())
    path.unlink()  # the next process of this contender may report under the same name
    return figures
