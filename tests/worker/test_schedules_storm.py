"""Schedules in real processes: each moment is fired once by all of them together, also under SIGKILL; and in time."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anyio
import pytest

from aspool import DirectorySpool, Job, Spooler
from aspool.firing import firing_id
from aspool.schedule_record import read
from aspool.turn import Kept
from aspool.worker import running

from .storm_workers import Storm, storm, wait_until

if TYPE_CHECKING:
    import subprocess

SECONDS, KILLS = 60, 10
FIRINGS = 120


@contextmanager
def servers(around: Storm, count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many web processes that embed a worker."""
    processes = []
    try:
        for _ in range(count):
            with socket.socket() as found:
                found.bind(("127.0.0.1", 0))
                port = found.getsockname()[1]
            processes.append(around.run("uvicorn", "ticking:app", f"--port={port}", "--log-level=warning"))
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(40)


def records(root: Path) -> dict[str, Kept]:
    return dict(anyio.run(DirectorySpool(root / "spool").records))


def expected(root: Path, start: float, end: float) -> dict[str, list[str]]:
    """The ids of the messages of all moments between, by the name of the schedule."""
    ids: dict[str, list[str]] = {}
    for name, kept in records(root).items():
        record = read(kept.record)
        assert record is not None
        moment, ids[name] = record.trigger.next_after(start, record.since), []
        while moment is not None and moment <= end:
            ids[name].append(firing_id(name, moment))
            moment = record.trigger.next_after(moment, record.since)
    return ids


@pytest.mark.heavy
@pytest.mark.timeout(240)
def test_each_moment_is_fired_once_under_kills(tmp_path: Path) -> None:
    chance = random.Random(11)
    with storm(tmp_path, 4, "--max-crashes=100", app="ticking:spooler") as workers, servers(workers, 2) as web:
        wait_until(lambda: len(workers.counted("start")) >= 4, 60)
        begun = time.time()
        for kill in range(KILLS):
            at = begun + (kill + 1) * SECONDS / (KILLS + 1)
            if kill % 2:  # just when the crons are fired
                at = round(at) + chance.uniform(0.0, 0.01)
            wait_until(lambda at=at: time.time() >= at, 30)  # type: ignore[misc]  # bound now
            workers.kill_one(chance)
        wait_until(lambda: time.time() >= begun + SECONDS, 60)
        ended = time.time() - 2.0  # what is fired by then has run when the log is read
        wait_until(lambda: time.time() >= ended + 3.0, 60)
        assert all(process.poll() is None for process in web)
        ids = expected(tmp_path, begun, ended)
        runs, puts = workers.workers_of_runs(), workers.counted("put")
    assert sorted(len(of_one) > SECONDS - 5 for of_one in ids.values()) == [True, True]
    wanted = [id for of_one in ids.values() for id in of_one]
    assert [id for id in wanted if id not in runs] == [], "a moment was not fired"
    again = {id: puts[id] - 1 for id in wanted if puts[id] > 1}
    assert sum(again.values()) <= KILLS, "more than one per kill was fired twice"
    for id in wanted:  # it ran again only if the worker that ran it was killed, or it was fired again
        assert set(runs[id][:-1]) <= workers.killed or id in again, id
    repeated = sum(len(runs[id]) - 1 for id in wanted)
    print(f"\n{len(wanted)} moments, {KILLS} kills: {sum(again.values())} fired twice, {repeated} runs repeated")


class Noise(threading.Thread):
    """How late a thread that does nothing else wakes up on this machine now, at worst."""

    worst = 0.0  # seconds
    _ends = False

    def run(self) -> None:
        while not self._ends:
            before = time.monotonic()
            time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - before - 0.01)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self.join()


class WakeUps:
    """Notes when the running event loop wakes up: each return of its selector."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self._selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # asyncio's own
        self._select = self._selector.select

    def __enter__(self) -> Self:
        self._selector.select = self._noted
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.select = self._select

    def _noted(self, timeout: float | None = None) -> Any:
        found = self._select(timeout)
        self.moments.append(time.time())
        return found


@pytest.mark.heavy
@pytest.mark.timeout(240)
@pytest.mark.anyio
async def test_a_timer_is_in_time_and_nothing_wakes_in_between(spooler: Spooler) -> None:
    moments: list[tuple[float, float]] = []
    done = anyio.Event()

    @spooler.timer(1.0)
    async def tick(job: Job) -> None:
        assert job.scheduled_for is not None
        moments.append((job.scheduled_for.timestamp(), time.time()))
        if len(moments) == FIRINGS:
            done.set()

    async with running(spooler, frequency=600.0):
        with WakeUps() as wake_ups, Noise() as noise:
            await done.wait()
    late = sorted(began - moment for moment, began in moments)
    started = moments[0][0]
    assert [moment for moment, _ in moments] == [pytest.approx(started + n, abs=1e-5) for n in range(FIRINGS)]
    assert late[0] >= 0, "it fired before its moment"
    # Between two firings: more than 0.1 s after one, and more than 2 ms before the next.
    between = [m for m in wake_ups.moments if 0.1 < (m - started) % 1.0 < 0.998 and started < m < moments[-1][0]]
    per_firing = len(wake_ups.moments) / FIRINGS
    print(f"\nlate by {late[FIRINGS // 2] * 1000:.1f} ms (median), {late[-1] * 1000:.1f} ms (most); ", end="")
    print(
        f"{per_firing:.1f} wake-ups per firing, {len(between)} in between; a bare thread: {noise.worst * 1000:.1f} ms"
    )
    assert late[-1] < 0.020 + noise.worst
    assert between == []
