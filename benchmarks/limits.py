"""A task with a limit over all workers: does it hold up another task, and what does it cost to keep it back?"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .places import settle
from .processes import Running, wait_until
from .programs import LIMIT
from .reports import script, wait_for_report, worker
from .scale import scaled
from .scenario import Contender, Figures, Goal, Scenario
from .stopwatch import read

PATIENCE = 120.0  # seconds
WORKERS = 4
FIRST, OTHER = "first", "other"
FREE, ALONE = "without a limit", "concurrency=1"
RATE = "other tasks/s"


def scenarios() -> Sequence[Scenario]:
    return (
        _scenario("two tasks, one with a limit", (), "Each worker has its 100 places."),
        _scenario("two tasks, one with a limit, few places", ("--concurrency", "4"), "Each worker has 4 places."),
    )


def _scenario(name: str, options: Sequence[str], places: str) -> Scenario:
    tasks = scaled(2_000, 400)
    contenders: Mapping[str, Contender] = {
        FREE: partial(share, tasks, 0, options),
        ALONE: partial(share, tasks, 1, options),
    }
    return Scenario(
        group="limits",
        name=name,
        contenders=contenders,
        goals=(Goal(figure=RATE, of=ALONE, to=FREE, at_least=0.8),),
        rounds=7,
        notes=f"{WORKERS} worker processes; {tasks:,} tasks wait when all begin, the two kinds in turn. Each sleeps "
        f"for 2 ms, as one does that asks a database or a cache. {places} Of the first task only one may run at a time "
        "in all workers, or as many as want to. From the start of a kind's first job to the end of its last. Refused: "
        "another worker holds the file. Kept back: the file was opened, and its task was at its limit.",
    )


def share(tasks: int, limit: int, options: Sequence[str], directory: Path) -> Figures:
    """So many workers run both kinds."""
    environment = {LIMIT: limit}
    with script(directory, "waiting", "limited", tasks, environment=environment) as client:
        client.wait(PATIENCE)
    settle()
    with ExitStack() as stack:
        running = [
            stack.enter_context(worker(directory, "limited", *options, environment=environment)) for _ in range(WORKERS)
        ]
        wait_until(lambda: len(list(directory.glob("ready-*"))) == WORKERS, PATIENCE, "readiness", *running)
        (directory / "go").touch()
        wait_until(lambda: _ran(directory) >= tasks, PATIENCE, f"end of {tasks} jobs", *running)
        tries = [_leave(directory, each) for each in running]
    assert sum(each["claimed"] for each in tries) == tasks, f"{tries} are not {tasks} tasks"
    counts = {f"{what} per task": sum(each[what] for each in tries) / tasks for what in ("refused", "kept back")}
    return {RATE: read(directory / OTHER).per_second, "first tasks/s": read(directory / FIRST).per_second} | counts


def _ran(directory: Path) -> int:
    return sum(read(directory / kind).jobs for kind in (FIRST, OTHER))


def _leave(directory: Path, process: Running) -> dict[str, float]:
    """End a worker in order; what it tried."""
    process.process.terminate()
    process.wait(PATIENCE)
    return wait_for_report(directory, f"tries-{process.process.pid}", 1)
