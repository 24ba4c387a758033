"""What a worker costs that has nothing to do."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import uwsgi
from .filling import fill
from .kernel import MEBIBYTE, cpu_seconds, resident_bytes, sleeps
from .processes import Running
from .programs import COUNT
from .reports import worker
from .scale import scaled
from .scenario import Figures, Goal, Scenario

SETTLING = 6.0  # seconds; the first look at 500,000 names takes one or two
DAY = 86_400.0  # seconds
LIMITS = {"% CPU": 0.2, "wake-ups/s": 1.0, "RSS MiB": 45.0}


def scenarios() -> Sequence[Scenario]:
    return (_scenario("an idle worker", 0), _scenario("a worker with future tasks", scaled(500_000, 20_000)))


def _scenario(name: str, waiting: int) -> Scenario:
    watched = scaled(30, 5)
    return Scenario(
        group="idle",
        name=name,
        contenders={"aspool": partial(idle, waiting, watched), "uWSGI": partial(idle_uwsgi, waiting, watched)},
        goals=tuple(Goal(figure=figure, at_most=limit) for figure, limit in LIMITS.items()),
        rounds=3,
        places=("ext4",),
        notes=f"{waiting:,} files are due tomorrow. Each process is watched for {watched} s; both look at the "
        "directory by themselves every 30 s. A wake-up is a voluntary context switch of any thread of the process, as "
        "the kernel counts them. Of uWSGI it is the spooler process alone.",
    )


def idle(waiting: int, watched: int, directory: Path) -> Figures:
    """Watch a worker that waits."""
    fill(directory / "spool", waiting, ahead=DAY)
    with worker(directory, "draining", environment={COUNT: 1}) as process:
        return watch(process, process.process.pid, watched)


def idle_uwsgi(waiting: int, watched: int, directory: Path) -> Figures:
    """Watch a spooler process that waits."""
    spool = directory / "spool"
    fill(spool, waiting, ahead=DAY)
    with uwsgi.spoolers(directory, spool, uwsgi.PROGRAMS / "nothing.py") as process:
        time.sleep(1)
        master = process.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return watch(process, int(children[0]), watched)  # uWSGI starts the spooler before the others


def watch(process: Running, pid: int, seconds: int) -> Figures:
    """What one process does in so many seconds, after it has settled."""
    time.sleep(SETTLING)
    slept, worked, begun = sleeps(pid), cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    assert not process.has_ended
    passed, worked = time.monotonic() - begun, cpu_seconds(pid) - worked
    woken = sum(count - slept.get(thread, 0) for thread, count in sleeps(pid).items())
    return {
        "% CPU": 100 * worked / passed,
        "wake-ups/s": woken / passed,
        "RSS MiB": resident_bytes(pid) / MEBIBYTE,
    }
