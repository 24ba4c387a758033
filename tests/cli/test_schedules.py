"""`aspool schedules` and `aspool signal`: what is listed, what a NAME means, and what the verbs change."""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result

from aspool import DirectorySpool, schedule_record
from aspool.cli import timetable
from aspool.cron import Cron
from aspool.protocol import Board
from aspool.schedule_record import End, Record
from aspool.schedules import FileMonitor, Schedule, ScheduleOptions, Signal, Target, Timer, Trigger, Unset
from aspool.spools.directory.limits.slots import file_name
from aspool.turn import Lives, Turn

from .conftest import Worker, on_terminal, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]
TIMED = """
from pathlib import Path
from aspool import Job, Spooler

spooler = Spooler("./spool", spools={"other": "./other"})

@spooler.cron("30 2 * * *", tz="Europe/Paris")
async def nightly() -> None:
    Path("nightly-ran").touch()

@spooler.timer(lazy=True)
async def tick(job: Job) -> None:
    Path("tick-ran").touch()

@spooler.signal("reload")
async def reload() -> None:
    Path("reloaded").touch()

@spooler.signal("reload", target="workers")
async def reload_all() -> None:
    Path("all-reloaded").touch()
"""
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def spool(app: Path) -> Path:
    """A spool that somebody has used."""
    (app / "timed.py").write_text(TIMED)
    anyio.run(DirectorySpool(app / "spool").records)
    return app / "spool"


def keep(spool: Path, record: Record, known: float | None = None) -> None:
    """Let a spool keep a record, which a worker knew at that moment."""
    name = record.schedule.name

    def decide(data: bytes | None, lives: Lives) -> Turn:
        return Turn(record=schedule_record.written(record))

    assert anyio.run(DirectorySpool(spool).turn, name, decide) is not None
    if known is not None:
        os.utime(spool / ".aspool/schedules" / file_name(name), (known, known))


def made(
    name: str,
    trigger: Trigger,
    *,
    arguments: str = "",
    runtime: bool = False,
    target: Target = "spooler",
    **fields: Any,
) -> Record:
    options = ScheduleOptions(lazy=isinstance(trigger, Unset), target=target)
    schedule = Schedule(name=name, task=name, trigger=trigger, options=options, runtime=runtime, arguments=arguments)
    since = time.time() - 60.0
    return Record(**{"schedule": schedule, "trigger": trigger, "since": since, "after": since, **fields})


