"""Jobs that hang, in real worker processes: each ends in time and says where it was; its neighbours finish."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .storm_workers import APPS, wait_until

GRACE = 0.5
NEIGHBOURS = 20
TIME = 2.0  # seconds after harakiri and its grace, by which a job has ended
PROGRAM = f"""
from hanging import spooler
from aspool import WorkerSettings
from aspool.worker.process import run_worker
run_worker(spooler, WorkerSettings(harakiri_grace={GRACE}, grace=5, job_processes=4))
"""
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]


class Workers:
    """One worker after another, as a supervisor would have them."""

    def __init__(self, root: Path, retries: int) -> None:
        self.root = root
        self.environment = {**os.environ, "HANGING_ROOT": str(root), "HANGING_RETRIES": str(retries)}
        self.environment["PYTHONPATH"] = str(APPS)
        self.exit_codes: list[int] = []
        self.ended: dict[int, float] = {}  # by pid, UNIX timestamps
        self._worker: subprocess.Popen[bytes] | None = None

    def step(self) -> None:
        """Start one, if none lives."""
        if self._worker is not None and self._worker.poll() is not None:
            self.ended[self._worker.pid] = time.time()
            self.exit_codes.append(self._worker.returncode)
            self._worker = None
        if self._worker is None:
            with (self.root / "stderr").open("ab") as log:
                self._worker = subprocess.Popen([sys.executable, "-c", PROGRAM], env=self.environment, stderr=log)

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()

    def log(self, word: str) -> list[list[str]]:
        """What jobs noted: word, id, task, pid, moment."""
        path = self.root / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines if line.startswith(f"{word} ")]


def run(hanging: Any, root: Path, kind: str, retries: int) -> tuple[Workers, str, dict[str, Any]]:
    """Run a task that hangs among its neighbours; the workers, its id, and what lies beside the dead message."""
    task, _ = hanging.KINDS[kind]
    for number in range(NEIGHBOURS):
        neighbour = (hanging.neighbour, hanging.neighbour_in_thread, hanging.neighbour_in_process)[number % 3]
        neighbour.spool_sync(0.2 if number < NEIGHBOURS // 2 else 3.0)
    id = task.spool_sync().id
    workers = Workers(root, retries)
    try:
        wait_until(lambda: not list((root / "spool").glob("uwsgi_*")), 120, workers.step)
        workers.step()
    finally:
        workers.stop()
    (dead,) = (root / "spool" / ".aspool" / "dead").glob("*.json")
    return workers, id, json.loads(dead.read_text())


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """tests/apps/hanging.py, imported here too, to spool from this process."""

    def imported(retries: int) -> Any:
        monkeypatch.setenv("HANGING_ROOT", str(tmp_path))
        monkeypatch.setenv("HANGING_RETRIES", str(retries))
        monkeypatch.syspath_prepend(str(APPS))
        sys.modules.pop("hanging", None)
        return __import__("hanging")

    return imported


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("kind", ["async", "swallows", "thread", "loop", "process"])
def test_a_job_that_hangs(hanging: Callable[[int], Any], tmp_path: Path, kind: str, retries: int) -> None:
    app = hanging(retries)
    workers, id, record = run(app, tmp_path, kind, retries)
    assert record["id"] == id
    assert (record["attempts"], record["crashes"]) == (retries + 1, 0)
    assert app.KINDS[kind][1] in record["traceback"]
    starts = [line for line in workers.log("start") if line[1] == id]
    assert len(starts) == retries + 1, "it is charged, and runs again as often as it may"
    ended = {line[1] for line in workers.log("end")}
    assert len(ended) == NEIGHBOURS, "and its neighbours finish, here or elsewhere"
    assert workers.log("overlap") == []
    harakiri = app.HARAKIRI + (2 if kind == "process" else 0)
    if kind in ("swallows", "thread", "loop"):
        assert workers.exit_codes[: retries + 1] == [1] * (retries + 1)
        for *_, pid, moment in starts:
            took = workers.ended[int(pid)] - float(moment)
            assert took < harakiri + GRACE + TIME
    elif retries:
        first, second = (float(line[4]) for line in starts)
        assert second - first < harakiri + GRACE + TIME
    assert sum(line[1] != id for line in workers.log("start")) <= NEIGHBOURS * (len(workers.exit_codes) + 1)
