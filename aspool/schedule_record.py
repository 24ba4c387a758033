"""How a schedule stands: the record that its spool keeps of it, and its way to JSON and back. No I/O."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from .errors import CallError, ScheduleRefused
from .ids import checked_id, checked_priority
from .moments import LATEST
from .schedules import Schedule, Timer, Trigger, Unset

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LONGEST_RECORD = 256 * 1024  # bytes
HAIR = 1e-6  # seconds
SET_BACK = 1.0  # seconds by which the clock may be corrected

State = Literal["on", "off", "paused"]


@dataclass(frozen=True, slots=True)
class End:
    """How a firing ended: done, dead, cancelled, or retrying. `took` in seconds; the others are UNIX timestamps."""

    state: str
    moment: float
    ended: float
    took: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a schedule stands, as its spool keeps it. All moments are UNIX timestamps.

    `state` is "on" (it fires; once `is_over` no more), "paused" (until `resume`), or "off" (until `start`: it was
    stopped, or is lazy and was not started yet). `trigger` is what fires it now; `schedule.trigger` what the code says.
    A timer counts from `since`; moments up to `after` are over; `fired` counts since it was started, `runs` for ever
    and those by hand too. `last_id` is the message of `last`, `own_id` the last that was not by hand. `seen` is what a
    watched path looked like.
    """

    schedule: Schedule
    trigger: Trigger
    state: State = "on"
    since: float = 0.0
    after: float = 0.0
    fired: int = 0
    last: float | None = None
    last_id: str | None = None
    own_id: str | None = None
    runs: int = 0
    seen: str | None = None
    end: End | None = None

    @property
    def iterations_left(self) -> float:
        """How often it may still fire."""
        iterations = self.trigger.iterations if isinstance(self.trigger, Timer) else None
        return math.inf if iterations is None else max(0, iterations - self.fired)

    @property
    def is_over(self) -> bool:
        """Whether its iterations are over, so that it has nothing more to do until it is started again."""
        return self.iterations_left <= 0

    @property
    def is_on(self) -> bool:
        """Whether it fires, sooner or later."""
        return self.state == "on" and not self.is_over

    def next_moment(self, now: float) -> float | None:
        """When it fires next; None: nobody knows, or never. A moment that has passed was missed, or is due."""
        if not self.is_on:
            return None
        return now if self.was_set_back(now) else self.following

    @property
    def following(self) -> float | None:
        """The first moment that is not over yet."""
        return self.trigger.next_after(self.after, self.since) if self.is_on else None

    def was_set_back(self, now: float) -> bool:
        """Whether the clock was set back since it fired: then an interval would be longer than it is."""
        return isinstance(self.trigger, Timer) and self.after > now + SET_BACK

    def reckoned_anew(self, now: float) -> "Record":
        """After the clock was set back: a timer keeps its interval, and fires at moments that never were."""
        if not self.was_set_back(now):
            return self
        assert isinstance(self.trigger, Timer)
        since, seconds = now, self.trigger.seconds
        if abs(math.remainder(now - self.since, seconds)) < 10 * HAIR:
            since += min(0.001, seconds / 2)  # the moments of before were the same
        return replace(self, since=since, after=since)

    def upcoming(self, now: float, count: int) -> Iterator[float]:
        """The next moments, so many at most."""
        moment = max(self.after, now)
        for _ in range(int(min(count, self.iterations_left)) if self.is_on else 0):
            found = self.trigger.next_after(moment, self.since)
            if found is None:
                return
            yield found
            moment = found


def fresh(schedule: Schedule, now: float) -> Record:
    """The first record of a schedule: it counts from now."""
    state: State = "off" if schedule.options.lazy else "on"
    return Record(schedule=schedule, trigger=schedule.trigger, state=state, since=now, after=now)


def adopted(known: Record | None, schedule: Schedule, now: float) -> Record:
    """The record of a schedule that the code has, or a program makes; a trigger that the code changed counts from now.

    Raises ScheduleRefused for one made at run time, if the code has one of that name.
    """
    if known is not None and schedule.runtime and not known.schedule.runtime:
        raise ScheduleRefused(f"{schedule.name} is a schedule of some program's code: give this one another name=")
    if known is None or known.schedule.runtime != schedule.runtime:
        return fresh(schedule, now)
    if known.schedule == schedule and not (schedule.runtime and known.is_over):
        return known
    if schedule.runtime:
        return _anew(known, schedule, now)
    record = replace(known, schedule=schedule)
    if schedule.trigger == known.schedule.trigger:
        lazy_changed = schedule.options.lazy != known.schedule.options.lazy and known.state != "paused"
        return fresh(schedule, now) if lazy_changed else record
    state: State = "off" if isinstance(schedule.trigger, Unset) else known.state
    after = now if isinstance(schedule.trigger, Timer) else max(known.after, now)
    return replace(record, trigger=schedule.trigger, state=state, since=now, after=after, fired=0, seen=None)


def _anew(known: Record, schedule: Schedule, now: float) -> Record:
    """What a program makes once more under the same name begins anew; what is known of its last run is kept."""
    first = fresh(schedule, now)
    return replace(
        first,
        state="paused" if known.state == "paused" and first.state == "on" else first.state,
        after=now if isinstance(schedule.trigger, Timer) else max(known.after, now),  # a cron repeats nothing
        last=known.last,
        last_id=known.last_id,
        own_id=known.own_id,
        runs=known.runs,
        end=known.end,
    )


def written(record: Record) -> bytes:
    """A record as JSON."""
    return _adapter().dump_json(record)


def read(data: bytes) -> Record | None:
    """A record, strictly; None for what is none: a spool's files may be anybody's."""
    from pydantic import ValidationError

    if len(data) > LONGEST_RECORD:
        return None
    try:
        record = _adapter().validate_json(data)
        record.schedule.check()
        record.trigger.check()
        checked_priority(record.schedule.priority)
        for id in (record.last_id, record.own_id):
            checked_id(id or "none")
    except (ValidationError, CallError, RecursionError):
        return None
    end = record.end or End("", 0.0, 0.0, 0.0)
    moments = (record.since, record.after, record.last or 0.0, end.moment, end.ended, end.took)
    return record if all(0 <= moment <= LATEST for moment in moments) else None


@cache
def _adapter() -> "TypeAdapter[Record]":
    from pydantic import TypeAdapter

    return TypeAdapter(Record)
