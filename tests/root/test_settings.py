"""The worker's settings: defaults as the design has them, and values that are refused."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from aspool import CallError, WorkerSettings


def test_the_defaults() -> None:
    settings = WorkerSettings()
    assert (settings.concurrency, settings.threads, settings.processes) == (100, 40, 0)
    assert (settings.frequency, settings.harakiri, settings.harakiri_grace, settings.grace) == (30.0, None, 5.0, 25.0)
    assert (settings.max_tasks, settings.max_crashes, settings.burst) == (None, 3, False)


def test_every_option_has_a_help_text_and_durations_a_unit() -> None:
    for option in fields(WorkerSettings):
        assert option.metadata["help"]
        assert "unit" in option.metadata
        assert option.metadata["uwsgi"] == "" or option.metadata["uwsgi"].startswith("spooler-")


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
