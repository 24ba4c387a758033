"""Signals: raising one by its name, for whoever has a handler of it. A handler is a schedule that a Signal fires."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from . import clock, firing, schedule_record
from .errors import ScheduleRefused
from .protocol import Spool
from .scheduled import ScheduledTask, changed_record
from .schedules import Schedule, Signal
from .turn import KeepsSchedules


async def raise_signal(name: str, spools: Sequence[Spool], tasks: Sequence[ScheduledTask[..., Any, Any]]) -> int:
    """Raise a signal in spools, for the handlers that are known there and for these; how many of them are on.

    Raises ScheduleRefused for a name that cannot be, and when there is no handler, on or not.
    """
    Signal(name).check()
    heard: list[bool] = []
    signals: set[str] = set()
    for spool in {id(spool): spool for spool in spools}.values():
        known = {task.name: task.schedule for task in tasks if task.scheduled.spool is spool}
        if isinstance(spool, KeepsSchedules):
            handlers = await _handlers(spool, known)
            signals.update(*handlers.values())
            heard += [await _raise_in(spool, one, known.get(one)) for one, its in handlers.items() if name in its]
    if not heard:
        near = " or ".join(map(repr, get_close_matches(name, sorted(signals), 3)))
        raise ScheduleRefused(
            f"nobody has a handler of the signal {name!r}{f'; did you mean {near}? It' if near else ': it'} is made "
            f"with @spooler.signal({name!r}), and known to a spool once a worker has served it"
        )
    return sum(heard)


async def _handlers(spool: KeepsSchedules, known: Mapping[str, Schedule]) -> dict[str, set[str]]:
    """The signals of each schedule that has one: as the spool knows it, and as it is in code that no worker has yet."""
    handlers: dict[str, set[str]] = {}
    for handler, kept in (await spool.records()).items():
        if b'"signal"' not in kept.record:  # most are others, and to read a record takes its time
            continue
        record = schedule_record.read(kept.record)
        if record is not None and isinstance(record.trigger, Signal):
            handlers[handler] = {record.trigger.signal}
    for handler, schedule in known.items():
        if isinstance(schedule.trigger, Signal):
            handlers.setdefault(handler, set()).add(schedule.trigger.signal)
    return handlers


async def _raise_in(spool: KeepsSchedules, handler: str, schedule: Schedule | None) -> bool:
    """Whether the handler is on."""
    record = await changed_record(spool, handler, firing.raise_signal(clock.now()), schedule)
    return record is not None and record.state == "on"
