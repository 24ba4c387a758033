"""Schedules in words: intervals, crons, moments."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aspool.cli import words
from aspool.cron import Cron, uwsgi_cron
from aspool.schedule_record import Record
from aspool.schedules import FileMonitor, Schedule, ScheduleOptions, Signal, Timer, Trigger, Unset

NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0


def record(trigger: Trigger) -> Record:
    schedule = Schedule(name="app.tick", task="app.tick", trigger=trigger, options=ScheduleOptions(lazy=True))
    return Record(schedule=schedule, trigger=trigger)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.001, "every 0.001 s"),
        (0.5, "every 0.5 s"),
        (1, "every second"),
        (10, "every 10 s"),
        (90, "every 90 s"),
        (60, "every minute"),
        (5400, "every 90 min"),
        (3600, "every hour"),
        (7200, "every 2 h"),
        (86_400, "every day"),
        (172_800, "every 2 days"),
        (100.25, "every 100.25 s"),
    ],
)
def test_intervals_are_exact(seconds: float, told: str) -> None:
    assert words.every(seconds) == told


def test_what_fires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    timer = record(Timer(10, 2))
    assert words.fires(timer) == "every 10 s, 2 times in all, 2 left"
    assert words.fires(replace(timer, fired=2)) == "every 10 s, 2 times in all, 0 left"
    assert words.fires(record(Timer(10))) == "every 10 s"
    assert words.fires(record(Signal("reload-prices"))) == "when the signal reload-prices is raised"
    assert words.fires(record(Unset("cron"))) == "when it is started"
    assert words.fires(record(Cron("30 2 * * *"))) == "At 02:30"
    config = record(FileMonitor(f"{tmp_path}/config.toml"))
    assert words.fires(config) == f"when {tmp_path}/config.toml changes"
    assert words.fires(config, short=True) == "when config.toml changes"
    assert words.fires(record(FileMonitor("/etc/hosts")), short=True) == "when /etc/hosts changes"


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("*/5 * * * *", "Every 5 minutes"),
        ("0 9 * * mon-fri", "At 09:00, Monday through Friday"),
        ("@daily", "At 00:00"),
        ("@Weekly", "At 00:00, only on Sunday"),
        ("@hourly", "Every hour"),
        ("@yearly", "At 00:00, on day 1 of the month, only in January"),
        ("0 0 l * *", "At 00:00, on the last day of the month"),
        ("0 0 * * L5", "At 00:00, on the last Friday of the month"),
        ("0 0 * * 5#2", "At 00:00, on the second Friday of the month"),
        ("0 0 W15 * *", "At 00:00, on the weekday nearest day 15 of the month"),
        ("0 0 * * 7", "At 00:00, only on Sunday"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month; or at 00:00, only on Friday"),  # either is enough
        ("0 0 */2 * 5", "At 00:00, every 2 days, only on Friday"),  # both must match
        ("0 0 * * 1-2/2", "0 0 * * 1-2/2"),  # for these cron-descriptor has wrong words
        ("50-10 9 * * *", "50-10 9 * * *"),
    ],
)
def test_crons(expression: str, told: str) -> None:
    cron = Cron(expression)
    cron.check()
    assert words.cron(cron) == told


@pytest.mark.parametrize("expression", ["*/90 * * * *", "0 */25 * * *", "0 0 */31 * *", "0 0 1 */13 *", "0 0 * * */8"])
def test_steps_that_are_too_long_are_told_as_they_are(expression: str) -> None:
    assert words.cron(Cron(expression)) == expression
    assert words.cron(Cron("*/60 * * * *")) == "Every 60 minutes", "which it is"


def test_crons_with_seconds() -> None:
    assert words.cron(Cron("*/10 * * * * *", seconds=True)) == "Every 10 seconds"
    assert words.cron(Cron("30 0 12 * * *", seconds=True)) == "At 12:00:30"
    assert words.cron(Cron("0 0 0 ? * 5", seconds=True)) == "At 00:00, only on Friday"


def test_crons_in_numbers() -> None:
    assert words.cron(uwsgi_cron(minute=-5, hour=-1)) == "Every 5 minutes"
    assert words.cron(uwsgi_cron(0, 0, 13, weekday=5)).startswith("At 00:00, on day 13 of the month; or at 00:00")
    both = replace(uwsgi_cron(0, 0, 13, weekday=5), day_and=True)
    assert words.cron(both) == "At 00:00, on day 13 of the month, only on Friday"


def test_what_is_no_cron_is_told_as_it_is() -> None:
    for text in ("", "x", "a b c d e f g h"):
        assert words.cron(Cron(text)) == text


def test_the_words_do_not_depend_on_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getlocale", lambda *_: ("de_DE", "UTF-8"))
    assert words.cron(Cron("30 14 * * *")) == "At 14:30"


def test_moments() -> None:
    paris = ZoneInfo("Europe/Paris")
    assert words.moments([NOW + 2.5, NOW + 12.5, NOW + 22.5], NOW, UTC) == "13:00:02, 13:00:12, 13:00:22"
    assert words.moments([NOW + 0.25, NOW + 0.75], NOW, UTC) == "13:00:00.2, 13:00:00.7"
    assert words.moments([NOW + HOUR, NOW + 2 * HOUR + 0.5], NOW, UTC) == "14:00, 15:00"
    assert words.moments([NOW + HOUR + 30], NOW, UTC) == "14:00:30", "a cron that has seconds"
    assert words.moments([NOW + HOUR], NOW, paris) == "15:00"
    assert words.moments([NOW + 10.5 * HOUR, NOW + 11 * HOUR], NOW, paris) == "22 Nov 00:30, 01:00"
    assert words.moments([NOW + 60 * DAY], NOW, UTC) == "20 Jan 2027 13:00"
    assert words.moments([], NOW, UTC) == ""


def test_a_near_moment_is_told_by_its_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    assert words.moment(NOW + 3 * HOUR, NOW, UTC) == "in 3 h"
    assert words.moment(NOW - 5, NOW, UTC) == "5.0 s ago"
    assert words.moment(NOW + 2 * DAY, NOW, UTC) == "23 Nov 13:00"


def test_what_is_soon_over_is_told_by_its_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    assert words.soon([NOW + 0.3, NOW + 0.4], NOW, UTC) == "in 0.3 s"
    assert words.soon([NOW + 12, NOW + 21], NOW, UTC) == "in 12 s"
    assert words.soon([NOW + 10, NOW + 20], NOW, UTC) == "13:00:10, 13:00:20"
    assert words.soon([NOW + 1], NOW, UTC) == "13:00:01", "the last one"
    assert words.soon([], NOW, UTC) == ""


@pytest.mark.parametrize(
    ("expression", "tz", "told"),
    [
        ("30 2 * * *", "Europe/Paris", ""),
        ("30 2 * * *", "Europe/Berlin", ""),  # the same moments
        ("30 2 * * *", "Africa/Lagos", "Lagos"),  # the same in winter
        ("30 2 * * *", "America/Argentina/Buenos_Aires", "Buenos Aires"),
        ("30 2 * * *", "UTC", "UTC"),
        ("@daily", "UTC", "UTC"),
        ("@hourly", "UTC", ""),
        ("*/5 * * * *", "Asia/Tokyo", ""),  # the same everywhere
    ],
)
def test_zones(monkeypatch: pytest.MonkeyPatch, expression: str, tz: str, told: str) -> None:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        assert words.zone_of(record(Cron(expression, tz)), NOW) == told
    finally:
        monkeypatch.undo()
        time.tzset()
    assert words.zone_of(record(Timer(10)), NOW) == ""


def test_how_long_it_took() -> None:
    told = [words.took(seconds) for seconds in (0.0, 0.05, 0.3, 90)]
    assert told == ["<1 ms", "50 ms", "0.3 s", "90 s"]
