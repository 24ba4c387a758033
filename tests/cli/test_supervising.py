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
RECORD = {"pid": os.getpid(), "host": "", "app": "app", "state": "ready", "processes": 1, "deaths": 2,
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


def test_one_that_leaves_runs_nothing_more(run: Run, app: Path) -> None:
    spool = DirectorySpool(app / "spool")
    spool.put_blocking([])
    board = spool.scoreboard(1)
    assert run("status").exit_code == 0
    board.leave()
    result = run("status")
    assert (result.exit_code, result.output.splitlines()[1].split("\t")[2]) == (1, "leaving")
    board.close()


def test_a_supervisor_says_how_it_stands(run: Run, app: Path, notice: Notice) -> None:
    result = run("status")
    lines = [line.split("\t") for line in result.output.splitlines()]
    assert (result.exit_code, lines[0]) == (0, ["spool", f"{app}/spool", "well"])
    assert lines[1] == ["supervisor", str(os.getpid()), "ready", "1", "2", "-"]
    assert lines[2][:3] == ["worker", "4711", "ready"]


@pytest.mark.parametrize(
    ("state", "code"), [("cheap", 0), ("reloading", 0), ("starting", 1), ("stopping", 1), ("failing", 1)]
)
def test_its_state_is_the_exit_code(run: Run, notice: Notice, state: str, code: int) -> None:
    notice.write({**RECORD, "state": state, "workers": [], "last_failure": "process 9 left with exit code 1"})
    result = run("status")
    assert result.exit_code == code
    assert ("well" in result.output) == (code == 0)
    failure = "" if state == "stopping" else ": process 9 left with exit code 1"
    assert code == 0 or f"is {state}{failure}\n" in result.output


def test_a_reload_is_a_signal(run: Run, notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    assert run("reload").exit_code == 0
    assert sent == [(os.getpid(), signal.SIGHUP)]


def test_a_process_of_another_machine_is_left_alone(run: Run, notice: Notice) -> None:
    notice.write({**RECORD, "host": "another"})
    assert "no worker of this machine" in run("reload").stderr


@pytest.mark.parametrize("pid", [None, "1", 1.5, True, -1, 0, 2**31, 2**100])
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


def test_those_that_cannot_be_reloaded_keep_nobody(
    run: Run, app: Path, notice: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that has ended, or is another user's, has its sentence at the end; all others are signalled."""
    sent = []

    def kill(pid: int, number: int) -> None:
        if pid == os.getppid():
            raise PermissionError
        sent.append(pid)

    monkeypatch.setattr(os, "kill", kill)
    spool, node = DirectorySpool(app / "spool"), os.uname().nodename
    others = [spool.post() for _ in range(3)]
    for other, pid in zip(others, (2**31 - 1, 2**31 - 2, os.getppid()), strict=True):
        other.write({**RECORD, "pid": pid, "host": node})
    result = run("reload")
    assert (result.exit_code, sent, result.stdout) == (1, [os.getpid()], f"process {os.getpid()} reloads\n")
    assert sorted(line.removeprefix("aspool: ") for line in result.stderr.splitlines()) == sorted([
        f"process {os.getppid()} belongs to another user: reload it as that user, or as root",
        f"process {2**31 - 2} has ended meanwhile",
        f"process {2**31 - 1} has ended meanwhile",
    ])  # fmt: skip
    for other in others:
        other.close()


@pytest.fixture
def not_ours(app: Path) -> Callable[[Path], int]:
    """Make a file another user's than that of a process, whose number it gives."""

    def estrange(path: Path) -> int:
        if os.getuid() == 0:
            os.chown(path, 4711, -1)
            return os.getpid()
        return 1

    return estrange


def test_a_forged_notice_signals_nobody(
    run: Run, app: Path, notice: Notice, not_ours: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    monkeypatch.setattr(os, "kill", lambda *told: sent.append(told))
    (path,) = (app / "spool" / ".aspool" / "workers").iterdir()
    pid = not_ours(path)
    notice.write({**RECORD, "pid": pid, "host": os.uname().nodename, "owner": 0})
    result = run("reload")
    assert (result.exit_code, sent) == (1, [])
    assert f"process {pid} is not signalled: what names it here was written by another user" in result.stderr


def test_a_forged_board_signals_nobody(
    run: Run, app: Path, not_ours: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    monkeypatch.setattr(os, "kill", lambda *told: sent.append(told))
    spool = DirectorySpool(app / "spool")
    spool.put_blocking([])
    board = spool.scoreboard(1)
    text = Path(board.path).read_bytes()
    pid = not_ours(Path(board.path))
    Path(board.path).write_bytes(text.replace(str(os.getpid()).encode(), str(pid).encode(), 1))
    assert [found.pid for found in spool.boards()] == [pid]
    result = run("reload")
    assert (result.exit_code, sent, "is not signalled" in result.stderr) == (1, [], True)
    board.close()


def test_a_forged_notice_hides_no_worker(
    run: Run, app: Path, not_ours: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says that a worker is his own must be its user, or else it is taken for alone."""
    if os.getuid() != 0:
        pytest.skip("only root can make another user's file")
    sent = []
    monkeypatch.setattr(os, "kill", lambda *told: sent.append(told))
    spool = DirectorySpool(app / "spool")
    forged = spool.post()
    workers = [{**WORKER, "pid": os.getpid()}]
    forged.write({**RECORD, "pid": os.getppid(), "host": os.uname().nodename, "workers": workers})
    (path,) = (app / "spool" / ".aspool" / "workers").iterdir()
    not_ours(path)
    board = spool.scoreboard(1)
    assert (run("reload").exit_code, sent) == (1, [(os.getpid(), signal.SIGHUP)])
    board.close()
    forged.close()


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
