"""Settings: defaults as the design has them, values that are refused, and what calls for a supervisor."""

import json
import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from aspool import CallError, WorkerSettings
from aspool.settings import Settings, did_you_mean


def test_the_defaults() -> None:
    settings = WorkerSettings()
    assert (settings.concurrency, settings.threads, settings.job_processes) == (100, 40, 0)
    assert (settings.frequency, settings.harakiri, settings.harakiri_grace, settings.grace) == (30.0, None, 5.0, 25.0)
    assert (settings.max_tasks, settings.max_crashes, settings.burst) == (None, 3, False)


def test_every_option_has_a_help_text_and_durations_a_unit() -> None:
    for option in fields(Settings):
        assert option.metadata["help"]
        assert option.metadata["unit"] or option.type not in (float, float | None)
        assert all("spooler" in name for name in option.metadata["uwsgi"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": -1},
        {"threads": 0},
        {"max_crashes": 0},
        {"max_tasks": 0},
        {"frequency": 0},
        {"frequency": -1.0},
        {"harakiri": 0.0},
        {"harakiri": -5},
        {"harakiri": math.inf},
        {"grace": math.nan},
        {"max_rss": 0},
        {"max_age": 0.0},
        {"concurrency": 2.0},
        {"concurrency": True},
        {"threads": "3"},
        {"frequency": "3"},
        {"burst": 1},
    ],
)
def test_values_that_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    for make in (WorkerSettings, WorkerSettings().changed):
        with pytest.raises(CallError, match=f"{name} must be"):
            make(**wrong)


def test_changed_replaces_what_is_given() -> None:
    settings = WorkerSettings(concurrency=5, harakiri=3.0)
    changed = settings.changed(concurrency=7, harakiri=None, burst=True)
    assert (changed.concurrency, changed.harakiri, changed.burst) == (7, 3.0, True)
    assert settings.concurrency == 5


def test_an_option_that_does_not_exist() -> None:
    with pytest.raises(CallError, match="no such worker option: speed; there are burst, concurrency"):
        WorkerSettings().changed(speed=9)


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        WorkerSettings().burst = True  # type: ignore[misc]  # the point of it


@pytest.mark.parametrize(
    "wrong",
    [
        {"processes": 0},
        {"restart_wait": 0.0},
        {"cheap_idle": math.inf},
        {"spools": "./a"},
        {"touch_reload": (1,)},
        {"log_level": "loud"},
        {"log_format": "xml"},
        {"health": "80"},
        {"health": "unix:"},
        {"listen": ("3031",)},
        {"listen": ":3031"},
        {"reply": "loud"},
        {"allow": ("10.0.0.1/8",)},
        {"allow": ("here",)},
        {"max_packet": 0},
        {"max_body": -1},
        {"max_connections": 0},
        {"max_connections_per_peer": 0},
        {"packet_timeout": 0.0},
        {"body_timeout": math.inf},
        {"min_free": -1},
        {"longest_restart_wait": 0.01},
        {"chdir": 3},
        {"supervisor": "yes"},
    ],
)
def test_values_that_are_refused_for_all_workers(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(CallError, match=f"{name} must be"):
        Settings(**wrong)


@pytest.mark.parametrize("health", [":80", "*:0", "localhost:8080", "[::1]:8080", "unix:/run/x"])
def test_addresses_of_health(health: str) -> None:
    assert Settings(health=health).health == health


def test_lists_become_tuples_that_cannot_change() -> None:
    spools = ["./a"]
    settings = Settings(spools=spools)  # type: ignore[arg-type]  # people write lists
    spools.append("./b")
    assert settings.spools == ("./a",)


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        ({}, False),
        ({"burst": True, "quiet": True}, False),
        ({"supervisor": True}, True),
        ({"supervisor": False, "max_tasks": 5}, False),
        ({"processes": 2}, True),
        ({"cheap": True}, True),
        ({"reload": True}, True),
        ({"touch_reload": ("x",)}, True),
        ({"health": ":80"}, True),
        ({"pidfile": "x"}, True),
        ({"max_tasks": 5}, True),
        ({"max_rss": 5}, True),
        ({"max_age": 5}, True),
        ({"harakiri": 5}, True),
    ],
)
def test_what_calls_for_a_supervisor(options: dict[str, Any], wants: bool) -> None:
    assert Settings(**options).wants_supervisor is wants


def test_a_record_is_what_differs_and_survives_json() -> None:
    settings = Settings(spools=("./a", "b=memory:"), processes=3, grace=math.inf, harakiri=None)
    record = settings.as_record()
    assert record == {"spools": ["./a", "b=memory:"], "processes": 3, "grace": math.inf}
    assert Settings.from_record(json.loads(json.dumps(record))) == settings
    assert WorkerSettings.from_record({}) == WorkerSettings()
    with pytest.raises(CallError, match=r"there is no option procesess; did you mean processes\?"):
        Settings.from_record({"procesess": 2})
    with pytest.raises(CallError, match="processes must be a whole number"):
        Settings.from_record({"processes": "2"})


@pytest.mark.parametrize(
    ("name", "end"),
    [("procesess", "; did you mean processes?"), ("max-tasks", "; did you mean max_tasks?"), ("colour", "")],
)
def test_did_you_mean(name: str, end: str) -> None:
    assert did_you_mean(name, ["processes", "max_tasks"]) == end
