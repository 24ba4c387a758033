"""Schedules as values: what fires (timers, file monitors, signals; crons: cron.py), and what is to be done then.

No clock is asked here, and nothing fires: see firing.py.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, TypedDict

from .cron import Cron, uwsgi_cron
from .errors import ScheduleRefused
from .moments import LATEST

SHORTEST = 0.001  # seconds between two firings of a timer
LONGEST = 10 * 366 * 86_400.0  # seconds
LONGEST_NAME = 300  # bytes
LEAST_GRACE = 0.1  # seconds: a worker is always a little late
SIGNAL_PATTERN = re.compile(r"[^\x00-\x1f\x7f/]{1,100}")

Missed = Literal["skip", "latest", "all"]
Overlap = Literal["queue", "skip"]
Fire = Literal["at-least-once", "at-most-once"]
Target = Literal["spooler", "workers"]
_CHOICES = {
    "missed": ("skip", "latest", "all"),
    "overlap": ("queue", "skip"),
    "fire": ("at-least-once", "at-most-once"),
    "target": ("spooler", "workers"),
}


@dataclass(frozen=True, slots=True)
class Timer:
    """Fires every `seconds` after it was started, `iterations` times (None: for ever)."""

    seconds: float
    iterations: int | None = None
    kind: Literal["timer"] = "timer"

    def check(self) -> None:
        """Raises ScheduleRefused."""
        if not _is_number(self.seconds) or not SHORTEST <= self.seconds <= LONGEST:
            raise ScheduleRefused(
                f"a timer's seconds must be a number from {SHORTEST} to {LONGEST:.0f}, not {self.seconds!r}"
            )
        if self.iterations is not None and not (type(self.iterations) is int and self.iterations >= 1):
            raise ScheduleRefused(f"iterations must be a whole number from 1, not {self.iterations!r}")

    def next_after(self, moment: float, since: float) -> float | None:
        """The first firing after a moment. It is reckoned from the start, so that nothing adds up."""
        count = max(1, math.floor((moment - since) / self.seconds))
        while (found := round(since + count * self.seconds, 6)) <= moment:
            count += 1
        return found


@dataclass(frozen=True, slots=True)
class FileMonitor:
    """Fires when a file, or an entry of a directory, appears or changes."""

    path: str
    kind: Literal["filemon"] = "filemon"

    def check(self) -> None:
        """Raises ScheduleRefused."""
        if not self.path or "\0" in self.path or not _is_unicode(self.path):
            raise ScheduleRefused(f"{self.path!r} is no path that could be watched: give one that is Unicode")

    def next_after(self, moment: float, since: float) -> float | None:  # noqa: ARG002 - as all triggers
        """Nobody knows."""
        return None


@dataclass(frozen=True, slots=True)
class Signal:
    """Fires when somebody raises the signal of that name."""

    signal: str
    kind: Literal["signal"] = "signal"

    def check(self) -> None:
        """Raises ScheduleRefused."""
        if not isinstance(self.signal, str) or not SIGNAL_PATTERN.fullmatch(self.signal):
            raise ScheduleRefused(
                f"the signal {self.signal!r} cannot be: its name is 1 to 100 characters, none of them a slash or a "
                "control character"
            )

    def next_after(self, moment: float, since: float) -> float | None:  # noqa: ARG002 - as all triggers
        """Nobody knows."""
        return None


@dataclass(frozen=True, slots=True)
class Unset:
    """A lazy schedule for which `start` has to say what fires it; what else there is to say was said."""

    of: Literal["timer", "cron", "filemon"]
    iterations: int | None = None
    tz: str = ""
    kind: Literal["unset"] = "unset"

    def check(self) -> None:
        """It is fine as long as it is not started. Raises ScheduleRefused for what was said of it."""
        Timer(1.0, self.iterations).check()
        if self.tz:
            Cron("@daily", self.tz).check()

    def next_after(self, moment: float, since: float) -> float | None:  # noqa: ARG002 - as all triggers
        """Never."""
        return None


Trigger = Timer | Cron | FileMonitor | Signal | Unset
When = float | timedelta | str | os.PathLike[str]  # what is first said of a trigger: seconds, an expression, a path
_NUMBERS = ("minute", "hour", "day", "month", "weekday")
_CHANGES = {
    "timer": ("seconds", "iterations"),
    "cron": ("expression", "tz", *_NUMBERS),
    "filemon": ("path",),
    "signal": (),
}


def kind_of(trigger: Trigger) -> str:
    """What it is, or is to be once it is started."""
    return trigger.of if isinstance(trigger, Unset) else trigger.kind


def changed(trigger: Trigger, changes: Mapping[str, Any], tz: str, when: When | None = None) -> Trigger:
    """A trigger with what `start` changes in it: seconds and iterations, an expression (or numbers) and a zone, a path.

    `when` is the first of these without its name. Raises ScheduleRefused for what a trigger of its kind does not have,
    and for values that cannot be.
    """
    kind = kind_of(trigger)
    given = dict(changes) if when is None else _named(kind, when, changes)
    if odd := [name for name in given if name not in _CHANGES[kind]]:
        has = " and ".join(_CHANGES[kind]) or "nothing to be changed"
        raise ScheduleRefused(f"a {kind} has no {odd[0]}: it has {has}")
    for name, plain in (("seconds", in_seconds), ("path", absolute)):
        if name in given:
            given[name] = plain(given[name])
    made = _changed(trigger, kind, given, tz)
    made.check()
    return made


def _named(kind: str, when: When, changes: Mapping[str, Any]) -> dict[str, Any]:
    if not _CHANGES[kind]:
        raise ScheduleRefused(f"a {kind} has nothing to be changed, so start() takes nothing, not {when!r}")
    first = _CHANGES[kind][0]
    if first in changes:
        raise ScheduleRefused(f"{first} is given twice: {when!r} and {changes[first]!r}")
    return {first: when, **changes}


def _changed(trigger: Trigger, kind: str, changes: dict[str, Any], tz: str) -> Trigger:
    if not isinstance(trigger, Unset) and not changes:
        return trigger
    if kind == "cron":
        return _changed_cron(trigger, changes, tz)
    if not isinstance(trigger, Unset):
        return replace(trigger, **changes)
    wanted = _CHANGES[kind][0]
    if wanted not in changes:
        raise ScheduleRefused(f"it is a lazy {kind} without {wanted}: say with start({wanted}=…) when it fires")
    if kind == "filemon":
        return FileMonitor(**changes)
    return Timer(**{"iterations": trigger.iterations, **changes})


def _changed_cron(trigger: Trigger, changes: dict[str, Any], tz: str) -> Trigger:
    tz = changes.pop("tz", trigger.tz if isinstance(trigger, Cron) else tz)
    if any(name in changes for name in _NUMBERS):
        if "expression" in changes:
            raise ScheduleRefused("a cron has an expression or numbers, not both")
        return uwsgi_cron(**changes, tz=tz)
    if isinstance(trigger, Cron):
        return replace(trigger, tz=tz, **changes)
    if not changes:
        raise ScheduleRefused('it is a lazy cron without an expression: say with start(expression="…") when it fires')
    return Cron(changes["expression"], tz)


class OwnOptions(TypedDict, total=False):
    """The options that a schedule has beside those of its task, as they are given; see ScheduleOptions."""

    missed: Missed
    grace: float
    overlap: Overlap
    jitter: float
    fire: Fire
    target: Target
    lazy: bool


OWN_OPTIONS = frozenset(OwnOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """What a schedule does beside its task's options. Seconds are floats.

    A moment that is more than `grace` late was missed; for a timer with `missed` "skip" or "latest" also one that is
    more than five times its seconds late, so that a fast one makes no burst after a restart. `jitter` is the most by
    which a message is put off.
    """

    missed: Missed = "latest"
    grace: float = 5.0
    overlap: Overlap = "queue"
    jitter: float = 0.0
    fire: Fire = "at-least-once"
    target: Target = "spooler"
    lazy: bool = False

    def check(self) -> None:
        """Raises ScheduleRefused, naming the option."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                listed = " or ".join(f'"{choice}"' for choice in choices)
                raise ScheduleRefused(f"{name} must be {listed}, not {getattr(self, name)!r}")
        if not isinstance(self.lazy, bool):
            raise ScheduleRefused(f"lazy must be True or False, not {self.lazy!r}")
        for name, least in (("grace", LEAST_GRACE), ("jitter", 0)):
            seconds = getattr(self, name)
            if not _is_number(seconds) or not least <= seconds <= LONGEST:
                raise ScheduleRefused(f"{name} must be a number of seconds from {least:g}, not {seconds!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What fires, and what is spooled then: a call of the task, with these arguments and options of its message.

    `runtime`: it was made by a program while it ran, and is kept until it is removed.
    """

    name: str
    task: str
    trigger: Trigger
    options: ScheduleOptions = field(default_factory=ScheduleOptions)
    arguments: str = ""  # JSON
    priority: int | None = None
    message: Mapping[str, Any] = field(default_factory=dict)  # options of each message
    runtime: bool = False

    def check(self) -> None:
        """Raises ScheduleRefused."""
        if not _is_unicode(self.name) or len(self.name.encode()) > LONGEST_NAME:
            raise ScheduleRefused(
                f"{self.name[:60]!r} cannot be the name of a schedule: it is at most {LONGEST_NAME} bytes of Unicode"
            )
        self.trigger.check()
        self.options.check()
        if isinstance(self.trigger, Unset) and not self.options.lazy:
            raise ScheduleRefused(f"{self.name}: say when it fires, or that it is lazy=True and started later")


# --- what is given for a trigger -------------------------------------------------------------------------------------


def absolute(path: str | os.PathLike[str]) -> str:
    """The path that a file monitor watches, whatever the working directory is later. Raises ScheduleRefused."""
    given = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(given, str):
        raise ScheduleRefused(f"a file monitor watches a path, a str or a Path, not {path!r}")
    return os.path.abspath(os.path.expanduser(given)) if given else ""


def in_seconds(seconds: float | timedelta) -> float:
    """The seconds of a timer, which may be given as a timedelta; whatever else it is, the timer says."""
    return seconds.total_seconds() if isinstance(seconds, timedelta) else seconds


def refuse_function(given: object, kind: str, needs: str, what: str) -> None:
    """Raises ScheduleRefused for a decorator without its parentheses, which is given the function."""
    if callable(given):
        raise ScheduleRefused(f"write @spooler.{kind}({needs}), with parentheses and {what}")


def cron_of(
    expression: str | None, numbers: Mapping[str, int], tz: str | None, *, seconds: bool = False, day_and: bool = False
) -> Cron | Unset:
    """The cron of an expression or of uWSGI's numbers; Unset if there is neither. Raises ScheduleRefused."""
    if tz == "":
        raise ScheduleRefused("tz='' is no name of a zone: give one such as 'Europe/Paris', or leave tz= out")
    zone = "" if tz is None else tz
    if expression is not None and numbers:
        raise ScheduleRefused(f"a cron has an expression or numbers, not both: {expression!r} and {dict(numbers)}")
    if expression is not None:
        return Cron(expression, zone, seconds, day_and)
    return uwsgi_cron(**numbers, tz=zone) if numbers else Unset("cron", tz=zone)


def refuse_positions(given: tuple[object, ...]) -> None:
    """Raises ScheduleRefused if a cron was given more than its expression, or numbers, without names."""
    if len(given) == 1 and not isinstance(given[0], int):
        return
    numbers = [number for number in given if isinstance(number, int) and not isinstance(number, bool)]
    if numbers != list(given) or len(numbers) > len(_NUMBERS):
        raise ScheduleRefused(
            'a cron takes one expression, and all else by its name: cron("59 3 * * *", tz="Europe/Paris") or '
            f"cron(minute=59, hour=3), not {given!r}"
        )
    cron = uwsgi_cron(*numbers)
    by_name = [f"{name}={number}" for name, number in zip(_NUMBERS, numbers, strict=False) if number != -1]
    text = f"write cron({', '.join(by_name) or 'minute=-1'})"
    # Of two days an expression would want either, and so these numbers have no expression alone.
    has_expression = not cron.day_and or -1 in (numbers + [-1] * 5)[2:5:2]
    raise ScheduleRefused(f'{text} or cron("{cron.expression}")' if has_expression else text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LATEST <= value <= LATEST


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: a path that is none has surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
