"""`aspool pause` and `aspool resume`, and the verbs that say what is paused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from .conftest import Worker, on_terminal, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]


@pytest.fixture(autouse=True)
def spool(run: Run, app: Path) -> Path:
    run("send", "app", "send_mail", "to=a")
    return app / "spool"


def test_a_paused_task_waits_and_others_run(run: Run, start_worker: Start, app: Path, spool: Path) -> None:
    result = run("pause", "send_mail", "--app", "app")
    assert (result.exit_code, result.stdout) == (0, f"app.send_mail is paused in {spool}\n")
    start_worker("app")
    run("send", "app", "count", "--wait")
    assert not (app / "sent-a").exists()
    resumed = run("resume", "app.send_mail")
    assert resumed.stdout == f"app.send_mail goes on in {spool}\n"
    wait_for((app / "sent-a").exists)


def test_a_paused_spool_waits(run: Run, start_worker: Start, app: Path, spool: Path) -> None:
    assert run("pause").stdout == f"everything is paused in {spool}\n"
    assert start_worker("app", "--burst").end()[0] == 0
    assert not (app / "sent-a").exists()
    assert run("resume").stdout == f"everything goes on in {spool}\n"
    assert run("resume").stdout == f"nothing was paused in {spool}\n"
    assert start_worker("app", "--burst").end()[0] == 0
    assert (app / "sent-a").exists()


def test_what_stays_paused_is_said(run: Run, spool: Path) -> None:
    run("pause", "app.send_mail")
    run("pause")
    assert run("resume", "app.other").stdout == f"app.other was not paused in {spool}\n"
    run("pause", "app.boom")
    assert run("resume", "app.boom").stdout == f"app.boom is no longer paused by itself, but all of {spool} is\n"
    resumed = run("resume")
    assert resumed.stdout == f"everything but app.send_mail goes on in {spool}\n"
    assert resumed.stderr == "paused: app.send_mail\n"
    for number in range(3):
        run("pause", f"app.task{number}")
    run("pause")
    assert run("resume").stdout == f"everything but 4 tasks goes on in {spool}\n"
    run("pause")
    resumed = run("resume", "--all")
    assert (resumed.stdout, resumed.stderr) == (f"everything goes on in {spool}\n", "")
    assert run("resume", "--all").stdout == f"nothing was paused in {spool}\n"
    assert run("resume", "--all", "app.send_mail").exit_code == 2


def test_a_name_that_nothing_here_has_is_doubted(
    run: Run, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted = run("pause", "shop.web")
    assert doubted.exit_code == 0
    assert doubted.stderr.startswith("no message here is of a task called shop.web (yet): ")
    assert doubted.stderr.endswith("; --app checks the name\n")
    assert run("pause", "shop.web").stderr == "", "it is in the list now"
    assert run("pause", "app.send_mail").stderr == "", "a message names it"
    run("send", "app", "slow", "--id", "runs")
    start_worker("app")
    wait_for(lambda: "runs\tapp.slow" in run("stats").output)
    monkeypatch.setattr("aspool.cli.pausing.LOOKED_AT", 1)
    assert run("pause", "app.slow").stderr == "", "a job runs"
    assert "none of the first 1 messages here is of a task called app.boom (yet)" in run("pause", "app.boom").stderr


def test_who_looks_is_told(run: Run, spool: Path) -> None:
    assert "paused" not in run("ls").stderr
    run("pause", "app.send_mail")
    run("pause", "app.evil\x1b[31m")
    told = "app.evil\\x1b[31m, app.send_mail"
    assert run("ls").stderr == f"paused: {told}\n"
    assert "paused\tapp.send_mail\n" in run("stats").output
    assert "paused\tapp.send_mail\n" in run("top", "--interval", "0.1").output
    (stats,) = json.loads(run("stats", "--json").output)
    assert stats["paused"] == {"spool": False, "tasks": ["app.evil\x1b[31m", "app.send_mail"]}
    assert f"warn\tpaused\t{told}\taspool resume TASK, unless that is meant" in run("doctor").output
    assert f"paused: {told}" in on_terminal("stats")
    nothing = run("resume")
    assert (nothing.stdout, nothing.stderr) == (f"{spool} was not paused as a whole\n", f"paused: {told}\n")
    run("pause")
    assert "warn\tpaused\tthe whole spool, " in run("doctor").output


def test_a_name_is_checked_if_it_can_be(run: Run) -> None:
    assert "app has no task mail" in run("pause", "mail", "--app", "app").stderr
    assert "--app checks the name" in run("pause", "mail").stderr
    assert "several tasks of app end with twice" in run("pause", "twice", "--app", "app").stderr


def test_no_spool_is_made_by_it(run: Run, app: Path) -> None:
    assert run("pause", "-d", "nowhere").exit_code == 3
    assert run("resume", "-d", "nowhere").exit_code == 3
    assert not (app / "nowhere").exists()
    assert run("pause", "--app", "app").stdout.count("is paused") == 1, "only one of its two spools is there"
    assert run("pause", "-d", "memory:").exit_code == 2
