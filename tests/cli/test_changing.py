"""`aspool retry`, `rm` and `purge`: what they change, and that they ask."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from .conftest import Worker, on_terminal

Run = Callable[..., Result]


@pytest.fixture
def dead(run: Run, start_worker: Callable[..., Worker], app: Path) -> Path:
    """Two dead messages; the directory that they lie in."""
    run("send", "app", "boom", "--id", "boom-1")
    run("send", "app", "boom", "--id", "boom-2", "--priority", "4")
    assert start_worker("app", "--burst").end()[0] == 0
    return app / "spool/.aspool/dead"


def states(run: Run) -> dict[str, str]:
    return {item["id"]: item["state"] for item in json.loads(run("ls", "--json").output)}


@pytest.mark.usefixtures("dead")
def test_retry_one(run: Run) -> None:
    result = run("retry", "m-1")
    assert (result.exit_code, result.stdout) == (0, "boom-1 is due now\n")
    assert states(run) == {"boom-1": "waiting", "boom-2": "dead"}


@pytest.mark.usefixtures("dead")
def test_retry_all_asks(run: Run) -> None:
    assert run("retry", "--all").exit_code == 2
    assert set(states(run).values()) == {"dead"}
    assert run("retry", "--all", "--yes").exit_code == 0
    assert set(states(run).values()) == {"waiting"}


def test_retry_brings_a_scheduled_message_forward(run: Run) -> None:
    run("send", "app", "send_mail", "to=a", "--in", "1d", "--id", "later")
    assert run("retry", "later").exit_code == 0
    assert states(run) == {"later": "waiting"}


def test_messages_of_all_spools_of_an_application(run: Run, start_worker: Callable[..., Worker], app: Path) -> None:
    for spool in ("default", "mail"):
        run("send", "app", "boom", "--id", f"in-{spool}", "--spool", spool)
    assert start_worker("app", "--burst").end()[0] == 0
    assert run("show", "in-mail").exit_code == 1
    assert json.loads(run("show", "in-mail", "--app", "app", "--json").output)["spool"] == str(app / "mail")
    assert run("retry", "in-", "--app", "app").exit_code == 2, "two fit"
    assert run("retry", "in-mail", "--app", "app").stdout == "in-mail is due now\n"
    assert run("retry", "--all", "--app", "app", "--yes").stdout == "in-default is due now\n"
    assert run("rm", "in-mail", "--app", "app", "-d", "default", "--yes").exit_code == 1
    assert run("rm", "in-mail", "in-default", "--app", "app", "--yes").exit_code == 0
    assert json.loads(run("ls", "app", "--json").output) == []


@pytest.mark.usefixtures("dead")
def test_retry_needs_ids_or_all(run: Run) -> None:
    assert run("retry").exit_code == 2
    assert run("retry", "boom-1", "--all").exit_code == 2


@pytest.mark.usefixtures("dead")
def test_rm_asks_and_touches_nothing_if_one_id_is_wrong(run: Run) -> None:
    assert run("rm", "boom-1").exit_code == 2
    assert run("rm", "boom-1", "nothing", "--yes").exit_code == 1
    assert len(states(run)) == 2
    assert run("rm", "boom-1", "boom-1", "--yes").stdout == "boom-1 is removed\n"
    assert set(states(run)) == {"boom-2"}


@pytest.mark.usefixtures("dead")
def test_a_terminal_is_asked(run: Run) -> None:
    assert "Remove 2 dead messages from" in on_terminal("purge", typed=b"n\n")
    assert len(states(run)) == 2
    assert "removed 2 messages" in on_terminal("purge", typed=b"y\n")
    assert states(run) == {}


def test_purge(run: Run, dead: Path) -> None:
    run("send", "app", "send_mail", "to=a", "--id", "waits")
    assert run("purge").exit_code == 2
    assert run("purge", "--older-than", "1h", "--yes").exit_code == 0
    assert len(states(run)) == 3
    record = next(dead.glob("*boom-1*.json"))
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, "buried": "2020-01-01T00:00:00+00:00"}))
    assert "removed 1 message" in run("purge", "--older-than", "1h", "--yes").stderr
    assert set(states(run)) == {"boom-2", "waits"}
    run("purge", "app", "--yes")
    assert states(run) == {"waits": "waiting"}
    assert os.listdir(dead) == []


def test_corrupt_messages_are_shown_and_not_retried(run: Run, start_worker: Callable[..., Worker], app: Path) -> None:
    run("send", "app", "send_mail", "to=a")
    broken = app / "spool/uwsgi_spoolfile_on_host_1_2_3_1500000000_5"
    broken.write_bytes(b"no packet")
    os.utime(broken, (time.time() - 3600, time.time() - 3600))
    assert start_worker("app", "--burst").end()[0] == 0
    (item,) = json.loads(run("ls", "--json").output)
    assert item["state"] == "corrupt"
    assert item["reason"]
    result = run("retry", item["id"])
    assert result.exit_code == 1
    assert "it is broken, so it cannot run" in result.stderr
