"""`aspool status` and `aspool reload`."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from aspool import DirectorySpool
from aspool.protocol import Notice
from aspool.supervisor import pidfile

from .conftest import Worker, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]
WORKER = {"number": 1, "pid": 4711, "state": "ready", "since": "2026-11-21T10:00:00+00:00", "reason": None}
RECORD = {"pid": os.getpid(), "host": "", "app": "app", "state": "ready", "processes": 1, "restarts": 2,
          "workers": [WORKER], "last_failure": None}  # fmt: skip


@pytest.fixture
def notice(app: Path) -> Iterator[Notice]:
    """What a supervisor says: this process."""
    notice = DirectorySpool(app / "spool").post()
    notice.write({**RECORD, "host": os.uname().nodename})
    yield notice
    notice.close()


def test_nobody_is_there(run: Run, app: Path) -> None:
    DirectorySpool(app / "spool").put_blocking([])
    result = run("status")
    assert (result.exit_code, result.output) == (1, f"spool\t{app}/spool\tno worker lives here\n")
    assert run("reload").exit_code == 1


def test_a_missing_spool_is_another_failure(run: Run) -> None:
    assert run("status", "-d", "./nowhere").exit_code == 3


def test_a_worker_alone_is_well_and_reloads(run: Run, start_worker: Start, app: Path) -> None:
    worker = start_worker("app")
    wait_for(lambda: (app / "spool").exists() and run("status").exit_code == 0)
    (standing,) = json.loads(run("status", "--json").output)
    assert (standing["well"], standing["supervisors"]) == (True, [])
    assert [each["pid"] for each in standing["workers"]] == [worker.process.pid]
    assert run("reload").output == f"process {worker.process.pid} reloads\n"
    told = iter(worker.process.stdout or [])
    wait_for(lambda: "stopping (SIGHUP)" in next(told))
    wait_for(lambda: "ready:" in next(told))
    worker.signal(signal.SIGTERM)
    assert worker.end()[0] == 0


def test_a_supervisor_says_how_it_stands(run: Run, app: Path, notice: Notice) -> None:
    result = run("status")
    lines = [line.split("\t") for line in result.output.splitlines()]
    assert (result.exit_code, lines[0]) == (0, ["spool", f"{app}/spool", "well"])
    assert lines[1] == ["supervisor", str(os.getpid()), "ready", "1", "2", "None"]
    assert lines[2][:3] == ["worker", "4711", "ready"]


@pytest.mark.parametrize(
    ("state", "code"), [("cheap", 0), ("reloading", 0), ("starting", 1), ("stopping", 1), ("failing", 1)]
)
def test_its_state_is_the_exit_code(run: Run, notice: Notice, state: str, code: int) -> None:
    notice.write({**RECORD, "state": state, "workers": [], "last_failure": "process 9 left with exit code 1"})
    result = run("status")
    assert result.exit_code == code
    assert ("well" in result.output) == (code == 0)
    assert code == 0 or f"is {state}: process 9 left with exit code 1" in result.output


def test_a_reload_is_a_signal(run: Run, notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    assert run("reload").exit_code == 0
    assert sent == [(os.getpid(), signal.SIGHUP)]


def test_a_process_of_another_machine_is_left_alone(run: Run, notice: Notice) -> None:
    notice.write({**RECORD, "host": "another"})
    assert "no worker of this machine" in run("reload").stderr


@pytest.mark.parametrize("pid", [None, "1", 1.5, True, -1, 0])
def test_what_makes_no_sense_is_ignored(run: Run, notice: Notice, pid: object) -> None:
    notice.write({"pid": pid, "workers": "x", "host": os.uname().nodename})
    assert run("reload").exit_code == 1
    assert run("status").exit_code == 1


@pytest.mark.parametrize(
    ("error", "sentence"), [(PermissionError, "belongs to another user"), (ProcessLookupError, "has ended meanwhile")]
)
def test_a_process_that_is_not_ours(
    run: Run, notice: Notice, monkeypatch: pytest.MonkeyPatch, error: type[OSError], sentence: str
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    result = run("reload")
    assert (result.exit_code, sentence in result.stderr) == (1, True)


def test_a_pid_file_says_who_reloads(run: Run, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with pidfile.held(str(app / "pid")):
        assert run("reload", "--pidfile", "pid").exit_code == 0
    assert sent == [(os.getpid(), signal.SIGHUP)]
    (app / "pid").write_text("1")
    result = run("reload", "--pidfile", "pid")
    assert (result.exit_code, "its number may be another's now" in result.stderr) == (1, True)
    assert run("reload", "--pidfile", "pid", "-d", "spool").exit_code == 2
