"""Schedules as values: what can be, what cannot and why, when a timer fires, what `start` may change."""

import math
import os
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aspool.cron import Cron
from aspool.errors import ScheduleRefused
from aspool.schedules import (
    LONGEST,
    SHORTEST,
    FileMonitor,
    Schedule,
    ScheduleOptions,
    Signal,
    Timer,
    Trigger,
    Unset,
    When,
    absolute,
    changed,
)

NOW = 1_790_000_000.123456


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"x"


DAY = 86_400

# --- timers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "exact"), [(1.0, Fraction(1)), (1 / 3, Fraction(1, 3)), (0.1, Fraction(1, 10))])
def test_a_virtual_day_without_drift(seconds: float, exact: Fraction) -> None:
    timer, moment, count = Timer(seconds), NOW, min(round(DAY / seconds), 300_000)
    for number in range(1, count + 1):
        found = timer.next_after(moment, NOW)
        assert found is not None
        moment = found
        assert abs(moment - (NOW + number * seconds)) <= 1e-6
    assert abs(Fraction(moment) - Fraction(NOW) - exact * count) < Fraction(1, 500_000)


@given(
    seconds=st.floats(SHORTEST, LONGEST),
    since=st.floats(0, 4e9),
    ahead=st.floats(0, 1e9),
)
@example(seconds=SHORTEST, since=NOW, ahead=1e9)
@example(seconds=1 / 3, since=0.0, ahead=4e9)
@example(seconds=LONGEST, since=4e9, ahead=0.0)
def test_the_next_moment_is_the_first_after(seconds: float, since: float, ahead: float) -> None:
    timer, moment = Timer(seconds), since + ahead
    found = timer.next_after(moment, since)
    assert found is not None
    assert found > moment
    assert found - moment <= seconds + 1e-5, "none is left out"
    assert found == timer.next_after(math.nextafter(found, 0), since), "wherever one begins to look"


def test_a_timer_first_fires_after_its_seconds() -> None:
    assert Timer(10).next_after(0, NOW) == round(NOW + 10, 6)
    assert Timer(10).next_after(NOW - 1000, NOW) == round(NOW + 10, 6)
    assert Timer(10).next_after(NOW, NOW) == round(NOW + 10, 6)


@pytest.mark.parametrize(
    "seconds", [0, -1, 0.0009, LONGEST + 1, math.nan, math.inf, True, "10", None, 10j, [10]], ids=repr
)
def test_seconds_that_cannot_be(seconds: Any) -> None:
    with pytest.raises(ScheduleRefused, match=r"seconds must be a number from 0.001 to \d+, not "):
        Timer(seconds).check()


@pytest.mark.parametrize("iterations", [0, -1, 1.5, True, "2"], ids=repr)
def test_iterations_that_cannot_be(iterations: Any) -> None:
    with pytest.raises(ScheduleRefused, match="iterations must be a whole number from 1, not "):
        Timer(10, iterations).check()
    Timer(10, None).check()
    Timer(0.001, 1).check()


# --- the others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_paths_that_cannot_be(path: str) -> None:
    with pytest.raises(ScheduleRefused, match="is no path that could be watched"):
        FileMonitor(path).check()


def test_paths_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute("a/../b") == str(tmp_path / "b")
    assert absolute(Path("c")) == str(tmp_path / "c")
    assert absolute("~/d") == "/home/ada/d"
    assert os.path.isabs(absolute("."))
    assert absolute("") == "", "and not the working directory"


@pytest.mark.parametrize("path", [5, b"x", None, BytesPath()], ids=lambda path: type(path).__name__)
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(ScheduleRefused, match="a file monitor watches a path, a str or a Path, not "):
        absolute(path)
    with pytest.raises(ScheduleRefused, match="a file monitor watches a path"):
        changed(FileMonitor("/a"), {"path": path}, "UTC")


@pytest.mark.parametrize("name", ["", "x" * 101, "a/b", "a\nb", "\x7f", 7, None], ids=repr)
def test_names_of_signals_that_cannot_be(name: Any) -> None:
    with pytest.raises(ScheduleRefused, match=r"the signal .* cannot be: its name is 1 to 100 characters"):
        Signal(name).check()


