"""Schedules in words: what fires one, when, and how long it took. Values -> text; nothing is looked up here."""

import itertools
import math
import os
import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from ..cron import Cron
from ..schedule_record import Record
from ..schedules import FileMonitor, Signal, Timer, Trigger
from . import output

_WORDS = {  # as Vixie cron has them
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = (("day", "days", 86_400.0), ("hour", "h", 3600.0), ("minute", "min", 60.0), ("second", "s", 1.0))
_EVERY_DAY = ("*", "?")
_STEPS = (60, 60, 24, 30, 12, 7)  # the longest that are what they say: of seconds, minutes, hours …
NEAR = 10.0  # seconds


def fires(record: Record, *, short: bool = False) -> str:
    """What fires a schedule: "At 02:30", "every 10 s, 2 times in all, 1 left". `short`: paths as seen from here."""
    trigger = record.trigger
    if isinstance(trigger, Timer):
        return every(trigger.seconds) + _iterations(trigger, record)
    if isinstance(trigger, FileMonitor) and short:
        return trigger_words(FileMonitor(_from_here(trigger.path)))
    return trigger_words(trigger)


def _from_here(path: str) -> str:
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here) or path


def trigger_words(trigger: Trigger) -> str:
    """What fires, without what has become of it."""
    if isinstance(trigger, Timer):
        return every(trigger.seconds)
    if isinstance(trigger, Cron):
        return cron(trigger)
    if isinstance(trigger, FileMonitor):
        return f"when {trigger.path} changes"
    if isinstance(trigger, Signal):
        return f"when the signal {trigger.signal} is raised"
    return "when it is started"


def every(seconds: float) -> str:
    """An interval, exactly: every hour, every 90 min, every 0.5 s."""
    fitting = (unit for unit in _UNITS if seconds >= unit[2] and seconds % unit[2] == 0)
    one, many, length = next(fitting, _UNITS[-1])
    number = f"{seconds / length:.6f}".rstrip("0").rstrip(".")
    return f"every {one}" if number == "1" else f"every {number} {many}"


def _iterations(trigger: Timer, record: Record) -> str:
    if trigger.iterations is None:
        return ""
    return f", {output.count(trigger.iterations, 'time')} in all, {record.iterations_left:,.0f} left"


def zone_of(record: Record, now: float) -> str:
    """The zone of a schedule, in short, if this machine has another one: "Paris"; "" if it does not matter."""
    trigger = record.trigger
    if not isinstance(trigger, Cron) or _hours(trigger.expression) == ["*"] * 4:
        return ""
    zone = ZoneInfo(trigger.tz)
    near = [output.at(moment) for moment in (now, now + 182 * output.DAY)]  # in summer and in winter
    is_ours = all(moment.astimezone(zone).utcoffset() == moment.astimezone().utcoffset() for moment in near)
    return "" if is_ours else trigger.tz.rpartition("/")[2].replace("_", " ")


def _hours(expression: str) -> list[str]:
    """The fields from that of the hour on, which say nothing of a zone if all are stars."""
    return _WORDS.get(expression.lower(), expression).split()[-4:]


# --- crons -----------------------------------------------------------------------------------------------


def cron(trigger: Cron) -> str:
    """A cron in words; the expression itself where there are none for it."""
    try:
        return _described(trigger) or trigger.expression
    except Exception:  # a library's, about an expression that may be anybody's
        return trigger.expression


def _described(trigger: Cron) -> str | None:
    text = " ".join(trigger.expression.split())
    fields = _WORDS.get(text.lower(), text).upper().split()
    # Seven, as cron-descriptor takes the last of six for a year now and then.
    clock, (day, month, weekday) = fields[:-3] if len(fields) == 6 else ["0", *fields[:-3]], fields[-3:]
    day = re.sub(r"\bW(\d+)", r"\1W", day)
    if _is_misread(clock, weekday) or _steps_too_far([*clock, day, month, weekday]):
        return None

    def words(day: str, weekday: str) -> str:
        return _full(" ".join([*clock, day, month, weekday, "*"]))

    if day in _EVERY_DAY or weekday in _EVERY_DAY:
        return words(day, weekday)
    if trigger.day_and or day.startswith("*") or weekday.startswith("*"):
        return words(day, "*") + _weekdays(weekday)
    other = words("*", weekday)
    return f"{words(day, '*')}; or {other[:1].lower()}{other[1:]}"


