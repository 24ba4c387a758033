"""Several worker processes on one directory: how often they are in each other's way."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .filling import fill
from .processes import Running, wait_for_jobs, wait_until
from .reports import wait_for_report, worker
from .scale import scaled
from .scenario import Figures, Goal, Scenario

PATIENCE = 120.0  # seconds
ONE, FOUR = "1 worker", "4 workers"


def scenarios() -> Sequence[Scenario]:
    tasks = scaled(20_000, 4_000)
    shared_directory = Scenario(
        group="workers",
        name="worker processes on one directory",
        contenders={ONE: partial(share, 1, tasks), FOUR: partial(share, 4, tasks)},
        goals=(
            Goal(figure="refused per task", of=FOUR, at_most=0.2),
            Goal(figure="vanished per task", of=FOUR, at_most=0.5),
        ),
        notes=f"{tasks:,} no-ops wait when all workers begin at the same moment. Refused: another worker holds the "
        "lock. Vanished: another one was done with the file before it was opened.",
    )
    return (shared_directory,)


def share(workers: int, tasks: int, directory: Path) -> Figures:
    """So many workers drain a directory together."""
    fill(directory / "spool", tasks)
    with ExitStack() as stack:
        running = [stack.enter_context(worker(directory, "counting")) for _ in range(workers)]
        wait_until(lambda: len(list(directory.glob("ready-*"))) == workers, PATIENCE, "readiness", *running)
        (directory / "go").touch()
        reading = wait_for_jobs(directory, tasks, PATIENCE, *running)
        tries = [_leave(directory, each) for each in running]
    assert sum(each["claimed"] for each in tries) == tasks, f"{tries} are not {tasks} tasks"
    return {
        "tasks/s": reading.per_second,
        "refused per task": sum(each["refused"] for each in tries) / tasks,
        "vanished per task": sum(each["vanished"] for each in tries) / tasks,
        "largest share": max(each["claimed"] for each in tries) / tasks,
    }


def _leave(directory: Path, process: Running) -> dict[str, float]:
    """End a worker in order; what it tried."""
    process.process.terminate()
    process.wait(PATIENCE)
    return wait_for_report(directory, f"tries-{process.process.pid}", 1)
