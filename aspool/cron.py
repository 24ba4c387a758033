"""Cron, a value: an expression and a zone -> the firing after a moment.

Which times of a wall clock match is croniter's part, and croniter is used here only; what happens to them when that
clock is changed is decided here.
"""

import math
import re
from bisect import bisect_left
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from .errors import ScheduleRefused
from .moments import LATEST

if TYPE_CHECKING:
    from croniter import croniter

LONGEST_CHANGE = 3 * 3600  # seconds: as for Vixie cron, a clock that was changed by more simply has a new time
LONGEST_EXPRESSION = 1000  # characters
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_SOME_WALL_TIME = 1_704_067_200  # 2024: each week day has a 29 February in the 50 years that croniter looks ahead
_HASHED = re.compile(r"[hr](\(.*\))?(/.*)?", re.IGNORECASE)
_ONE_VALUE = re.compile(r"(\w+)-\1(/\d+)?(#\d+)?", re.IGNORECASE)
_ABBREVIATION = re.compile(r"[A-Z]{3,4}")  # CEST, PST: several zones have it, or only a part of the year
_OF_THE_MONTH = re.compile(r"#|^l\d|w\d|\dw", re.IGNORECASE)  # 5#2, L5; W15, 15W


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments at which the clock on the wall of zone `tz` shows what `expression` says.

    Five fields: minute 0-59, hour 0-23, day of the month 1-31, month 1-12, day of the week 0-7 (0 and 7 are Sunday);
    with `seconds` a sixth before them. In each `*`, `5`, `1-5`, `22-2`, `*/5`, `10-50/20`, `10/20` and lists `1,15`;
    names (`MON`, `JAN`) in any case; `L` as the last day of a month, `15W` as the working day nearest to the 15th;
    `5#2` as the second Friday of a month, `L5` as the last. Words: `@yearly`, `@annually`, `@monthly`, `@weekly`,
    `@daily`, `@midnight`, `@hourly`.

    If both days are given, either is enough, unless one of them begins with `*` (Vixie cron's rule), or `day_and` asks
    for both.

    When the clock is changed by up to 3 h: an expression whose minute or hour begins with `*` is an interval, and goes
    on by what the clock shows, also when it shows an hour twice. Any other fires once: at the change if its time is
    left out, the first time if it comes twice.
    """

    expression: str
    tz: str = "UTC"
    seconds: bool = False
    day_and: bool = False
    kind: Literal["cron"] = "cron"

    def check(self) -> None:
        """Raises ScheduleRefused for an expression that is wrong or can never match, and for an unknown zone."""
        if not isinstance(self.expression, str):
            raise ScheduleRefused(f"a cron expression is a text such as '*/5 * * * *', and not {self.expression!r}")
        if not isinstance(self.tz, str):
            raise ScheduleRefused(f"tz={self.tz!r} is no name of a zone: give one such as 'Europe/Paris'")
        for name, value in (("seconds", self.seconds), ("day_and", self.day_and)):
            if not isinstance(value, bool):
                raise ScheduleRefused(f"{name} of a cron must be True or False, not {value!r}")
        _plan(self)

    def next_after(self, moment: float, since: float = 0.0) -> float | None:  # noqa: ARG002 - timers use it
        """The first firing after a moment, both UNIX timestamps; None after the year 2286. `since` is ignored.

        Raises ScheduleRefused as `check` does.
        """
        if not moment < LATEST:
            return None
        found = _plan(self).first_after(math.floor(max(moment, -1.0)))  # firings are whole seconds
        return float(found) if found <= LATEST else None


def uwsgi_cron(
    minute: int = -1, hour: int = -1, day: int = -1, month: int = -1, weekday: int = -1, *, tz: str = "UTC"
) -> Cron:
    """uWSGI's five numbers as a Cron: -1 is every value, -N every value that N divides; week day 7 is 0, Sunday.

    Days and months are divided as they are written: month -2 is February, April … No minute from 1 to 59 is divided by
    61, so that -61 is 0. Day and week day: either is enough if both are 0 or more, else both must match.
    Raises ScheduleRefused for a number that no such value has.
    """
    fields = zip(_FIELDS[1:], (minute, hour, day, month, weekday), strict=True)
    expression = " ".join(field.of_uwsgi(number) for field, number in fields)
    return Cron(expression, tz, day_and=day < 0 or weekday < 0)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A Cron that was read. Wall times are what the clock on the wall shows, in seconds, as if it were UTC."""

    matches: "croniter"
    zone: tzinfo
    is_interval: bool

    def first_after(self, moment: int) -> int:
        """The first firing after an instant."""
        wall = moment + self._offset_at(moment)
        before, after = self._offsets(wall)
        if before <= after:
            return self._fires(self.match_after(wall))
        # This time is shown twice, before `change` and after it; `new` is the first that is no repetition.
        change = self._change(wall, before, after)
        new = change + before
        repeats = self._goes_by_the_clock(before - after)
        if moment < change:
            match = self.match_after(wall)
            if match < new or not repeats:
                return self._fires(match)
            wall = change + after - 1
        elif not repeats:
            wall = new - 1
        match = self.match_after(wall)
        return match - after if match < new else self._fires(match)

    def _fires(self, wall: int) -> int:
        """The instant of a wall time that matches: when it is first shown, or the change that leaves it out."""
        before, after = self._offsets(wall)
        if before >= after:
            return wall - before
        change = self._change(wall, before, after)
        if self._goes_by_the_clock(after - before):
            return self._fires(self.match_after(change + after - 1))
        return change

    def _goes_by_the_clock(self, changed: int) -> bool:
        return self.is_interval or changed > LONGEST_CHANGE

    def match_after(self, wall: int) -> int:
        walk = copy(self.matches)  # it keeps its place, and threads share the plan
        return int(walk.get_next(float, wall))

    def _offset_at(self, moment: int) -> int:
        return _seconds_east(self.zone, datetime.fromtimestamp(moment, self.zone))

    def _offsets(self, wall: int) -> tuple[int, int]:
        """The seconds east of UTC before and after the change around a wall time; the same twice if there is none."""
        local = datetime.fromtimestamp(wall, UTC).replace(tzinfo=self.zone)
        return _seconds_east(self.zone, local), _seconds_east(self.zone, local.replace(fold=1))

    def _change(self, wall: int, before: int, after: int) -> int:
        """The instant of the change that repeats or leaves out a wall time."""
        instants = range(wall - max(before, after), wall - min(before, after) + 1)
        return instants[bisect_left(instants, True, key=lambda moment: self._offset_at(moment) == after)]


def _seconds_east(zone: tzinfo, local: datetime) -> int:
    offset = zone.utcoffset(local)
    assert offset is not None
    return offset.days * 86400 + offset.seconds


# --- reading ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _plan(cron: Cron) -> _Plan:
    """Raises ScheduleRefused."""
    from croniter import CroniterBadDateError, CroniterError, croniter

    text, zone, either = _readable(cron), _zone(cron.tz), not cron.day_and
    try:
        matches = croniter(text, 0.0, float, day_or=either, implement_cron_bug=True, second_at_beginning=cron.seconds)
    except CroniterError:
        raise _wrong(cron, _unreadable(text.split())) from None
    minute, hour = matches.expressions[:2]
    plan = _Plan(matches, zone, minute.startswith("*") or hour.startswith("*"))
    try:
        plan.match_after(_SOME_WALL_TIME)
    except CroniterBadDateError:
        raise ScheduleRefused(_never(cron, *matches.expressions[2:5])) from None
    return plan


def _readable(cron: Cron) -> str:
    """The expression for croniter; raises ScheduleRefused where croniter would read something else."""
    if len(cron.expression) > LONGEST_EXPRESSION:
        raise ScheduleRefused(
            f"a cron expression may have {LONGEST_EXPRESSION} characters, and this one has {len(cron.expression)}"
        )
    texts = cron.expression.split()
    if texts and texts[0].startswith("@"):
        return _word(cron, " ".join(texts).lower())
    fields = _FIELDS if cron.seconds else _FIELDS[1:]
    if len(texts) != len(fields):
        raise _wrong(cron, _miscounted(len(texts), cron.seconds))
    texts = [_without_ranges_of_one(text) for text in texts]
    for field, text in zip(fields, texts, strict=True):
        odd = field.odd(text)
        if odd is not None:
            raise _wrong(cron, odd)
    day, _, weekday = texts[-3:]
    if not cron.day_and and _are_too_much(day, weekday):
        raise _wrong(
            cron,
            f"the day of the month is {day!r} and the day of the week {weekday!r}, and of these only one can be given: "
            "make two schedules",
        )
    return " ".join(texts)


def _word(cron: Cron, word: str) -> str:
    if word == "@reboot":
        raise _wrong(cron, "a spool does not start with a machine; let what starts your program spool the task")
    if word not in _WORDS:
        raise _wrong(cron, f"the words are {', '.join(_WORDS)}")
    return word


def _without_ranges_of_one(text: str) -> str:
    """croniter takes 5-5 for all values, as it takes 7-7 and SUN-SUN."""
    items = (re.sub(r"\b0+(?=\d)", "", item) for item in text.split(","))
    return ",".join(_ONE_VALUE.sub(r"\1\3", item) if _ONE_VALUE.fullmatch(item) else item for item in items)


def _are_too_much(day: str, weekday: str) -> bool:
    """croniter drops one of two days, either of which is enough, if the other is such a day as the second Friday."""
    either = not day.startswith(("*", "?")) and not weekday.startswith(("*", "?"))
    return either and any(_OF_THE_MONTH.search(item) for item in [*weekday.split(","), day])


def _miscounted(number: int, seconds: bool) -> str:
    fields = _FIELDS if seconds else _FIELDS[1:]
    needed = f"{len(fields)} are needed: {', '.join(field.name for field in fields)}"
    if number == 6:
        return f"it has 6 fields: say seconds=True if the first of them is the second; otherwise {needed}"
    if number == 7:
        return f"it has 7 fields, and a year cannot be given; {needed}"
    return f"it has {number} field{'' if number == 1 else 's'}, and {needed}" + (
        ", for seconds=True" if seconds else ""
    )


def _unreadable(texts: list[str]) -> str:
    fields = zip(_FIELDS[-len(texts) :], texts, strict=True)
    return next((field.unreadable(text) for field, text in fields if not field.is_read(text)), "it cannot be read")


def _wrong(cron: Cron, why: str) -> ScheduleRefused:
    return ScheduleRefused(f"the cron expression {cron.expression!r} is wrong: {why}")


def _never(cron: Cron, day: str, month: str, weekday: str) -> str:
    where = "in any month" if month.startswith("*") else f"in month {month}"
    which = "" if weekday.startswith(("*", "?")) else f" that is day {weekday} of the week"
    return f"the cron expression {cron.expression!r} never matches: there is no day {day} {where}{which}"


# --- fields ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of an expression: its place for croniter, its name, and the values that it has."""

    at: int
    name: str
    low: int
    high: int
    also: str = ""

    @property
    def count(self) -> int:
        """How many values it has."""
        return 7 if self.name == "day of the week" else self.high - self.low + 1

    @property
    def allowed(self) -> str:
        return f"from {self.low} to {self.high}{self.also}"

    def odd(self, text: str) -> str | None:
        """What is wrong, in words, with a text that croniter reads, but not as it is meant."""
        items = text.split(",")
        if any(_HASHED.fullmatch(item) for item in items):
            return f"the {self.name} is {text!r}, and hashed and random values (H, R) are not known here"
        if any(int(step) > self.count for step in re.findall(r"/([0-9]+)", text)):
            return (
                f"the {self.name} is {text!r}, and a step is at most {self.count}: for longer intervals there are "
                "timers"
            )
        if len({bool(_OF_THE_MONTH.search(item)) for item in items}) > 1:
            return f"the {self.name} is {text!r}, and such values cannot be mixed: make two schedules"
        return None

    def unreadable(self, text: str) -> str:
        """What is wrong, in words, with a text that croniter does not read."""
        value = next((item for item in text.split(",") if item and not self.is_read(item)), text)
        numbers = [int(number) for number in re.findall(r"[0-9]+", re.split(r"[/#]", value)[0])]
        if any(not self.low <= number <= self.high for number in numbers):
            return f"the {self.name} is {value!r}, and goes {self.allowed}"
        return (
            f"the {self.name} is {value!r}, which cannot be read: it goes {self.allowed}, "
            "with ranges (1-5), steps (*/5) and lists (1,15)"
        )

    def is_read(self, text: str) -> bool:
        from croniter import CroniterError, croniter

        texts = ["*"] * 6
        texts[self.at] = text
        try:
            croniter.expand(" ".join(texts))
        except CroniterError:
            return False
        return True

    def of_uwsgi(self, number: int) -> str:
        """The text of a number of uWSGI's; raises ScheduleRefused."""
        if not isinstance(number, int) or isinstance(number, bool):
            hint = ": write an expression, such as '0 */3 * * *'" if isinstance(number, str) else ""
            raise ScheduleRefused(f"the {self.name} of a cron in numbers is a whole number, and not {number!r}{hint}")
        if number == -1:
            return "*"
        if number < 0 and self.low == 0:
            return f"*/{-number}" if -number <= self.count else "0"
        if -self.high <= number < 0:
            return f"{-number}-{self.high}/{-number}"
        if self.low <= number <= self.high:
            return str(number)
        if number < 0:
            raise ScheduleRefused(f"the {self.name} is {number}, and no {self.name} is divided by {-number}")
        raise ScheduleRefused(
            f"the {self.name} is {number}, and goes {self.allowed}; -1 is every one, -2 every second one"
        )


_FIELDS = (
    _Field(5, "second", 0, 59),
    _Field(0, "minute", 0, 59),
    _Field(1, "hour", 0, 23),
    _Field(2, "day of the month", 1, 31, ", or L for the last"),
    _Field(3, "month", 1, 12, ", or JAN to DEC"),
    _Field(4, "day of the week", 0, 7, " (0 and 7 are Sunday), or SUN to SAT"),
)


# --- zones -----------------------------------------------------------------------------------------------


def _zone(name: str) -> tzinfo:
    """Raises ScheduleRefused if there is none of that name."""
    if name == "UTC":
        return UTC  # also where there is no zone database
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # unknown; a directory or a name too long; a path, or no file of a zone
        raise ScheduleRefused(_unknown_zone(name)) from None


def _unknown_zone(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    name = name[:100]
    zones = available_timezones()
    if not zones:
        return f"the zone {name!r} cannot be read: this system has no zone database; `pip install tzdata` brings one"
    if _ABBREVIATION.fullmatch(name):
        return f"there is no zone {name!r}: a zone is named by a place in it, such as 'Europe/Paris'"
    known = {zone.lower(): [zone] for zone in zones}
    for zone in sorted(zones):
        if zone.rpartition("/")[2].lower() != zone.lower():  # a name may be that of several
            known.setdefault(zone.rpartition("/")[2].lower(), []).append(zone)
    matches = get_close_matches(name.lower().replace(" ", "_"), known, 3, 0.7)
    near = list(dict.fromkeys(zone for match in matches for zone in known[match]))[:3]
    return f"there is no zone {name!r}" + (f"; there is {', '.join(repr(zone) for zone in near)}" if near else "")
