"""The schedules of spools: how each stands, and which one a NAME means. What is done with them is the verbs' affair."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Literal

import anyio
import click
from click.shell_completion import CompletionItem

from .. import clock, schedule_record
from ..application import load_spooler
from ..cron import Cron
from ..errors import SpoolUnusable
from ..escape import safe
from ..protocol import KeepsScoreboards, Spool
from ..schedule_record import Record
from ..scheduled import Scheduled, ScheduledTask, keeping
from ..schedules import Schedule
from . import output, words
from .ending import standing_of
from .failures import Failure, Misuse
from .finding import there
from .output import CUT
from .places import browsable, is_missing, spools_of

UNKNOWN = 7200.0  # seconds: a worker gives a sign of life of each schedule that it knows every hour
BEGINNING = 2.0  # seconds: and when it begins, which takes a moment
APART = 5.0  # seconds: clocks may differ
LATE = 10.0  # seconds
OFFERED = 5  # names, for one that is wrong

State = Literal["on", "paused", "stopped", "not started", "ended", "unknown", "new"]


@dataclass(frozen=True, slots=True)
class Last:
    """How the last firing stands: done, dead, cancelled, retrying, waiting, running; "" if nobody knows, or never."""

    state: str = ""
    took: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        words_ = (
            f"{self.state} in {words.took(self.took)}" if self.state == "done" and self.took is not None else self.state
        )
        return f"{words_}: {self.reason}" if self.reason else words_


@dataclass(frozen=True, slots=True)
class Known:
    """One schedule of a spool. `known` is when a worker knew it last (a UNIX timestamp), None: none has yet."""

    spool: Spool
    name: str
    record: Record
    known: float | None
    state: State
    last: Last = field(default_factory=Last)
    late: float = 0.0  # seconds
    has_workers: bool = False  # whether any lives in the spool

    @property
    def handle(self) -> Scheduled:
        """What changes it. One that only the code knows is made by that."""
        return Scheduled(self.name, self.spool, self.record.schedule if self.known is None else None)

    @property
    def zone(self) -> tzinfo | None:
        """The zone in which its moments are told; None: that of this machine."""
        if not isinstance(self.record.trigger, Cron):
            return None
        from zoneinfo import ZoneInfo

        return output.at(0).tzinfo if self.record.trigger.tz == "UTC" else ZoneInfo(self.record.trigger.tz)

    def upcoming(self, count: int) -> list[float]:
        """The next moments, as UNIX timestamps; none for what no worker knows."""
        return [] if self.state == "unknown" else list(self.record.upcoming(clock.now(), count))

    @property
    def is_for_workers(self) -> bool:
        """Whether all workers run it, and nothing of it is spooled."""
        return self.record.schedule.options.target == "workers"

    @property
    def is_served(self) -> bool:
        """Whether workers live, and know it as far as anybody can tell."""
        return self.has_workers and self.state != "unknown"

    @property
    def nobody(self) -> str:
        """Why it is not served, in words."""
        return f"no worker {'that knows it ' if self.has_workers else ''}lives in {self.spool.address}"

    @property
    def state_words(self) -> str:
        """The state, and what a person has to know of it."""
        words_ = {"unknown": "no worker knows it", "new": "no worker yet"}.get(self.state, self.state)
        return f"{words_}, {output.duration(self.late)} late" if self.is_late else words_

    @property
    def is_late(self) -> bool:
        """Whether it should have fired by now, and workers live that ought to know it."""
        return self.state == "on" and self.late > LATE


@dataclass(frozen=True, slots=True)
class Timetable:
    """The schedules of one spool, by their names; and how many records there are that cannot be read."""

    spool: Spool
    schedules: Sequence[Known]
    unreadable: int = 0
    has_workers: bool = False
    is_made: bool = True  # whether there is a spool


# --- looking -----------------------------------------------------------------------------------------------------


def timetables(app: str | None, address: str | None) -> list[Timetable]:
    """Those of a spool; or of the spools of an APP, with what only its code knows. Looking makes no spool.

    Raises as `there`, but for what an APP has schedules for and nobody has made; and Unsupported.
    """
    if app is None:
        return [timetable_of(spool) for spool in there(app, address)]
    tables, missing = [], None
    for spool in spools_of(app, address):
        code = _in_code(app, spool)
        try:
            browsable(spool)
            tables.append(timetable_of(spool, code))
        except SpoolUnusable as error:
            missing = error
            if code and is_missing(spool):
                tables.append(Timetable(spool, _new(spool, code), is_made=False))
    if missing is not None and not tables:
        raise missing
    return tables


def timetable_of(spool: Spool, code: Mapping[str, Schedule] | None = None) -> Timetable:
    """The schedules of one spool, and of the code of its application. Raises SpoolUnusable or Unsupported."""
    return anyio.run(_timetable, spool, code or {})


def _in_code(app: str | None, spool: Spool) -> dict[str, Schedule]:
    if app is None:
        return {}
    tasks = (task for task in load_spooler(app).tasks.values() if isinstance(task, ScheduledTask))
    return {task.name: task.schedule for task in tasks if task.scheduled.spool is spool}


async def _timetable(spool: Spool, code: Mapping[str, Schedule]) -> Timetable:
    since = [board.since for board in spool.boards()] if isinstance(spool, KeepsScoreboards) else []
    kept = await keeping(spool).records()
    read = {name: schedule_record.read(one.record) for name, one in kept.items()}
    found = _new(spool, {name: schedule for name, schedule in code.items() if name not in kept}, bool(since))
    for name, record in read.items():
        if record is not None:
            found.append(await _known(spool, name, record, kept[name].known, since))
    unreadable = sum(record is None for record in read.values())
    return Timetable(spool, sorted(found, key=lambda known: known.name), unreadable, has_workers=bool(since))


def _new(spool: Spool, code: Mapping[str, Schedule], has_workers: bool = False) -> list[Known]:
    """Those that no worker has made known to their spool yet."""
    now = clock.now()
    return [
        Known(spool, name, schedule_record.fresh(schedule, now), None, "new", has_workers=has_workers)
        for name, schedule in sorted(code.items())
    ]


async def _known(spool: Spool, name: str, record: Record, known: float, workers: Sequence[float]) -> Known:
    now = clock.now()
    is_unknown = _is_unknown(known, now, workers)
    due = record.next_moment(now) if workers else None
    late = 0.0 if due is None else max(0.0, now - due)
    state, last = _state(record, is_unknown=is_unknown), await last_of(spool, record)
    return Known(spool, name, record, known, state, last, late, has_workers=bool(workers))


def _is_unknown(known: float, now: float, workers: Sequence[float]) -> bool:
    """Whether workers live, and none of them gave the sign of life that it gives of what it knows."""
    if known < now - UNKNOWN and any(since < now - UNKNOWN for since in workers):
        return True
    # They began after it; one that has begun just now may be about to give its sign.
    return bool(workers) and all(known + APART < since < now - BEGINNING for since in workers)


def _state(record: Record, *, is_unknown: bool) -> State:
    if record.state == "on" and not record.iterations_left:
        return "ended"
    if is_unknown:
        return "unknown"
    if record.state != "off":
        return record.state
    return "not started" if record.schedule.options.lazy and record.last is None else "stopped"


async def last_of(spool: Spool, record: Record) -> Last:
    """How the last firing stands; what is over is in the record, else its message is asked for."""
    if record.last is None:
        return Last()
    end = record.end
    if end is not None and end.moment >= record.last - schedule_record.HAIR:
        if end.state in ("done", "cancelled", "dead"):
            return Last(end.state, end.took, end.reason)
        return Last(await _standing(spool, record) or end.state, None, end.reason)
    return Last(await _standing(spool, record))


async def _standing(spool: Spool, record: Record) -> str:
    id = record.last_id
    if record.schedule.options.target == "workers" or id is None:
        return ""
    state = (await standing_of(spool, id)).state
    return "" if state == "unknown" else state


# --- names -------------------------------------------------------------------------------------------------------


def find_one(tables: Sequence[Timetable], text: str, *, whole: bool = False) -> Known:
    """The one schedule of that name, or with a name whose last part it is, or as a listing shows a long one; if it
    need not be `whole`, also with a name that has it as a part, or ends or begins with it.

    Raises Failure when there is none, Misuse (which lists them) when there are several.
    """
    everything = [known for table in tables for known in table.schedules]
    for fits in (str.__eq__, _is_last_part, _is_cut, *(() if whole else (_is_part, str.endswith, str.startswith))):
        found = [known for known in everything if fits(known.name, text)]
        if len(found) == 1:
            return found[0]
        if found:
            listed = "\n".join(f"  {known.name}  in {known.spool.address}" for known in found[:20])
            raise Misuse(f"{text} may be any of {len(found)} schedules (they are above): {_more(found)}", listed)
    raise Failure(_none(everything, text))


def _is_last_part(name: str, text: str) -> bool:
    return name.endswith(f".{text}")


def _is_cut(name: str, text: str) -> bool:
    beginning, cut, end = text.partition(CUT)
    return bool(cut and beginning and end) and name.startswith(beginning) and name.endswith(end)


def _is_part(name: str, text: str) -> bool:
    return f".{text}." in f".{name}."


def _more(found: Sequence[Known]) -> str:
    return "name the spool with -d" if len({known.name for known in found}) == 1 else "write more of the name"


def _none(everything: Sequence[Known], text: str) -> str:
    from difflib import get_close_matches

    short = {known.name.rpartition(".")[2]: known.name for known in everything}
    names = {**short, **{known.name: known.name for known in everything}}
    near = [known.name for known in everything if _is_part(known.name, text)][:OFFERED]
    near = near or list(dict.fromkeys(names[match] for match in get_close_matches(text, names, OFFERED, 0.7)))
    if near:
        return f"no schedule here is called {text}; did you mean {' or '.join(near)}?"
    hint = "`aspool schedules` lists what there is" if everything else "there are none: a worker makes those of its APP"
    return f"no schedule here is called {text}; {hint}"


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """What a shell offers for a name. Never fails: whatever is wrong is told when the verb runs."""
    try:
        known = [known for table in timetables(*place(ctx)) for known in table.schedules]
    except Exception:
        return []
    fitting = (one for one in known if one.name.startswith(incomplete) and one.name.isprintable())
    return [CompletionItem(one.name, help=safe(words.fires(one.record))) for one in fitting]


def place(ctx: click.Context) -> tuple[str | None, str | None]:
    """--app and -d, which may also stand before the verb: `aspool schedules -d spool run nightly`."""
    above: Mapping[str, Any] = ctx.parent.params if ctx.parent is not None else {}
    return ctx.params.get("app") or above.get("app"), ctx.params.get("address") or above.get("address")


# --- records -----------------------------------------------------------------------------------------------------


def as_record(known: Known, count: int) -> dict[str, Any]:
    """A schedule as JSON has it, with so many of its next moments."""
    record, trigger = known.record, known.record.trigger
    left = record.iterations_left
    return {
        "spool": known.spool.address,
        "name": known.name,
        "task": record.schedule.task,
        "kind": trigger.kind,
        "expression": getattr(trigger, "expression", None),
        "words": words.fires(record),
        "tz": getattr(trigger, "tz", None),
        "seconds": None if isinstance(trigger, Cron) else getattr(trigger, "seconds", None),
        "iterations": getattr(trigger, "iterations", None),
        "iterations_left": None if left == math.inf else left,
        "path": getattr(trigger, "path", None),
        "signal": getattr(trigger, "signal", None),
        "target": record.schedule.options.target,
        "state": known.state,
        "known": None if known.known is None else output.at(known.known),
        "runtime": record.schedule.runtime,
        "last": None if record.last is None else local(known, record.last),
        "last_id": record.last_id,
        "last_state": known.last.state or None,
        "next": [local(known, moment) for moment in known.upcoming(count)],
        "end": _end(known),
        "options": options_of(record.schedule),
    }


def local(known: Known, timestamp: float) -> datetime:
    """A moment in the schedule's zone; UTC where it has none."""
    found = output.at(timestamp)
    return found if known.zone is None else found.astimezone(known.zone)


def _end(known: Known) -> dict[str, Any] | None:
    end = known.record.end
    if end is None:
        return None
    return {
        "state": end.state,
        "moment": local(known, end.moment),
        "ended": output.at(end.ended),
        "took": end.took,
        "reason": end.reason,
    }


def options_of(schedule: Schedule) -> dict[str, Any]:
    """The options of a schedule and of its messages."""
    from dataclasses import asdict

    own = {name: value for name, value in asdict(schedule.options).items() if name != "target"}
    return {**own, "priority": schedule.priority, **schedule.message}