def _is_misread(clock: Sequence[str], weekday: str) -> bool:
    """cron-descriptor takes 1-2/2 for every second week, and 50-10 for minutes that go backwards."""
    ranges = [found for field in clock[:2] for found in re.findall(r"(\d+)-(\d+)", field)]
    return ("/" in weekday and not weekday.startswith("*/")) or any(int(low) > int(high) for low, high in ranges)


def _steps_too_far(fields: Sequence[str]) -> bool:
    """*/90 of 60 minutes is every hour, and "every 90 minutes" in cron-descriptor's words."""
    steps = ((int(step), most) for field, most in zip(fields, _STEPS, strict=True)
             for step in re.findall(r"/(\d+)", field))  # fmt: skip
    return any(step > most for step, most in steps)


def _full(expression: str) -> str:
    from cron_descriptor import ExpressionDescriptor, Options

    options = Options(locale_code="en_US", use_24hour_time_format=True)
    return str(ExpressionDescriptor(expression, options).get_description())


def _weekdays(weekday: str) -> str:
    """As ", only on Friday"."""
    from cron_descriptor import DescriptionTypeEnum, ExpressionDescriptor, Options

    options = Options(locale_code="en_US", use_24hour_time_format=True)
    descriptor = ExpressionDescriptor(f"0 0 0 * * {weekday} *", options)
    return str(descriptor.get_description(DescriptionTypeEnum.DAYOFWEEK))


# --- moments ---------------------------------------------------------------------------------------------


def moment(timestamp: float, now: float, zone: tzinfo | None) -> str:
    """A near moment by its distance, another one by date and time."""
    found = output.at(timestamp)
    return output.moment(found) if abs(timestamp - now) <= output.DAY else moments([timestamp], now, zone)


def soon(timestamps: Sequence[float], now: float, zone: tzinfo | None) -> str:
    """The next moments; of those that are soon over only the first one, by its distance."""
    if any(after - before < NEAR for before, after in itertools.pairwise(timestamps)):
        return moment(timestamps[0], now, zone)
    return moments(timestamps, now, zone)


def moments(timestamps: Sequence[float], now: float, zone: tzinfo | None) -> str:
    """The next moments on the clock of a zone (None: of this machine): today's as times, others behind their date."""
    form = _form(timestamps, now)
    told, before = [], output.at(now).astimezone(zone)
    for timestamp in timestamps:
        local = output.at(timestamp).astimezone(zone)
        told.append(
            _clock(local, form) if local.date() == before.date() else f"{_date(local, before)} {_clock(local, form)}"
        )
        before = local
    return ", ".join(told)


def _form(timestamps: Sequence[float], now: float) -> str:
    """Tenths of seconds where moments are near to each other, no seconds where nobody needs them."""
    steps = [after - before for before, after in zip([now, *timestamps], timestamps, strict=False)]
    apart = min(steps[1:] or steps, default=math.inf)
    if apart < 1.0:
        return "tenths"
    if apart < 600.0 and any(timestamp % 60 for timestamp in timestamps):
        return "seconds"
    whole = any(timestamp % 60 and timestamp % 1 == 0 for timestamp in timestamps)  # a cron that has seconds
    return "seconds" if whole else "minutes"


def _clock(local: datetime, form: str) -> str:
    if form == "tenths":
        return f"{local:%H:%M:%S}.{local.microsecond // 100_000}"
    return f"{local:%H:%M:%S}" if form == "seconds" else f"{local:%H:%M}"


def _date(local: datetime, before: datetime) -> str:
    return f"{local.day} {local:%b}" if local.year == before.year else f"{local.day} {local:%b %Y}"


def took(seconds: float) -> str:
    """How long a run took."""
    if seconds < 0.001:
        return "<1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else output.duration(seconds)
