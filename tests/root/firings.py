"""Schedules, records and changes for tests of firing; their clock is the test's own."""

from typing import Any

from aspool.firing import Change, Changed
from aspool.schedule_record import Record, fresh
from aspool.schedules import Schedule, ScheduleOptions, Trigger
from aspool.turn import Lives

NOW = 1_790_000_000.25
DAY = 86_400


def nobody(id: str) -> bool:
    """No message lives."""
    return False


def everybody(id: str) -> bool:
    """All messages live."""
    return True


def schedule(trigger: Trigger, *, name: str = "app.tick", **options: Any) -> Schedule:
    return Schedule(name=name, task="app.tick", trigger=trigger, options=ScheduleOptions(**options))


def record(trigger: Trigger, **options: Any) -> Record:
    return fresh(schedule(trigger, **options), NOW)


def changed(change: Change, before: Record, lives: Lives = nobody) -> Changed:
    found = change(before, lives)
    assert found is not None
    return found


def moments(changed: Changed) -> list[float]:
    return [message.firing.moment for message in changed.messages if message.firing is not None]
