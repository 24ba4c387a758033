"""Vixie cron, as plain as can be: it walks every minute of real time with its virtual clock, and a field is a set."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

NAMES = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
NAMES |= {name: at for at, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug"), 1)}
NAMES |= {"sep": 9, "oct": 10, "nov": 11, "dec": 12}
JUMP = 180  # minutes: a jump of more is no change of summer time


class Minute(NamedTuple):
    """A minute that a clock shows; `number` counts them."""

    number: int
    minute: int
    hour: int
    day: int
    month: int
    weekday: int  # Sunday is 0
    last_day: int

    @classmethod
    def of(cls, shown: datetime) -> "Minute":
        return minute(shown.toordinal() * 1440 + shown.hour * 60 + shown.minute)


@lru_cache(maxsize=20_000)  # zones show the same minutes
def minute(number: int) -> Minute:
    days, minutes = divmod(number, 1440)
    day = date.fromordinal(days)
    last_day = monthrange(day.year, day.month)[1]
    return Minute(number, minutes % 60, minutes // 60, day.day, day.month, day.isoweekday() % 7, last_day)


class Run(NamedTuple):
    """At an instant Vixie cron looks for the jobs of the minute that is shown: wild or fixed ones, or both."""

    instant: int
    shown: Minute
    wild: bool
    fixed: bool
    late: bool = False  # the minute was left out: what runs for it runs at once, whatever its second


@dataclass(frozen=True)
class Job:
    """An expression of five fields, or of six with the seconds first."""

    text: str
    both: bool = False
    fields: list[str] = field(init=False)
    seconds: set[int] = field(init=False)
    minutes: set[int] = field(init=False)
    hours: set[int] = field(init=False)
    months: set[int] = field(init=False)

    def __post_init__(self) -> None:
        *second, minutes, hour, day, month, weekday = self.text.lower().split()
        set_ = object.__setattr__
        set_(self, "fields", [minutes, hour, day, month, weekday])
        set_(self, "seconds", values(second[0], 0, 59) if second else {0})
        set_(self, "minutes", values(minutes, 0, 59))
        set_(self, "hours", values(hour, 0, 23))
        set_(self, "months", values(month, 1, 12))

    @property
    def is_wild(self) -> bool:
        return self.fields[0][0] == "*" or self.fields[1][0] == "*"

    def matches(self, shown: Minute) -> bool:
        if shown.minute not in self.minutes or shown.hour not in self.hours or shown.month not in self.months:
            return False
        day, weekday = self.fields[2], self.fields[4]
        of_month, of_week = day_matches(day, shown), weekday_matches(weekday, shown)
        if self.both or day[0] == "*" or weekday[0] == "*":
            return of_month and of_week
        return of_month or of_week

    def runs(self, walked: Sequence[Run]) -> list[int]:
        """The instants at which it runs, in order; the same instant twice if it runs twice at once."""
        is_wild = self.is_wild
        due = [run for run in walked if (run.wild if is_wild else run.fixed) and self.matches(run.shown)]
        return sorted(run.instant + (0 if run.late else second) for run in due for second in self.seconds)


def values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (number(end) for end in span.split("-"))
        else:
            first, last = number(span), high if step else number(span)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def number(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)


def day_matches(text: str, shown: Minute) -> bool:
    plain = [item for item in text.split(",") if item != "l"]
    is_plain = bool(plain) and shown.day in values(",".join(plain), 1, 31)
    return is_plain or ("l" in text.split(",") and shown.day == shown.last_day)


def weekday_matches(text: str, shown: Minute) -> bool:
    if "#" in text:
        weekday, nth = text.split("#")
        return number(weekday) % 7 == shown.weekday and (shown.day - 1) // 7 + 1 == int(nth)
    if text[0] == "l":
        return int(text[1:]) % 7 == shown.weekday and shown.day + 7 > shown.last_day
    return shown.weekday in {value % 7 for value in values(text, 0, 7)}


def walk(zone: tzinfo, start: int, end: int) -> list[Run]:
    """What Vixie cron looks for at each minute from `start` up to `end`, timestamps of whole minutes."""
    return list(_walk(zone, start, end))


def _walk(zone: tzinfo, start: int, end: int) -> Iterator[Run]:
    virtual = Minute.of(datetime.fromtimestamp(start - 60, zone)).number  # all that was due until then has run
    for instant in range(start, end, 60):
        shown = Minute.of(datetime.fromtimestamp(instant, zone))
        jump = shown.number - virtual
        if jump == 1 or jump > JUMP or jump <= -JUMP:
            yield Run(instant, shown, wild=True, fixed=True)
            virtual = shown.number
        elif jump > 1:
            for missed in range(virtual + 1, shown.number):
                yield Run(instant, minute(missed), wild=False, fixed=True, late=True)
            yield Run(instant, shown, wild=True, fixed=True)
            virtual = shown.number
        else:
            yield Run(instant, shown, wild=True, fixed=False)