def test_what_nobody_knows_the_moments_of() -> None:
    for trigger in (FileMonitor("/a"), Signal("größer ☠"), Unset("cron")):
        trigger.check()
        assert trigger.next_after(NOW, NOW) is None


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"missed": "none"}, 'missed must be "skip" or "latest" or "all", not \'none\''),
        ({"overlap": None}, 'overlap must be "queue" or "skip", not None'),
        ({"fire": "once"}, "fire must be"),
        ({"target": "mail"}, "target must be"),
        ({"grace": -1}, "grace must be a number of seconds from 0.1, not -1"),
        ({"grace": math.nan}, "grace must be"),
        ({"jitter": math.inf}, "jitter must be"),
        ({"jitter": "1"}, "jitter must be"),
        ({"jitter": True}, "jitter must be"),
        ({"lazy": "no"}, "lazy must be True or False, not 'no'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        ScheduleOptions(**options).check()
    assert said in str(refused.value)


def test_what_is_unset_must_be_lazy() -> None:
    with pytest.raises(ScheduleRefused, match=r"shop.poll: say when it fires, or that it is lazy=True"):
        Schedule(name="shop.poll", task="shop.poll", trigger=Unset("timer")).check()
    Schedule(name="poll", task="poll", trigger=Unset("timer"), options=ScheduleOptions(lazy=True)).check()


# --- what `start` changes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "changes", "after"),
    [
        (Timer(10, 2), {}, Timer(10, 2)),
        (Timer(10, 2), {"seconds": 5}, Timer(5, 2)),
        (Timer(10, 2), {"iterations": None}, Timer(10, None)),
        (Unset("timer"), {"seconds": 5, "iterations": 3}, Timer(5, 3)),
        (Cron("0 9 * * *", "Europe/Paris"), {}, Cron("0 9 * * *", "Europe/Paris")),
        (Cron("0 9 * * *", "Europe/Paris"), {"tz": "UTC"}, Cron("0 9 * * *", "UTC")),
        (Cron("0 9 * * *", "Europe/Paris"), {"expression": "@daily"}, Cron("@daily", "Europe/Paris")),
        (Cron("0 0 9 * * *", "UTC", seconds=True), {"expression": "5 0 9 * * *"}, Cron("5 0 9 * * *", "UTC", True)),
        (Unset("cron"), {"expression": "@daily"}, Cron("@daily", "Asia/Tokyo")),
        (Unset("cron"), {"expression": "@daily", "tz": "UTC"}, Cron("@daily", "UTC")),
        (FileMonitor("/a"), {"path": "/b"}, FileMonitor("/b")),
        (Unset("filemon"), {"path": "/b"}, FileMonitor("/b")),
        (Timer(10, 2), {"seconds": timedelta(minutes=1)}, Timer(60, 2)),
        (Signal("reload"), {}, Signal("reload")),
    ],
)
def test_changes(trigger: Trigger, changes: dict[str, Any], after: Trigger) -> None:
    assert changed(trigger, changes, "Asia/Tokyo") == after


@pytest.mark.parametrize(
    ("trigger", "when", "changes", "after"),
    [
        (Timer(10, 2), 5, {}, Timer(5, 2)),
        (Timer(10, 2), timedelta(seconds=5), {"iterations": 3}, Timer(5, 3)),
        (Unset("timer"), 5, {}, Timer(5)),
        (Unset("cron"), "@daily", {"tz": "UTC"}, Cron("@daily", "UTC")),
        (Cron("0 9 * * *", "Europe/Paris"), "@daily", {}, Cron("@daily", "Europe/Paris")),
        (Unset("filemon"), Path("/b"), {}, FileMonitor("/b")),
    ],
)
def test_what_is_changed_first_needs_no_name(trigger: Trigger, when: When, changes: Any, after: Trigger) -> None:
    assert changed(trigger, changes, "Asia/Tokyo", when) == after


@pytest.mark.parametrize(
    ("trigger", "when", "changes", "said"),
    [
        (Timer(10), 0, {}, "seconds must be a number"),
        (Timer(10), 5, {"seconds": 6}, "seconds is given twice: 5 and 6"),
        (Cron("@daily"), 5, {}, "a cron expression is a text"),
        (Unset("cron"), "@daily", {"minute": 3}, "an expression or numbers, not both"),
        (FileMonitor("/a"), 5, {}, "a file monitor watches a path"),
        (Signal("reload"), "other", {}, "a signal has nothing to be changed, so start() takes nothing, not 'other'"),
    ],
)
def test_what_start_cannot_be_given(trigger: Trigger, when: When, changes: Any, said: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        changed(trigger, changes, "UTC", when)
    assert said in str(refused.value)


def test_numbers_as_of_uwsgi_replace_an_expression() -> None:
    made = changed(Cron("0 9 * * *", "Europe/Paris"), {"minute": -5, "hour": 3}, "UTC")
    assert isinstance(made, Cron)
    assert made.tz == "Europe/Paris"
    assert made.next_after(1_790_000_000, 0) != Cron("0 9 * * *", "Europe/Paris").next_after(1_790_000_000, 0)


@pytest.mark.parametrize(
    ("trigger", "changes", "said"),
    [
        (Timer(10), {"expression": "@daily"}, "a timer has no expression: it has seconds and iterations"),
        (Cron("@daily"), {"seconds": 5}, "a cron has no seconds: it has expression and tz"),
        (Signal("reload"), {"path": "/a"}, "a signal has no path: it has nothing to be changed"),
        (Unset("filemon"), {"tz": "UTC"}, "a filemon has no tz: it has path"),
        (Timer(10), {"seconds": 0}, "seconds must be a number"),
        (Timer(10), {"iterations": 0}, "iterations must be a whole number"),
        (Cron("@daily"), {"expression": "61 * * * *"}, "61"),
        (Cron("@daily"), {"tz": "Mars/Phobos"}, "Mars/Phobos"),
        (Cron("@daily"), {"expression": "@daily", "minute": 3}, "an expression or numbers, not both"),
        (Cron("@daily"), {"minute": 61}, "61"),
        (FileMonitor("/a"), {"path": ""}, "is no path"),
        (Unset("timer"), {}, "lazy timer without seconds: say with start(seconds=…)"),
        (Unset("timer"), {"iterations": 3}, "lazy timer without seconds"),
        (Unset("cron"), {}, 'lazy cron without an expression: say with start(expression="…")'),
        (Unset("cron"), {"tz": "UTC"}, "lazy cron without an expression"),
        (Unset("filemon"), {}, "lazy filemon without path: say with start(path=…)"),
    ],
)
def test_changes_that_cannot_be(trigger: Trigger, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        changed(trigger, changes, "UTC")
    assert said in str(refused.value)


def test_they_compare_as_values() -> None:
    assert Schedule(name="a", task="a", trigger=Timer(10)) == Schedule(name="a", task="a", trigger=Timer(10.0))
    assert Schedule(name="a", task="a", trigger=Timer(10)) != Schedule(name="a", task="a", trigger=Timer(10, 1))
