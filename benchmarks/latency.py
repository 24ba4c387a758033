"""How soon a task starts after it was spooled by another process, beside uWSGI's wake-up of its own spoolers."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio

from . import uwsgi
from .drain import worker
from .enqueue import has_uvloop
from .jobs import TEXT, Application, Durability, application
from .places import settle
from .probing import BUSY, pause_length, some_of
from .processes import Running, running, wait_until
from .scale import scaled
from .scenario import Contender, Figures, Goal, Scenario
from .stopwatch import CALLS, Samples, now, samples

PROBES, FEW = 300, 20  # uWSGI is so late in some situations that few must do
FUTURE = 50_000  # tasks that are due tomorrow
TOMORROW = timedelta(days=1)
UWSGI, SAME = "idle uWSGI", "uWSGI likewise"
P50, P99, CALL = "p50 ms", "p99 ms", "spool() ms"

Probing = Callable[[Application], Awaitable[float]]


def scenarios() -> Sequence[Scenario]:
    return [
        _scenario(
            "an idle worker",
            {
                "aspool": _aspool(_probe),
                "aspool by spool_sync": _aspool(_probe_sync),
                "aspool to the disk": _aspool(_probe, durability="disk"),
            },
            "From the call of spool() in one process to the start of the function in another, by one clock. Tasks are "
            f"spooled one at a time, 5 to 15 ms apart. {CALL}: the median of what the call alone took. {UWSGI}: a mule "
            "spools, the spooler process of the same instance runs; all of these goals compare with it.",
        ),
        _scenario(
            "a worker that runs a 10 ms task",
            {"aspool": _aspool(_probe_beside_coroutine), "aspool in a thread": _aspool(_probe_beside_thread),
             SAME: partial(_uwsgi, probes=FEW, busy=BUSY)},
            "uWSGI runs one task at a time and looks again at its --spooler-frequency; here that is 1 s, the "
            "shortest, by default 30 s.",
        ),
        _scenario(
            "50,000 future tasks in the directory",
            {"aspool": _aspool(_probe, future=FUTURE), SAME: partial(_uwsgi, probes=2 * FEW, future=FUTURE)},
            "",
        ),
        _scenario(
            "a task that uWSGI wrote",
            {"aspool": _aspool_behind_uwsgi},
            "Another uWSGI without a spooler of its own writes it; an aspool worker runs it.",
        ),
    ]  # fmt: skip


def _scenario(name: str, contenders: dict[str, Contender], notes: str) -> Scenario:
    measured = [contender for contender in contenders if contender.startswith("aspool") and "disk" not in contender]
    return Scenario(
        group="latency",
        name=name,
        contenders=contenders | {UWSGI: _uwsgi},
        goals=tuple(Goal(figure=P50, of=contender, to=UWSGI, at_most=2.0) for contender in measured),
        rounds=3,
        notes=notes,
    )


# --- aspool ----------------------------------------------------------------------------------------------


async def _probe(jobs: Application) -> float:
    """How long the call took."""
    began = now()
    await jobs.probe.spool(began)
    return now() - began


async def _probe_sync(jobs: Application) -> float:
    began = now()
    jobs.probe.spool_sync(began)
    return now() - began


async def _probe_beside_coroutine(jobs: Application) -> float:
    await jobs.sleep.spool(BUSY)
    await anyio.sleep(some_of(BUSY))
    return await _probe(jobs)


async def _probe_beside_thread(jobs: Application) -> float:
    await jobs.sleep_in_thread.spool(BUSY)
    await anyio.sleep(some_of(BUSY))
    return await _probe(jobs)


def _aspool(probe: Probing, *, durability: Durability = "process", future: int = 0) -> Contender:
    def measure(directory: Path) -> Figures:
        spool, count = directory / "spool", _probes(PROBES)
        jobs = application(spool, durability)
        later = jobs.nothing.using(at=TOMORROW)
        jobs.spooler.spool_many_sync([later.call(TEXT) for _ in range(scaled(future, future // 10))])
        settle()

        calls = Samples(directory, CALLS)

        async def run() -> None:
            for _ in range(count):
                await anyio.sleep(pause_length())
                calls.add(await probe(jobs))

        with worker(directory, spool) as process:
            _wait_for_start(jobs, directory, process)
            anyio.run(run, backend_options={"use_uvloop": has_uvloop()})
            wait_until(lambda: len(samples(directory)) > count, 60, f"{count} samples", process)
            return _figures(directory, first=1)

    return measure


def _aspool_behind_uwsgi(directory: Path) -> Figures:
    spool, count = directory / "spool", _probes(PROBES)
    jobs = application(spool)
    with worker(directory, spool) as process:
        _wait_for_start(jobs, directory, process)
        command = uwsgi.uwsgi(directory, "--spooler-external", spool, "--pyrun", uwsgi.PROGRAMS / "probing.py")
        environment = {"BENCH_NOTES": directory, "BENCH_COUNT": count}
        with running(command, directory, environment=environment) as writer:
            writer.wait(120)
        wait_until(lambda: len(samples(directory)) > count, 60, f"{count} samples", process)
        return _figures(directory, first=1)


def _wait_for_start(jobs: Application, directory: Path, process: Running) -> None:
    """Until the worker has run a first probe, and has no more to do."""
    jobs.probe.spool_sync(now())
    wait_until(lambda: len(samples(directory)) > 0, 60, "start of the worker", process)
    time.sleep(0.5)


# --- uWSGI -----------------------------------------------------------------------------------------------


def _uwsgi(directory: Path, *, probes: int = PROBES, busy: float = 0, future: int = 0) -> Figures:
    spool, count = directory / "spool", _probes(probes)
    uwsgi.fill(directory, spool, scaled(future, future // 10), at=time.time() + TOMORROW.total_seconds())
    settle()
    options = ["--mule=" + str(uwsgi.PROGRAMS / "probing.py"), "--spooler-frequency", "1" if busy else "30"]
    environment: dict[str, object] = {"BENCH_COUNT": count, "BENCH_BUSY": busy}
    handler = uwsgi.PROGRAMS / "probed.py"
    with uwsgi.spoolers(directory, spool, handler, *options, environment=environment) as process:
        wait_until(lambda: len(samples(directory)) >= count, 120, f"{count} samples", process)
    return _figures(directory)


def _probes(full: int) -> int:
    return scaled(full, min(full // 6, 30))


def _figures(directory: Path, first: int = 0) -> Figures:
    percentiles = statistics.quantiles(samples(directory)[first:], n=100, method="inclusive")
    call = statistics.median(samples(directory, CALLS))
    return {P50: 1000 * percentiles[49], P99: 1000 * percentiles[98], CALL: 1000 * call}
