"""Firing: what is due of a schedule, what is spooled for it, and what its record says after. Decisions, no I/O.

Each of them is given a record and returns a changed one; `deciding` makes of it what a spool asks in a turn.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b

from .cron import Cron
from .message import Firing, Message
from .schedule_record import HAIR, End, Record, State, adopted, fresh, read, written
from .schedules import LEAST_GRACE, Schedule, ScheduleOptions, Timer, Trigger, Unset
from .turn import Decide, Lives, Turn

MOST = 1000  # moments in one turn
MOST_LATE = 5  # moments of a timer that are run, late as they are, unless all that were missed are
NAMED = 40  # characters of a schedule's name in the ids of its messages


def due_moments(record: Record, after: float, now: float) -> list[float]:
    """The moments after one and up to now for which something is to be done, as `missed` and `grace` say it."""
    options, trigger = record.schedule.options, record.trigger
    start = after if options.missed == "all" else max(after, now - _grace(options, trigger) - HAIR)
    moments = _between(record, start, now, min(MOST, record.iterations_left))
    if options.missed == "latest" and not moments and (latest := _latest(trigger, record.since, after, now)):
        moments = [latest]
    return moments


def _grace(options: ScheduleOptions, trigger: Trigger) -> float:
    """How late a moment may be: of a fast timer less, as it would run very often at once after a restart."""
    if not isinstance(trigger, Timer):
        return options.grace
    return max(LEAST_GRACE, min(options.grace, MOST_LATE * trigger.seconds))


def _between(record: Record, after: float, now: float, most: float) -> list[float]:
    moments: list[float] = []
    found = record.trigger.next_after(after, record.since)
    while found is not None and found <= now and len(moments) < most:
        moments.append(found)
        found = record.trigger.next_after(found, record.since)
    return moments


def _latest(trigger: Trigger, since: float, after: float, now: float) -> float | None:
    """The last moment up to now: looked for in longer and longer times before it, as there may be millions."""
    span, latest = 1.0, None
    while latest is None:
        start = max(after, now - span)
        found = trigger.next_after(start, since)
        while found is not None and found <= now:
            latest, found = found, trigger.next_after(found, since)
        if start == after:
            break
        span *= 4
    return latest


def moments_here(before: Record, record: Record, count: int, now: float) -> list[float]:
    """The moments of the last so many runs of a schedule, as far as a worker runs them which learns of them now."""
    if record.last is None:
        return []
    trigger, options = record.trigger, record.schedule.options
    if count == 1 or not isinstance(trigger, Timer | Cron):
        moments = [record.last - number * HAIR for number in reversed(range(count))]
    else:
        start = before.after if before.since == record.since else record.since
        moments = _between(record, start, record.last, MOST)[-count:] or [record.last]
    if options.missed == "all" or not isinstance(trigger, Timer | Cron):
        return moments
    in_time = [moment for moment in moments if moment >= now - _grace(options, trigger) - HAIR]
    return in_time or ([] if options.missed == "skip" else moments[-1:])


def message_for(schedule: Schedule, moment: float, now: float, tz: str, jitter: float = 0.0) -> Message:
    """The message of one moment, whose id says which it is; `jitter` seconds later."""
    return Message(
        id=firing_id(schedule.name, moment),
        unique=True,
        task=schedule.task,
        arguments=schedule.arguments.encode(),
        options=schedule.message,
        spooled=now,
        due=min(moment, now) + jitter,  # that of a raise may be a hair in the future
        priority=schedule.priority,
        firing=Firing(schedule.name, moment, tz),
    )


def firing_id(name: str, moment: float) -> str:
    """`app.nightly.20261122T013000Z`; a name that is long or has odd characters is shortened, and a hash put behind."""
    plain = re.sub(r"[^A-Za-z0-9_.-]|^\.", "_", name)
    if plain != name or not 0 < len(plain) <= NAMED:
        plain = f"{plain[-NAMED:].lstrip('.')}-{blake2b(name.encode(errors='replace'), digest_size=4).hexdigest()}"
    whole, micros = divmod(round(moment * 1_000_000), 1_000_000)
    written = datetime.fromtimestamp(whole, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{plain}.{written}{f'.{micros:06d}' if micros else ''}Z"


def jitter_of(schedule: Schedule, moment: float, worker: str = "") -> float:
    """By how many seconds a moment is put off: the same for all processes, unless each of them runs it."""
    if not schedule.options.jitter:
        return 0.0
    hashed = blake2b(f"{schedule.name}@{moment!r}{worker}".encode(errors="replace"), digest_size=4).digest()
    return schedule.options.jitter * int.from_bytes(hashed) / 2**32


def zone(trigger: Trigger) -> str:
    """The zone in which a schedule's moments are told."""
    return (isinstance(trigger, Cron | Unset) and trigger.tz) or "UTC"


# --- changes of a record ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """A changed record, and what is to be spooled."""

    record: Record
    messages: list[Message] = field(default_factory=list)
    durable: bool = True


Change = Callable[[Record, Lives], Changed | None]  # None: there is nothing to change


def fire(now: float) -> Change:
    """What is due now is spooled, or, if its target is the workers, noted."""

    def change(before: Record, lives: Lives) -> Changed | None:
        record = before.reckoned_anew(now)
        if not record.is_on:
            return None
        moments = due_moments(record, record.after, now)
        if not moments:
            return _passed_over(before, record, now)
        fired = _not_overlapping(record, moments, lives)
        return _fired(replace(record, after=moments[-1]), fired, now, has_jitter=True)

    return change


def _passed_over(before: Record, record: Record, now: float) -> Changed | None:
    """Moments that were missed and are not made up for are over too."""
    missed = record.trigger.next_after(record.after, record.since)
    if missed is not None and missed <= now:
        return Changed(replace(record, after=now))
    return None if record is before else Changed(record)


