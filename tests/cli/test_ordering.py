"""`aspool cancel` and `aspool reschedule`: what waits, what runs, and what is over."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from .conftest import Worker, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]


def listed(run: Run) -> dict[str, Any]:
    return {item["id"]: item for item in json.loads(run("ls", "--json").output)}


def test_cancelling_what_waits(run: Run) -> None:
    run("send", "app", "send_mail", "to=a", "--id", "waits-1")
    run("send", "app", "send_mail", "to=a", "--id", "waits-2", "--in", "1h")
    run("send", "app", "send_mail", "to=a", "--id", "stays")
    result = run("cancel", "s-1", "waits-2")
    assert (result.exit_code, result.stdout) == (0, "waits-1 is cancelled\nwaits-2 is cancelled\n")
    assert set(listed(run)) == {"stays"}


def test_cancelling_a_running_job(run: Run, start_worker: Start, app: Path) -> None:
    run("send", "app", "slow", "--id", "long")
    start_worker("app")
    wait_for((app / "slow-started").exists)
    result = run("cancel", "long")
    assert (result.exit_code, result.stdout) == (0, "long is being stopped\n")
    wait_for(lambda: listed(run) == {})
    assert not (app / "slow-ended").exists()
    assert run("cancel", "long").exit_code == 1


def test_what_cannot_be_cancelled(run: Run, start_worker: Start) -> None:
    run("send", "app", "boom", "--id", "dies")
    run("send", "app", "count", "--id", "ends")
    assert start_worker("app", "--burst").end()[0] == 0
    run("send", "app", "send_mail", "to=a", "--id", "waits")
    result = run("cancel", "dies", "ends", "waits")
    assert (result.exit_code, result.stdout) == (1, "waits is cancelled\n")
    assert "dies  it is dead: `aspool retry`" in result.stderr
    assert "ends  it has ended" in result.stderr
    assert run("cancel").exit_code == 2
    assert run("cancel", "nothing").exit_code == 1
    assert run("cancel", "x", "-d", "nowhere").exit_code == 3


def test_rescheduling(run: Run) -> None:
    run("send", "app", "send_mail", "to=a", "--id", "mail")
    result = run("reschedule", "mail", "--in", "1h", "--priority", "3")
    assert (result.exit_code, result.stdout) == (0, "mail is rescheduled\n")
    item = listed(run)["mail"]
    assert (item["state"], item["priority"]) == ("scheduled", 3)
    assert datetime.fromisoformat(item["due"]).timestamp() == pytest.approx(time.time() + 3600, abs=30)
    run("reschedule", "mail", "--at", "2031-05-01T08:00+02:00")
    item = listed(run)["mail"]
    assert (item["due"], item["priority"]) == ("2031-05-01T06:00:00+00:00", 3)
    run("reschedule", "mail", "--in", "0")
    assert listed(run)["mail"]["state"] == "waiting"


def test_what_cannot_be_rescheduled(run: Run, start_worker: Start, app: Path) -> None:
    run("send", "app", "slow", "--id", "long")
    start_worker("app")
    wait_for((app / "slow-started").exists)
    result = run("reschedule", "long", "--in", "1h")
    assert result.exit_code == 1
    assert "long  it runs, or has ended" in result.stderr
    assert run("reschedule", "long").exit_code == 2
    assert run("reschedule", "--in", "1h").exit_code == 2
    assert run("reschedule", "long", "--in", "1h", "--at", "2031-05-01T08:00+02:00").exit_code == 2
    assert run("reschedule", "long", "--priority", "-1").exit_code == 2


def test_the_spools_of_an_application(run: Run) -> None:
    run("send", "app", "send_mail", "to=a", "--id", "same")
    run("send", "app", "send_mail", "to=a", "--id", "same", "--spool", "mail")
    several = run("cancel", "same", "--app", "app")
    assert several.exit_code == 2
    assert "2 messages have the id same" in several.stderr
    assert run("cancel", "same", "--app", "app", "-d", "mail").exit_code == 0
    assert set(listed(run)) == {"same"}
