"""Promises under SIGKILL of workers and supervisors, with real processes: nothing lost, nothing twice, no orphans."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aspool import DirectorySpool
from aspool.spools.directory.tree import PRIVATE

from ..worker.storm_workers import Storm, wait_until

if TYPE_CHECKING:
    from subprocess import Popen

OPTIONS = ("--processes=4", "--restart-wait=0.1", "--longest-restart-wait=1", "--frequency=1")


class Supervised:
    """A supervisor of the storm's application, and who belongs to it."""

    def __init__(self, root: Path, *options: str) -> None:
        (root / "locks").mkdir()
        self.storm = Storm(root, (*OPTIONS, *options))
        self.storm.start()

    @property
    def supervisor(self) -> "Popen[bytes]":
        return self.storm.workers[0]

    def workers(self) -> list[int]:
        """The pids of the workers that live."""
        try:
            told = Path(f"/proc/{self.supervisor.pid}/task/{self.supervisor.pid}/children").read_text()
        except FileNotFoundError:
            return []
        return [int(pid) for pid in told.split()]

    def everybody(self) -> list[str]:
        """All processes that belong to this storm, whoever started them."""
        mark = f"STORM_ROOT={self.storm.root}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environment = (path / "environ").read_bytes().split(b"\0")
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if mark in environment:
                found.append(f"{path.name} {command}")
        return found

    def kill(self, chance: random.Random) -> None:
        """SIGKILL for a worker or, once in ten times, for the supervisor, which is then started again."""
        if chance.random() < 0.1:
            self.storm.kill_one(chance)
            return
        wait_until(lambda: len(self.workers()) >= 3, 60)
        pid = chance.choice(self.workers())
        os.kill(pid, signal.SIGKILL)  # a child of the supervisor: until that reaps it, nobody else has its number
        self.storm.killed.add(pid)

    def stop(self) -> int:
        self.supervisor.terminate()
        return self.supervisor.wait(40)

    def end(self) -> None:
        """Whatever is left goes."""
        self.supervisor.kill()
        self.supervisor.wait()
        for line in self.everybody():
            os.kill(int(line.split()[0]), signal.SIGKILL)


@contextmanager
def supervised(root: Path, *options: str) -> Iterator[Supervised]:
    """A supervisor, and nothing of it at the end."""
    running = Supervised(root, *options)
    try:
        yield running
    finally:
        running.end()


def waiting(root: Path) -> int:
    return sum(1 for path in (root / "spool").rglob("uwsgi_spoolfile_on_*") if PRIVATE not in path.parts)


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_5000_tasks_and_300_kills(tmp_path: Path, storm_tasks: object) -> None:
    chance, count, kills = random.Random(5), 5000, 300
    three = [storm_tasks.on_loop, storm_tasks.in_thread, storm_tasks.in_process]  # type: ignore[attr-defined]  # a module loaded by name
    with supervised(tmp_path, "--max-crashes=50", "--concurrency=8") as running:
        storm = running.storm
        ids = [three[n % 3].spool_sync(chance.uniform(0.01, 0.3)).id for n in range(count)]
        for k in range(kills):
            goal = (k + 1) * count // (kills + 2)
            wait_until(lambda goal=goal: len(storm.counted("end")) >= goal, 120)  # type: ignore[misc]  # bound now
            time.sleep(chance.uniform(0, 0.05))  # not always just after an end: the moment must be random
            running.kill(chance)
            if k % 30 == 29:
                wait_until(lambda: len(running.workers()) >= 3, 60)  # before it has begun, it would be its death
                running.supervisor.send_signal(signal.SIGHUP)
        wait_until(lambda: waiting(tmp_path) == 0, 600)
        assert running.stop() == 0
        wait_until(lambda: not running.everybody(), 30)

    ended = storm.counted("end")
    assert not storm.counted("overlap"), "a message had two live runs"
    assert [id for id in ids if not ended[id]] == [], "acknowledged, but never ran to its end"
    repeats = [(id, pid) for id, pids in storm.workers_of_runs().items() for pid in pids[:-1]]
    deaths = (storm.root / "stderr").read_text().count("was killed by signal 9")
    reloads = (storm.root / "stderr").read_text().count("reloading")
    print(f"{deaths} deaths of workers that a supervisor saw, {reloads} reloads")
    print(f"{kills} kills, {len(repeats)} runs repeated, {sum(ended.values()) - count} of them had ended")
    assert [repeat for repeat in repeats if repeat[1] not in storm.killed] == [], "only the killed leave runs behind"
    areas = [tmp_path / "spool" / PRIVATE / area for area in ("dead", "corrupt", "tmp", "ids")]
    assert [path.name for area in areas for path in area.iterdir()] == []


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_poison_takes_no_neighbour_with_it(tmp_path: Path, storm_tasks: object) -> None:
    with supervised(tmp_path) as running:
        bad = storm_tasks.poison.spool_sync()  # type: ignore[attr-defined]  # a module loaded by name
        ids = [storm_tasks.on_loop.spool_sync(0.02).id for _ in range(200)]  # type: ignore[attr-defined]
        wait_until(lambda: waiting(tmp_path) == 0, 120)
        assert running.stop() == 0
        wait_until(lambda: not running.everybody(), 30)
    (dead,) = DirectorySpool(tmp_path / "spool").browse(frozenset({"dead"}))
    assert (dead.id, running.storm.counted("start")[bad.id]) == (bad.id, 3)
    assert "died 3 times" in dead.reason
    assert set(ids) <= set(running.storm.counted("end"))
