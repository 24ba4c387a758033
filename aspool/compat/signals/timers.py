"""Timers of the module `uwsgi`: what raises a signal when its time comes, or a file changes. Each is a schedule.

A module that is imported declares schedules of the code; what is added later is made in the spool, and stays there
until it is removed (`aspool schedules remove`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import index
from typing import Any, Unpack

from ...cron import uwsgi_cron
from ...errors import CallError, ScheduleRefused
from ...runtime import Wanted
from ...schedules import SHORTEST
from ..blocking import wait_for
from ..program import Program
from .firing import aim_of, arguments_of, function_of, options_of
from .places import TASK
from .registry import SIGNALS, Signal, registry_of

CYCLE = 1.0  # seconds: how often uWSGI's master fires what has no interval
LONGEST_PATH = 255  # bytes, with the zero at the end
Declare = Callable[..., Any]  # a method of the Spooler: it takes the options of a schedule


class Timers:
    """add_timer, add_rb_timer, add_ms_timer, add_cron, add_file_monitor."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._registry = registry_of(program)

    def add_timer(self, num: int, secs: int, /) -> None:
        """Raise a signal every so many seconds; fractions too, unless strict. 0 and less is never, as there.

        Raises ValueError for seconds that cannot be, TypeError.
        """
        seconds = self._seconds(secs)
        if seconds > 0:
            self._add_timer(num, "timer", seconds)

    def add_rb_timer(self, num: int, secs: int, iterations: int = 0, /) -> None:
        """The same, so many times after each start (0: for ever). 0 and less seconds is at once.

        Raises ValueError, TypeError.
        """
        seconds, times = self._seconds(secs), index(iterations)
        if seconds <= 0:
            seconds = SHORTEST if times > 0 else CYCLE
        self._add_timer(num, "rb_timer", seconds, times if times > 0 else None)

    def add_ms_timer(self, num: int, ms: int, /) -> None:
        """Raise a signal every so many milliseconds (uWSGI 2.1). Raises ValueError, TypeError."""
        if (milliseconds := index(ms)) > 0:
            self._add_timer(num, "ms_timer", milliseconds / 1000)

    def add_cron(self, num: int, minute: int, hour: int, day: int, month: int, weekday: int, /) -> bool:
        """Raise a signal when the clock shows these numbers, in the zone of the Spooler; -1 is every, -N every N.

        Raises ValueError for numbers that never come, which strict takes, as there; TypeError.
        """
        number, numbers = _number(num), [index(each) for each in (minute, hour, day, month, weekday)]
        spooler = self._program.spooler
        names: Mapping[str, Any] = dict(zip(("minute", "hour", "day", "month", "weekday"), numbers, strict=True))
        try:
            with _refusing("cron"):
                cron = uwsgi_cron(*numbers, tz=spooler.tz)
                cron.check()
                detail = ".".join(map(str, numbers))
                self._add(number, "cron", partial(spooler.cron, **names), detail, cron=cron)
        except ValueError as error:
            if not (self._program.strict and isinstance(error.__cause__, ScheduleRefused)):
                raise
        return True

    def add_file_monitor(self, num: int, path: str, /) -> None:
        """Raise a signal when a file, or an entry of a directory, changes. Raises ValueError, TypeError."""
        number = _number(num)
        if not isinstance(path, str):
            raise TypeError(f"add_file_monitor() argument 2 must be str, not {type(path).__name__}")
        if len(path.encode(errors="surrogateescape")) >= LONGEST_PATH:
            raise ValueError("unable to add file monitor")
        with _refusing("file monitor"):
            self._add(number, "file_monitor", partial(self._program.spooler.filemon, path), path, filemon=path)

    def _seconds(self, seconds: float) -> float:
        if isinstance(seconds, float) and not self._program.strict:
            return seconds
        return index(seconds)  # type: ignore[arg-type]  # it raises TypeError for what is none

    def _add_timer(self, num: int, kind: str, seconds: float, iterations: int | None = None) -> None:
        declare = partial(self._program.spooler.timer, seconds, iterations=iterations)
        detail = f"{seconds:g}" if iterations is None else f"{seconds:g}x{iterations}"
        with _refusing("timer"):
            self._add(_number(num), kind, declare, detail, timer=seconds, iterations=iterations)

    def _add(self, number: int, kind: str, declare: Declare, detail: str, **wanted: Unpack[Wanted]) -> None:
        if self._registry.declaring:
            begins_anew = wanted.get("iterations") is not None
            self._registry.once_declared(number, partial(self._declare, kind, declare, begins_anew))
        else:
            self._make(number, f"uwsgi.{kind}.{number}.{detail}", wanted)

    def _declare(self, kind: str, declare: Declare, begins_anew: bool, signal: Signal) -> None:
        name = self._registry.free_name(f"uwsgi.{kind}.{signal.name}")
        task = declare(**options_of(signal, name))(function_of(self._program, signal))
        if begins_anew:  # a schedule of aspool has its iterations once and for all
            self._registry.waits_for_start.append((name, lambda: wait_for(task.start)))

    def _make(self, number: int, name: str, wanted: Wanted) -> None:
        signal = self._registry.here(number)
        is_declared = signal is not None and signal.is_declared
        wanted |= {"name": name, "retries": 0, "missed": "skip"}
        if signal is not None:
            wanted["target"] = aim_of(signal.target)
        wanted["args"] = (number,) if signal is None else arguments_of(signal)
        wait_for(partial(self._program.spooler.schedule, TASK, **wanted))
        if not is_declared:
            self._registry.note_timer(name, number)


def _number(num: int) -> int:
    return index(num) % SIGNALS


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raises ValueError, as uWSGI does, for what aspool refuses."""
    try:
        yield
    except CallError as error:
        raise ValueError(f"unable to add {what}: {error}") from error
