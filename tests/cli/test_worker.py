"""`aspool worker`, as a real process: burst, signals, and applications that cannot be used."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import Result

from aspool import WorkerSettings

from .conftest import Worker, plain_environment, wait_for

Start = Callable[..., Worker]
Run = Callable[..., Result]


def test_a_burst_runs_what_is_due_and_leaves(start_worker: Start, run: Run, app: Path) -> None:
    assert run("send", "app", "send_mail", "to=a", "count=3").exit_code == 0
    run("send", "app", "send_mail", "to=later", "--in", "1h")
    code, output = start_worker("app:spooler", "--burst").end()
    assert code == 0
    assert (app / "sent-a").read_text() == "('a', 3, False, None)"
    assert str(app / "spool") in output
    assert str(app / "mail") in output
    assert "aspool.worker: app.send_mail" in output
    assert not (app / "sent-later").exists()


def test_the_first_signal_lets_running_jobs_end(start_worker: Start, run: Run, app: Path) -> None:
    run("send", "app", "slow", "seconds=0.3")
    worker = start_worker("app")
    wait_for((app / "slow-started").exists)
    worker.signal(signal.SIGTERM)
    code, output = worker.end()
    assert code == 0
    assert (app / "slow-ended").exists()
    assert "stopping (SIGTERM); still running: 1" in output
    assert "Traceback" not in output


def test_the_second_signal_hands_back_what_runs(start_worker: Start, run: Run, app: Path) -> None:
    run("send", "app", "slow", "--id", "long")
    worker = start_worker("app")
    wait_for((app / "slow-started").exists)
    worker.signal(signal.SIGINT)
    told = iter(worker.process.stdout or [])
    wait_for(lambda: "stopping (SIGINT)" in next(told))
    worker.signal(signal.SIGINT)
    assert worker.end()[0] == 0
    listed = run("ls", "--json").output
    assert '"state": "waiting"' in listed
    assert '"attempt": 0' in listed


def test_a_thread_that_does_not_stop_does_not_keep_the_process(
    start_worker: Start, run: Run, app: Path
) -> None:
    run("send", "app", "stuck", "--id", "forever")
    worker = start_worker("app", "--grace", "0", "--harakiri-grace", "0.1")
    wait_for((app / "stuck-started").exists)
    worker.signal(signal.SIGTERM)
    code, output = worker.end()
    assert code == 0
    assert "a thread does not stop" in output
    (line,) = run("ls").output.splitlines()
    assert line.startswith("forever\twaiting")


def test_max_tasks_drains(start_worker: Start, run: Run) -> None:
    for name in "abc":
        run("send", "app", "send_mail", f"to={name}")
    assert start_worker("app", "--no-supervisor", "--max-tasks", "2").end()[0] == 0
    assert len(run("ls").output.splitlines()) == 1


def test_options_come_from_the_environment(app: Path) -> None:
    command = [sys.executable, "-m", "aspool.cli", "worker", "app"]
    environment = {**plain_environment(), "ASPOOL_BURST": "1", "ASPOOL_LOG_LEVEL": "error"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=15)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_says_where_and_how_to_work(start_worker: Start, app: Path) -> None:
    """With a spool of its own, relative to where it was started, though the application runs elsewhere."""
    (app / "below").mkdir()
    (app / "app.py").rename(app / "below" / "app.py")
    (app / "uwsgi.ini").write_text("[uwsgi]\nspooler = other\nspooler-chdir = below\nspooler-quiet = true\n")
    (app / "aspool.toml").write_text('app = "app"\nini = "uwsgi.ini"\n')
    code, output = start_worker("--burst").end()
    assert (code, "Traceback" in output) == (0, False)
    assert f"app works on {app}/other\n" in output
    assert f"app works on {app}/below/mail\n" in output


def test_every_setting_has_an_option(run: Run) -> None:
    text = run("worker", "--help").output
    for field in fields(WorkerSettings):
        assert f"--{field.name.replace('_', '-')}" in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import sys; sys.exit(3)", "called sys.exit(3) when it was imported"),
        ("def f():\n    1 / 0\nf()", "raised ZeroDivisionError when it was imported"),
        ("import nothing_like_it", "raised ModuleNotFoundError when it was imported"),
        ("def (", "raised SyntaxError when it was imported"),
    ],
)
def test_an_application_that_does_not_import(run: Run, app: Path, text: str, sentence: str) -> None:
    (app / "broken.py").write_text(text)
    result = run("worker", "broken")
    assert result.exit_code == 2
    *told, last = result.stderr.splitlines()
    assert sentence in last
    assert any("broken.py" in line for line in told)
    assert not any("importlib" in line or "aspool/cli" in line for line in told)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "there is no module nowhere"),
        ("app:nothing", "app.py); it has app:spooler"),
        ("app:send_mail", "has send_mail, but that is no Spooler: Task; it has app:spooler"),
        ("app.py", "try app:spooler"),
        ("./app.py:spooler", "try app:spooler"),
        ("a b", "names no module"),
    ],
)
def test_an_application_that_is_none(run: Run, name: str, sentence: str) -> None:
    result = run("worker", name)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_spool_that_cannot_be_used(start_worker: Start, app: Path) -> None:
    (app / "spool").write_text("a file")
    code, output = start_worker("app").end()
    assert code == 3
    assert "cannot be used" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "option", ["--concurrency=0", "--harakiri=0", "--grace=soon", "--threads=x", "--job-processes=-1"]
)
def test_options_out_of_range(run: Run, option: str) -> None:
    assert run("worker", "app", option).exit_code == 2


def test_a_directory_that_is_not_there(run: Run, app: Path) -> None:
    result = run("worker", "app", "--chdir", "nowhere")
    assert (result.exit_code, result.stderr) == (
        2, f"aspool: chdir={app}/nowhere cannot be: No such file or directory\n"
    )  # fmt: skip


def test_an_application_in_another_directory(start_worker: Start, app: Path) -> None:
    """The directory where it was started is importable too."""
    (app / "elsewhere").mkdir()
    code, output = start_worker("app", "--chdir", "elsewhere", "--burst").end()
    assert code == 0
    assert f"works on {app}/elsewhere/spool" in output
