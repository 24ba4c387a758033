"""The real uWSGI of the `pyuwsgi` wheel: what it spools, drains and how soon it wakes up."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from .processes import Running, program, running, wait_for_jobs
from .stopwatch import Reading

PROGRAMS = Path(__file__).parent / "uwsgi_programs"
SIZE = 100  # characters in the argument of each task: a small one, as most are
QUIET = ("--disable-logging", "--spooler-quiet")


def fill(directory: Path, spool: Path, count: int, *, at: float | None = None) -> float:
    """Spool so many tasks from a plain process without a spooler; tasks in a second."""
    spool.mkdir(exist_ok=True)
    rate = directory / "rate"
    environment: dict[str, object] = {"BENCH_COUNT": count, "BENCH_SIZE": SIZE, "BENCH_RATE": rate}
    if at is not None:
        environment["BENCH_AT"] = int(at)
    command: list[str | Path] = ["--spooler-external", spool, "--pyrun", PROGRAMS / "fill.py"]
    with running(uwsgi(directory, *command), directory, environment=environment) as process:
        process.wait(300)
    return float(rate.read_text())


def drain(directory: Path, spool: Path, count: int, *, processes: int) -> Reading:
    """Run all tasks of a spool in so many spooler processes, which do nothing for each."""
    with spoolers(directory, spool, PROGRAMS / "nothing.py", processes=processes) as process:
        return wait_for_jobs(directory, count, 300, process)


def spoolers(
    directory: Path, spool: Path, handler: Path, *more: str | Path, processes: int = 1,
    environment: Mapping[str, object] = {},
) -> AbstractContextManager[Running]:  # fmt: skip
    """A uWSGI master with so many spooler processes that import the handler."""
    command: list[str | Path] = ["--master", "--spooler", spool, "--spooler-processes", str(processes)]
    command += ["--spooler-import", handler]
    variables = {"BENCH_NOTES": directory, **environment}
    return running(uwsgi(directory, *command, *more), directory, environment=variables)


def uwsgi(directory: Path, *options: str | Path) -> list[str | Path]:
    """The command, with what is always needed: uWSGI does not start without a socket."""
    return [program("pyuwsgi"), "--socket", directory / "socket", *QUIET, *options]