def listed(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("schedules", "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return {item["name"]: item for item in json.loads(result.output)}


# --- the list ----------------------------------------------------------------------------------------------------


def test_a_line_for_each(run: Run, spool: Path) -> None:
    keep(spool, made("app.nightly", Cron("30 2 * * *", "Europe/Paris")))
    keep(spool, made("app.config", FileMonitor("/etc/hosts")))
    result = run("schedules")
    config, nightly = [line.split("\t") for line in result.stdout.splitlines()]
    assert config == ["app.config", "on", "when /etc/hosts changes", *["-"] * 6]
    assert nightly[:6] == ["app.nightly", "on", "At 02:30", "Europe/Paris", "-", "-"]
    assert [datetime.fromisoformat(moment).strftime("%H:%M") for moment in nightly[6:]] == ["02:30"] * 3
    assert result.stderr == f"no worker lives in {spool}: nothing fires\n"


def test_the_keys_of_json(run: Run, spool: Path) -> None:
    end = End("done", 100.0, 101.0, 0.25)
    keep(spool, made("app.tick", Timer(10, 3), fired=1, last=100.0, last_id="app.tick.x", end=end))
    found = listed(run)["app.tick"]
    expected = {"name", "task", "kind", "expression", "words", "tz", "seconds", "iterations", "iterations_left", "path",
                "signal", "target", "state", "runtime", "last", "last_id", "next", "end", "options"}  # fmt: skip
    assert expected <= set(found)
    assert (found["kind"], found["seconds"], found["iterations"], found["iterations_left"]) == ("timer", 10.0, 3, 2)
    assert found["words"] == "every 10 s, 3 times in all, 2 left"
    assert found["last"] == "1970-01-01T00:01:40+00:00"
    assert found["end"] == {"state": "done", "moment": "1970-01-01T00:01:40+00:00",
                            "ended": "1970-01-01T00:01:41+00:00", "took": 0.25, "reason": ""}  # fmt: skip
    assert len(found["next"]) == 2, "two are left"
    assert found["options"]["missed"] == "latest"
    keep(spool, made("app.nightly", Cron("30 2 * * *", "Europe/Paris")))
    nightly = listed(run)["app.nightly"]
    assert (nightly["expression"], nightly["tz"], nightly["seconds"]) == ("30 2 * * *", "Europe/Paris", None)
    assert {datetime.fromisoformat(moment).strftime("%H:%M") for moment in nightly["next"]} == {"02:30"}


def test_states(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(spool, made("paused", Timer(10), state="paused"))
    keep(spool, made("lazy", Unset("timer"), state="off"))
    keep(spool, made("stopped", Timer(10), state="off", last=100.0))
    keep(spool, made("ended", Timer(10, 3), fired=3))
    keep(spool, made("old", Timer(10)), known=time.time() - 3 * HOUR)
    states = {name: item["state"] for name, item in listed(run).items()}
    assert states == {"paused": "paused", "lazy": "not started", "stopped": "stopped", "ended": "ended", "old": "on"}
    assert [listed(run)[name]["next"] for name in ("paused", "lazy", "stopped", "ended")] == [[]] * 4
    workers_since(monkeypatch, 4 * HOUR)
    assert listed(run)["old"]["state"] == "unknown", "it got no sign of life, though there was time for one"
    assert "no worker knows it" in run("schedules", "show", "old").output
    assert listed(run)["old"]["next"] == []
    keep(spool, replace(made("late", Timer(10)), since=time.time() - 300, after=time.time() - 190))
    assert "on, 3 min late" in run("schedules", "show", "late").output


def workers_since(monkeypatch: pytest.MonkeyPatch, *ages: float) -> None:
    """Let workers live that began so many seconds ago."""
    found = [Board(1, "here", time.time() - age, 1, ()) for age in ages]
    monkeypatch.setattr(DirectorySpool, "boards", lambda _: found)


@pytest.mark.parametrize(
    ("known", "workers", "state"),
    [
        (60, [], "on"),
        (60, [30], "unknown"),
        (60, [30, 40], "unknown"),
        (60, [30, 90], "on"),  # one of them gave the sign
        (60, [58], "on"),  # clocks may differ
        (60, [0.1], "on"),  # it is about to give one
        (3 * HOUR, [30, 4 * HOUR], "unknown"),  # the old one gives one every hour
        (3 * HOUR, [30, 1.5 * HOUR], "unknown"),
    ],
)
def test_what_no_worker_knows(
    run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch, known: float, workers: list[float], state: str
) -> None:
    keep(spool, made("app.tick", Timer(HOUR)), known=time.time() - known)
    workers_since(monkeypatch, *workers)
    assert listed(run)["app.tick"]["state"] == state
    told = [line for line in run("doctor").output.splitlines() if "\tschedules\t" in line]
    idle = "warn\tschedules\tno worker knows 1 of them, which do not fire: app.tick\t"
    assert len(told) == 1
    assert told[0].startswith(idle if state == "unknown" else "ok\tschedules\t1\t"), told


def test_the_doctor_tells_of_what_is_late(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        keep(spool, made(f"app.late{number}", Timer(10), since=time.time() - 300, after=time.time() - 190))
    keep(spool, made("app.tick", Timer(HOUR)))
    assert "ok\tschedules\t8\t" in run("doctor").output, "without a worker nothing fires anyway"
    workers_since(monkeypatch, 400)
    told = run("doctor").output
    assert "7 should have fired up to 3 min ago: app.late0, app.late1, app.late2, app.late3, app.late4 …\tsee" in told


def test_how_the_last_one_ended(run: Run, spool: Path) -> None:
    def keep_last(name: str, end: End | None, target: Target = "spooler", last_id: str = "gone") -> None:
        keep(spool, made(name, Timer(10), target=target, last=100.0, last_id=last_id, end=end))

    run("send", "app", "send_mail", "to=a", "--id", "lives")
    keep_last("done", End("done", 100.0, 101.0, 0.3))
    keep_last("dead", End("dead", 100.0, 101.0, 0.3, "ValueError: boo\x1b[31m"))
    keep_last("retrying", End("retrying", 100.0, 101.0, 0.3, "not yet"))
    keep_last("before", End("dead", 90.0, 101.0, 0.3, "not this one"), last_id="lives")
    keep_last("lost", None)
    keep_last("everywhere", None, "workers")
    keep(spool, made("never", Timer(10)))
    told = {line.split("\t")[0]: line.split("\t")[5] for line in run("schedules").stdout.splitlines()}
    assert told == {
        "done": "done in 0.3 s",
        "dead": "dead: ValueError: boo\\x1b[31m",
        "retrying": "retrying: not yet",
        "before": "waiting",
        "lost": "-",
        "everywhere": "-",
        "never": "-",
    }
    shown = run("schedules", "show", "before").stdout
    assert "ended\twaiting\n" in shown
    assert "error\tnot this one\n" in shown


def test_what_is_forged_is_escaped_or_left_out(run: Run, spool: Path) -> None:
    evil = made("evil\x1b[31m\n", FileMonitor("/a\x1b[2J\nb"), last=100.0, end=End("x\x07", 1e9, 1.0, 1e9, "\x1b]"))
    keep(spool, evil)
    keep(spool, made("path", Timer(10), last=100.0, last_id="../../etc/passwd"))
    keep(spool, replace(evil, schedule=replace(evil.schedule, name="bad", message={"\x1b": "\x1b"}), last=1e9))
    area = spool / ".aspool/schedules"
    (area / file_name("broken")).write_text('"broken"\n{"schedule": 7}')
    (area / "stranger").write_text("what is this")
    for arguments in ((), ("--json",), ("show", "bad"), ("show", "bad", "--json")):
        result = run("schedules", *arguments)
        assert result.exit_code == 0, arguments
        assert "\x1b" not in result.output
        assert "\x07" not in result.output
    assert "2 records cannot be read; `aspool doctor` says which" in run("schedules").stderr
    assert "broken" not in listed(run)
    doctor = run("doctor").output
    assert "warn\tschedules\t3 in .aspool/schedules cannot be read, and do not fire: broken-" in doctor
    assert ", stranger\tremove the files" in doctor
    assert run("schedules", "pause", "broken").exit_code == 1


def test_the_doctor_finds_nothing_odd(run: Run, spool: Path) -> None:
    assert "ok\tschedules\tnone\t-" in run("doctor").output
    keep(spool, made("app.tick", Timer(10)))
    assert "ok\tschedules\t1\t-" in run("doctor").output


def test_on_a_terminal(run: Run, spool: Path) -> None:
    now = time.time()
    keep(
        spool,
        made("app.tick", Timer(HOUR), since=now, after=now, last=100.0, end=End("dead", 100.0, 101.0, 1.0, "boo")),
    )
    keep(spool, made("app.nightly", Cron("30 2 * * *", "Europe/Paris"), state="paused"))
    keep(spool, made("app.tokyo", Cron("30 2 * * *", "Asia/Tokyo")))
    run("pause", "app.tick")
    wide = on_terminal("schedules", columns=140)
    assert all(title in wide for title in ("name", "fires", "zone", "last", "ended", "next", "state"))
    assert "dead: boo" in wide
    assert "Europe/Paris" in wide
    assert "paused: app.tick" in wide
    narrow = on_terminal("schedules", columns=80)
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in narrow.splitlines()]
    assert all(len(row) <= 80 for row in rows if "/" not in row), "the title is a path"
    assert "ended" not in narrow
    assert "every hour" in narrow
    assert "in 60 min" in narrow
    assert "At 02:30 (Tokyo)" in narrow
    shown = on_terminal("schedules", "show", "tick")
    assert "missed=latest" in shown
    assert shown.count("(in ") == 10


def test_a_long_name_on_a_terminal(run: Run, spool: Path) -> None:
    name = f"app.{'long' * 20}.tick"
    keep(spool, made(name, Timer(0.1)))
    rows = on_terminal("schedules", columns=80).splitlines()
    (row,) = [row for row in rows if "tick" in row]
    shown = row.split()[0]
    assert len(shown) == 32
    assert shown.startswith("app.longlong")
    assert shown.endswith("long.tick")
    assert "every 0.1 s" in row
    assert run("schedules", "pause", shown).stdout == f"{name} is paused in {spool}\n"
    assert name in on_terminal("schedules", columns=240)
    run("schedules", "resume", name)
    assert on_terminal("schedules", columns=140).count("in 0.") == 1, "not the next three"


def test_an_empty_spool_and_none(run: Run, spool: Path, app: Path) -> None:
    assert (run("schedules").exit_code, run("schedules").output) == (0, "")
    assert json.loads(run("schedules", "--json").output) == []
    assert f"no schedules in {spool}" in on_terminal("schedules")
    missing = run("schedules", "-d", "nowhere")
    assert missing.exit_code == 3
    for verb in ("show", "run", "pause", "resume", "stop", "start", "remove"):
        assert run("schedules", verb, "x", "-d", "nowhere").exit_code == 3
    assert run("signal", "x", "-d", "nowhere").exit_code == 3
    assert not (app / "nowhere").exists()
    assert run("schedules", "-d", "memory:").exit_code == 2


def test_a_spool_that_keeps_no_schedules(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        address = "plain:"

    monkeypatch.setattr(timetable, "there", lambda *_: [Plain()])
    result = run("schedules")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("aspool: plain: keeps no schedules: ")


# --- names -------------------------------------------------------------------------------------------------------


def test_names(run: Run, spool: Path) -> None:
    for name in ("app.nightly", "app.remind.6e57a7b4", "shop.stock", "shop.stocks"):
        keep(spool, made(name, Timer(10)))
    for text, name in (("nightly", "app.nightly"), ("htly", "app.nightly"), ("remind", "app.remind.6e57a7b4"),
                       ("6e57a7b4", "app.remind.6e57a7b4"), ("shop.stock", "shop.stock"), ("stock", "shop.stock"),
                       ("stocks", "shop.stocks"), ("app.n", "app.nightly")):  # fmt: skip
        assert f"name\t{name}\n" in run("schedules", "show", text).stdout, text
    several = run("schedules", "show", "shop")
    assert several.exit_code == 2
    assert "shop.stock  in" in several.stderr
    assert "shop may be any of 2 schedules (they are above): write more of the name" in several.stderr
    unknown = run("schedules", "show", "nigtly")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == "aspool: no schedule here is called nigtly; did you mean app.nightly?\n"
    assert "`aspool schedules` lists what there is" in run("schedules", "show", "zzz").stderr


def test_a_name_where_a_verb_stands(run: Run, spool: Path) -> None:
    result = run("schedules", "nightly")
    assert result.exit_code == 2
    assert "nightly is no verb of `aspool schedules`: they are show, run, pause, resume, stop, start" in result.stderr
    assert run("schedules", "--wrong").exit_code == 2
    assert run("schedules", "show").exit_code == 2


def test_completion(run: Run, spool: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    keep(spool, made("app.nightly", Cron("30 2 * * *")))
    keep(spool, made("app.evil\x1b", Timer(10)))
    context = click.Context(click.Command("show"))
    (found,) = timetable.complete_name(context, click.Argument(["name"]), "app")
    assert (found.value, found.help) == ("app.nightly", "At 02:30")
    monkeypatch.setenv("ASPOOL_SPOOL", str(app / "nowhere"))
    assert timetable.complete_name(context, click.Argument(["name"]), "") == []


def test_the_same_name_in_two_spools(run: Run, spool: Path, app: Path) -> None:
    keep(spool, made("app.tick", Timer(10)))
    keep(app / "other", made("app.tick", Timer(20)))
    assert "name the spool with -d" in run("schedules", "pause", "app.tick", "--app", "timed").stderr
    assert run("schedules", "--app", "timed", "pause", "app.tick", "-d", "other").exit_code == 0
    assert listed(run, "-d", "other")["app.tick"]["state"] == "paused"
    assert listed(run)["app.tick"]["state"] == "on"


# --- changing ----------------------------------------------------------------------------------------------------


def test_pausing(run: Run, spool: Path) -> None:
    keep(spool, made("app.tick", Timer(HOUR)))
    result = run("schedules", "pause", "tick")
    assert (result.exit_code, result.stdout) == (0, f"app.tick is paused in {spool}\n")
    assert listed(run)["app.tick"]["state"] == "paused"
    assert run("schedules", "pause", "tick").stdout == f"app.tick was paused already in {spool}\n"
    assert run("schedules", "resume", "tick").stdout.startswith(f"app.tick goes on in {spool}: every hour; next in ")
    assert run("schedules", "resume", "tick").stdout.startswith(f"app.tick was not paused in {spool}: every hour")
    assert listed(run)["app.tick"]["state"] == "on"


def test_stopping_and_starting(run: Run, spool: Path) -> None:
    keep(spool, made("app.tick", Timer(HOUR)))
    assert run("schedules", "stop", "tick").stdout == f"app.tick is stopped in {spool}\n"
    assert run("schedules", "stop", "tick").stdout == f"app.tick was stopped already in {spool}\n"
    assert "does not fire anyway: it is stopped" in run("schedules", "pause", "tick").stdout
    resumed = run("schedules", "resume", "tick")
    assert (resumed.exit_code, resumed.stdout) == (1, "")
    assert "app.tick is not paused, but stopped: `aspool schedules start`" in resumed.stderr
    started = run("schedules", "-d", str(spool), "start", "tick", "--seconds", "2h", "--iterations", "2")
    assert started.stdout == f"app.tick is started in {spool}: every 2 h, 2 times in all, 2 left; next in 120 min\n"
    assert "in code\tevery hour\n" in run("schedules", "show", "tick").stdout
    assert "every hour; next in 60 min" in run("schedules", "start", "tick").stdout, "as the code says"


def test_starting_with_what_does_not_fit(run: Run, spool: Path) -> None:
    keep(spool, made("app.tick", Unset("timer"), state="off"))
    keep(spool, made("app.nightly", Cron("30 2 * * *")))
    keep(spool, made("app.config", FileMonitor("/etc/hosts")))
    keep(spool, made("app.reload", Signal("reload")))
    for arguments, told in (
        (("tick",), "app.tick is a lazy timer, and its code does not say when: give --seconds"),
        (("tick", "--seconds", "0"), "a timer's seconds must be a number from 0.001"),
        (("tick", "--seconds", "x"), "'x' is no duration"),
        (("tick", "--iterations", "0"), "0 is not in the range"),
        (("tick", "--tz", "UTC"), "app.tick is a timer, and has no --tz: its options are --seconds and --iterations"),
        (("tick", "--iterations", "2"), "its code does not say when: give --seconds"),
        (("nightly", "--seconds", "3", "--path", "/"), "app.nightly is a cron, and has no --seconds and --path: its"),
        (("reload", "--seconds", "3"), "app.reload is a signal, and has no --seconds: `start` has no options for it"),
        (("nightly", "--expression", "61 * * * *"), "the minute is '61'"),
        (("nightly", "--tz", "Europe/Pari"), "there is no zone 'Europe/Pari'; there is 'Europe/Paris'"),
    ):
        result = run("schedules", "start", *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert told in result.stderr
    started = run("schedules", "start", "nightly", "--expression", "0 4 * * *", "--tz", "Asia/Tokyo")
    assert f"app.nightly is started in {spool}: At 04:00; next in " in started.stdout
    assert "when /etc changes" in run("schedules", "start", "config", "--path", "/etc").stdout


def test_running_now(run: Run, spool: Path) -> None:
    keep(spool, made("app.tick", Timer(HOUR), state="paused"))
    result = run("schedules", "run", "tick")
    (message,) = json.loads(run("ls", "--json").output)
    assert result.stdout == f"app.tick runs now, as {message['id']}\n"
    assert result.stderr == f"no worker lives in {spool}: it waits for one\n"
    keep(spool, made("app.all", Timer(HOUR), target="workers"))
    nobody = run("schedules", "run", "all")
    told = f"aspool: app.all runs in all workers, and no worker lives in {spool}\n"
    assert (nobody.exit_code, nobody.stderr) == (1, told)


def test_removing(run: Run, spool: Path) -> None:
    keep(spool, made("app.tick", Timer(HOUR)))
    keep(spool, made("app.remind.1", Cron("0 9 * * *"), runtime=True, arguments='{"user":7}'))
    refused = run("schedules", "remove", "remind")
    assert (refused.exit_code, "did you mean app.remind.1?" in refused.stderr) == (1, True)
    assert json.loads(run("schedules", "show", "remind", "--json").output)["arguments"] == {"user": 7}
    removed = run("schedules", "remove", "app.remind.1")
    assert removed.stdout == f'app.remind.1 is removed from {spool} (app.remind.1: At 09:00, with {{"user":7}})\n'
    assert removed.stderr == ""
    assert "it comes from the code of an application" in run("schedules", "remove", "tick").stderr
    assert listed(run) == {}


def test_what_only_the_code_knows(run: Run, spool: Path) -> None:
    assert listed(run) == {}
    known = listed(run, "--app", "timed")
    assert {name: item["state"] for name, item in known.items()} == dict.fromkeys(
        ("timed.nightly", "timed.reload", "timed.reload_all", "timed.tick"), "new"
    )
    assert "no worker yet" in on_terminal("schedules", "--app", "timed")
    assert run("schedules", "pause", "nightly", "--app", "timed").exit_code == 0
    assert {name: item["state"] for name, item in listed(run).items()} == {"timed.nightly": "paused"}


def test_the_code_of_a_spool_that_nobody_has_made(run: Run, app: Path) -> None:
    (app / "timed.py").write_text(TIMED)
    result = run("schedules", "--app", "timed")
    assert [line.split("\t")[:2] for line in result.stdout.splitlines()] == [
        [f"timed.{name}", "new"] for name in ("nightly", "reload", "reload_all", "tick")
    ]
    assert result.stderr == f"there is no spool at {app}/spool yet: a worker makes it\n"
    assert "At 02:30" in run("schedules", "show", "nightly", "--app", "timed").output
    removed = run("schedules", "remove", "nightly", "--app", "timed")
    assert (removed.exit_code, "is in the code only" in removed.stderr) == (1, True)
    assert run("signal", "other", "--app", "timed").exit_code == 1
    assert run("schedules", "--app", "app").exit_code == 3, "it has no schedules"
    assert not (app / "spool").exists()
    (app / "spool").write_text("no directory")
    assert run("schedules", "--app", "timed").exit_code == 3
    (app / "spool").unlink()
    assert run("signal", "reload", "--app", "timed").exit_code == 0, "what is spooled makes it"
    assert [item["task"] for item in json.loads(run("ls", "--json").output)] == ["timed.reload"]


# --- signals, and real workers -----------------------------------------------------------------------------------


def test_a_signal_that_nobody_hears(run: Run, spool: Path) -> None:
    nobody = run("signal", "reload")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "nobody has a handler of the signal 'reload'" in nobody.stderr
    assert run("signal", "a/b").exit_code == 2
    keep(spool, made("app.reload", Signal("reload"), state="paused"))
    paused = run("signal", "reload")
    assert (paused.exit_code, paused.stdout) == (1, "")
    assert paused.stderr == "app.reload is paused: it does not run\naspool: nobody hears the signal reload\n"
    keep(spool, made("app.reload", Signal("reload"), target="workers"))
    alone = run("signal", "reload")
    assert (alone.exit_code, alone.stdout) == (1, "")
    lonely = f"no worker lives in {spool}: nobody runs app.reload\n"
    assert alone.stderr == f"{lonely}aspool: nobody hears the signal reload\n"
    assert json.loads(run("ls", "--json").output) == []


def test_a_signal_that_some_hear(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers_since(monkeypatch, 30)
    long_ago = time.time() - 60
    keep(spool, made("a.hears", Signal("reload")))
    keep(spool, made("b.stopped", Signal("reload"), state="off", last=100.0))
    keep(spool, made("c.gone", Signal("reload"), target="workers"), known=long_ago)
    keep(spool, made("d.waits", Signal("reload")), known=long_ago)
    keep(spool, made("e.other", Signal("other"), state="off"))
    raised = run("signal", "reload")
    assert (raised.exit_code, raised.stdout) == (0, "the signal reload is raised: 2 handlers were told\n")
    assert raised.stderr.splitlines() == [
        "b.stopped is stopped: it does not run",
        f"no worker that knows it lives in {spool}: nobody runs c.gone",
        f"no worker that knows it lives in {spool}: d.waits waits for one",
    ]
    assert {item["task"] for item in json.loads(run("ls", "--json").output)} == {"a.hears", "d.waits"}


def test_a_signal_before_any_worker(run: Run, spool: Path) -> None:
    raised = run("signal", "reload", "--app", "timed")
    assert raised.stdout == "the signal reload is raised: 1 handler was told\n"
    nobody = f"no worker lives in {spool}"
    assert raised.stderr == f"{nobody}: timed.reload waits for one\n{nobody}: nobody runs timed.reload_all\n"
    assert [item["task"] for item in json.loads(run("ls", "--json").output)] == ["timed.reload"]


def test_with_a_worker(run: Run, start_worker: Start, spool: Path, app: Path) -> None:
    start_worker("timed")
    wait_for(lambda: len(listed(run)) == 4)
    assert run("schedules").stderr == ""
    assert run("signal", "reload").stderr == ""
    wait_for(lambda: (app / "reloaded").exists() and (app / "all-reloaded").exists())
    ran = run("schedules", "run", "nightly")
    assert (ran.exit_code, ran.stderr) == (0, "")
    wait_for((app / "nightly-ran").exists)
    wait_for(lambda: (listed(run)["timed.nightly"]["end"] or {}).get("state") == "done")
    run("schedules", "start", "tick", "--seconds", "0.1", "--iterations", "2")
    wait_for(lambda: listed(run)["timed.tick"]["state"] == "ended")
    assert (app / "tick-ran").exists()
    assert run("schedules", "run", "reload_all").stdout == f"all workers of {spool} run timed.reload_all now\n"
