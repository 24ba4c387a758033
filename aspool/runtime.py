"""Schedules that a program makes while it runs: what is wanted -> a Schedule, or why it cannot be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from hashlib import blake2b
from math import isfinite
from os import PathLike
from typing import Any

from .addresses import Address
from .collection import Tasks
from .cron import Cron
from .errors import ArgumentsRefused, ScheduleRefused
from .ids import checked_priority
from .schedules import (
    OWN_OPTIONS,
    FileMonitor,
    OwnOptions,
    Schedule,
    ScheduleOptions,
    Timer,
    Trigger,
    absolute,
    cron_of,
    in_seconds,
)
from .spoolable import Spoolable, Using
from .task import NamedTask, Task

LARGEST_ARGUMENTS = 64 * 1024  # bytes of JSON
_MESSAGE = ("retries", "backoff", "harakiri", "keep_result")
_OF_THE_TASK = ("concurrency", "executor", "retry_on", "working_dir")


class Wanted(OwnOptions, total=False):
    """A schedule that `Spooler.schedule` makes: one of timer, cron and filemon, and what is said of it.

    `args` and `kwargs` are the arguments of each call; `name` is its own, by which it is changed or removed (None: made
    of the task and all that is wanted); the others are options of the schedule and of its messages.
    """

    timer: float | timedelta
    iterations: int | None
    cron: str | Cron
    tz: str
    filemon: str | PathLike[str]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    name: str | None
    spool: Address | None
    priority: int | None
    retries: int
    backoff: float
    harakiri: float
    keep_result: float


def made_schedule(task: Spoolable[..., Any], tz: str, wanted: Wanted) -> Schedule:
    """The schedule that is wanted. Raises ScheduleRefused, TaskRefused or ArgumentsRefused."""
    if odd := sorted(wanted.keys() - Wanted.__annotations__.keys()):
        raise ScheduleRefused(_odd(odd))
    name = wanted.get("name")
    if name is not None and not (isinstance(name, str) and name):
        raise ScheduleRefused(f"the name of a schedule is a text, not {name!r}")
    arguments, body = task.dump(*_arguments(wanted))
    if body is not None or len(arguments) > LARGEST_ARGUMENTS:
        raise ArgumentsRefused(f"{task.name}: the arguments of a schedule are at most 64 KiB of JSON, and no Body")
    message = {key: value for key in _MESSAGE if (value := wanted.get(key)) is not None}
    if odd := [key for key, value in message.items() if not isinstance(value, int | float) or not isfinite(value)]:
        raise ScheduleRefused(f"{odd[0]} of a schedule's messages must be a number, not {message[odd[0]]!r}")
    task.using(**message)  # type: ignore[arg-type]  # checked there
    priority = wanted.get("priority")
    schedule = Schedule(
        name="",
        task=task.name,
        trigger=_trigger(wanted, tz),
        options=ScheduleOptions(**{key: value for key, value in wanted.items() if key in OWN_OPTIONS}),  # type: ignore[arg-type]  # by its names
        arguments=arguments.decode(),
        priority=checked_priority(task.options.priority if priority is None else priority),
        message=message,
        runtime=True,
    )
    schedule = replace(schedule, name=name or _name(schedule))
    schedule.check()
    return schedule


def _odd(odd: Sequence[str]) -> str:
    if of_the_task := [name for name in odd if name in _OF_THE_TASK]:
        said = ", ".join(f"{name}=…" for name in of_the_task)
        return f"{' and '.join(of_the_task)} of a schedule is said where the task is: @spooler.task({said})"
    named = ", ".join(f'"{name}": …' for name in odd)
    there_are = ", ".join(sorted(Wanted.__annotations__))
    return (
        f"a schedule has no {', '.join(odd)}; arguments of the task go into args= and kwargs=: kwargs={{{named}}}; "
        f"there are {there_are}"
    )


def _arguments(wanted: Wanted) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    args, kwargs = wanted.get("args", ()), wanted.get("kwargs", {})
    if not isinstance(args, Sequence) or isinstance(args, str | bytes | bytearray):
        raise ArgumentsRefused(f"args= are the arguments by position, as a tuple or a list, not {args!r}: args=(7,)")
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise ArgumentsRefused(f'kwargs= are the arguments by name, as a dict, not {kwargs!r}: kwargs={{"number": 7}}')
    return tuple(args), kwargs


def schedulable(task: object, spooler: Tasks[Any]) -> Task[..., Any, Any] | NamedTask:
    """The task that a Spooler is to schedule. Raises ScheduleRefused for what is none, or none of its own."""
    if isinstance(task, Using):
        raise ScheduleRefused(
            f"{task.task.name}.using(…) is one call: give the options to the schedule: schedule(task, priority=3, …)"
        )
    if not isinstance(task, Task | NamedTask | str):
        raise ScheduleRefused(f"{task!r} is no task, and no name of one: put @spooler.task over a function")
    name = task if isinstance(task, str) else task.name
    if name not in spooler.tasks and (near := sorted(known for known in spooler.tasks if known.endswith(f".{name}"))):
        raise ScheduleRefused(f"no task here is called {name!r}; did you mean {' or '.join(map(repr, near[:5]))}?")
    if isinstance(task, str):
        return spooler.tasks.get(task) or NamedTask(task, spooler)
    if not isinstance(task.sender, Tasks) or task.sender.owner() is not spooler:
        raise ScheduleRefused(
            f"{name} is no task of this Spooler: call spooler.include(…) if it is in a group; what a worker of another "
            f"program runs is scheduled by its name, {name!r}"
        )
    return task


def _trigger(wanted: Wanted, tz: str) -> Trigger:
    given = [key for key in ("timer", "cron", "filemon") if wanted.get(key) is not None]
    if len(given) != 1:
        raise ScheduleRefused(f"a schedule has one of timer=, cron= and filemon=, not {' and '.join(given) or 'none'}")
    if given != ["timer"] and wanted.get("iterations") is not None:
        raise ScheduleRefused("only a timer has iterations")
    if given != ["cron"] and wanted.get("tz") is not None:
        raise ScheduleRefused("only a cron has a zone")
    if (seconds := wanted.get("timer")) is not None:
        return Timer(in_seconds(seconds), wanted.get("iterations"))
    if (path := wanted.get("filemon")) is not None:
        return FileMonitor(absolute(path))
    cron, zone = wanted.get("cron", ""), wanted.get("tz")
    if not isinstance(cron, Cron):
        return cron_of(cron, {}, tz if zone is None else zone)
    if zone not in (None, cron.tz):
        raise ScheduleRefused(f"{cron!r} has its zone itself: leave tz= out")
    return cron


def _name(schedule: Schedule) -> str:
    said = json.dumps(asdict(schedule), sort_keys=True, default=repr)
    return f"{schedule.task}.{blake2b(said.encode(errors='replace'), digest_size=4).hexdigest()}"
