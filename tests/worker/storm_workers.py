"""Workers of tests/apps as real processes, and what their log says."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).parent.parent / "apps"


@dataclass
class Storm:
    """Worker processes on one spool."""

    root: Path
    options: tuple[str, ...] = ()
    app: str = "storm:spooler"
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)  # their pids

    def start(self) -> None:
        """One more worker."""
        self.workers.append(self.run("aspool.cli", "worker", self.app, *self.options))

    def run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A module as a program."""
        environment = {**os.environ, "STORM_ROOT": str(self.root), "PYTHONPATH": str(APPS)}
        with (self.root / "stderr").open("ab") as log:
            command = [sys.executable, "-m", *arguments]
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL for one of them, and another in its place."""
        victim = self.workers.pop(chance.randrange(len(self.workers)))
        victim.kill()
        victim.wait()
        self.killed.add(victim.pid)
        self.start()

    def replace_dead(self) -> int:
        """Others in the place of those that died by themselves; how many."""
        dead = [worker for worker in self.workers if worker.poll() is not None]
        for worker in dead:
            self.workers.remove(worker)
            self.start()
        return len(dead)

    def stop(self) -> None:
        """All of them, in order."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(40)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def log(self) -> list[list[str]]:
        """The lines: word, id, pid."""
        path = self.root / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def workers_of_runs(self) -> dict[str, list[int]]:
        """For each id the pids of the workers that ran it, in order."""
        runs: dict[str, list[int]] = {}
        for word, id, pid in self.log():
            if word == "start":
                runs.setdefault(id, []).append(int(pid))
        return runs

    def counted(self, word: str) -> Counter[str]:
        """How often each id has a line that begins with the word."""
        return Counter(line[1] for line in self.log() if line[0] == word)


@contextmanager
def storm(root: Path, workers: int, *options: str, app: str = "storm:spooler") -> Iterator[Storm]:
    """So many workers, stopped at the end."""
    (root / "locks").mkdir()
    running = Storm(root, options, app)
    for _ in range(workers):
        running.start()
    try:
        yield running
    finally:
        running.stop()


def wait_until(condition: Callable[[], bool], seconds: float, step: Callable[[], object] = lambda: None) -> None:
    """Look again and again, with `step` in between; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        step()
        time.sleep(0.02)