def _not_overlapping(record: Record, moments: list[float], lives: Lives) -> list[float]:
    if record.schedule.options.overlap == "queue":
        return moments
    return [] if record.own_id is not None and lives(record.own_id) else moments[-1:]


def _fired(record: Record, moments: list[float], now: float, *, has_jitter: bool = False) -> Changed:
    if not moments:
        return Changed(record)
    schedule, tz = record.schedule, zone(record.trigger)
    jitters = [jitter_of(schedule, moment) if has_jitter else 0.0 for moment in moments]
    messages = [message_for(schedule, at, now, tz, jitter) for at, jitter in zip(moments, jitters, strict=True)]
    last, fired, runs = messages[-1].id, record.fired + len(moments), record.runs + len(moments)
    record = replace(record, fired=fired, runs=runs, last=moments[-1], last_id=last, own_id=last)
    return Changed(record, messages if schedule.options.target == "spooler" else [])


def raise_signal(now: float) -> Change:
    """A signal was raised: it is spooled, or all workers are told."""

    def change(record: Record, lives: Lives) -> Changed | None:
        return None if record.state != "on" else _fired_at_once(record, lives, now)

    return change


def _fired_at_once(record: Record, lives: Lives, now: float) -> Changed:
    moment = round(max(now, record.after + HAIR), 6)  # no two are the same
    return _fired(replace(record, after=moment), _not_overlapping(record, [moment], lives), now)


def run_now(now: float) -> Change:
    """Somebody wants it to run, whatever the time is, and whether it is on or not."""

    def change(record: Record, lives: Lives) -> Changed | None:  # noqa: ARG001 - as all changes
        moment, last = round(now, 6), record.last or 0.0
        moment = round(last + HAIR, 6) if moment <= last < moment + 1 else moment
        changed = _fired(record, [moment], now)
        return replace(changed, record=replace(changed.record, fired=record.fired, own_id=record.own_id))

    return change


def see(now: float, seen: str, *, first: bool) -> Change:
    """What a watched path looks like now ("": nothing is there). `first`: a worker begins to look."""

    def change(record: Record, lives: Lives) -> Changed | None:
        if record.seen == seen:
            return None
        # What has never been seen did not change; what did while nobody looked was missed.
        ignored = record.seen is None or (first and record.schedule.options.missed == "skip")
        if ignored or not seen or record.state != "on":
            return Changed(replace(record, seen=seen))
        fired = _fired_at_once(replace(record, seen=seen), lives, now)
        return None if fired.record.runs == record.runs else fired  # else it is seen when the last one has ended

    return change


def start(trigger: Trigger, now: float) -> Change:
    """It fires from now on, as this trigger says."""

    def change(record: Record, lives: Lives) -> Changed | None:  # noqa: ARG001 - as all changes
        return Changed(replace(record, trigger=trigger, state="on", since=now, after=now, fired=0, seen=None))

    return change


def become(state: State, now: float, *, only_from: State | None = None) -> Change:
    """It is stopped, paused, or goes on; moments that pass meanwhile are not missed."""

    def change(record: Record, lives: Lives) -> Changed | None:  # noqa: ARG001 - as all changes
        if record.state == state or only_from not in (None, record.state):
            return None
        if state != "on":
            return Changed(replace(record, state=state))
        return Changed(replace(record, state=state, after=max(record.after, now), seen=None))

    return change


def note_end(end: End) -> Change:
    """A firing has ended; news of an older one than is known are no news."""

    def change(record: Record, lives: Lives) -> Changed | None:  # noqa: ARG001 - as all changes
        is_old = record.end is not None and record.end.moment > end.moment and record.last != end.moment
        return None if is_old else Changed(replace(record, end=end), durable=False)

    return change


def deciding(change: Change, schedule: Schedule | None = None, now: float = 0.0) -> Decide:
    """What a spool asks in a turn. With a schedule, a record that is missing is made first."""

    def decide(data: bytes | None, lives: Lives) -> Turn | None:
        known = None if data is None else read(data)
        record = fresh(schedule, now) if known is None and schedule is not None else known
        if record is None:
            return None
        changed = change(record, lives)
        if changed is None:
            return None if record is known else Turn(record=written(record))
        first = record.schedule.options.fire == "at-most-once"
        return Turn(changed.messages, written(changed.record), first, changed.durable, partial(_partly, changed))

    return decide


def adopting(schedule: Schedule, now: float) -> Decide:
    """What a spool asks when the schedule of the code, or one that a program makes, is to be known to it."""

    def decide(data: bytes | None, lives: Lives) -> Turn | None:  # noqa: ARG001 - as what a spool asks
        known = None if data is None else read(data)
        record = adopted(known, schedule, now)
        return None if record is known else Turn(record=written(record))

    return decide


def _partly(changed: Changed, count: int) -> bytes:
    """The record if only the first so many messages could be put; else these would be put again."""
    last, left = changed.messages[count - 1], len(changed.messages) - count
    assert last.firing is not None
    moment, fired, runs = last.firing.moment, changed.record.fired - left, changed.record.runs - left
    record = replace(changed.record, after=moment, last=moment, last_id=last.id, own_id=last.id)
    return written(replace(record, fired=fired, runs=runs))


def forget(data: bytes | None, lives: Lives) -> Turn | None:  # noqa: ARG001 - as what a spool asks
    """The schedule is to be forgotten."""
    return None if data is None else Turn(record=b"")


def no_change(record: Record, lives: Lives) -> Changed | None:  # noqa: ARG001 - as all changes
    """Somebody only looks."""
    return None
