"""Tasks: a group of tasks that a Spooler includes, so that the modules of a large application need not import it."""

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import Any, Concatenate, Generic, Never, ParamSpec, Protocol, TypeVar, Unpack, overload

from typing_extensions import TypeVar as TypeVarWithDefault

from .addresses import Address
from .body import Body
from .errors import CallError, TaskRefused
from .job import Job
from .options import Executor, options_of
from .protocol import Spool
from .retry import Backoff
from .scheduled import ScheduleDecorator, ScheduledOptions, ScheduledTask
from .schedules import (
    FileMonitor,
    Signal,
    Timer,
    Trigger,
    Unset,
    absolute,
    cron_of,
    in_seconds,
    refuse_function,
    refuse_positions,
)
from .spoolable import Sender
from .task import Task, default_name, importable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Resources = TypeVarWithDefault("Resources", default=object)  # what the worker's resources are
Resources_co = TypeVar("Resources_co", covariant=True)

LONGEST_NAME = 200  # bytes


class TaskDecorator(Protocol[Resources_co]):
    """What `@spooler.task(…)` is: it keeps the types of the function it decorates."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job[Resources_co], P], Coroutine[Any, Any, T]], /
    ) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Job[Resources_co], P], R], /) -> Task[P, R, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class Tasks(Generic[Resources]):
    """A group of tasks, made where they belong; `spooler.include(tasks)` gives them their spools.

    With a `prefix`, a task's name is that and the function's: `Tasks(prefix="mail.")` and `def send` make
    "mail.send". Without, it is `module.function`.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.tasks: dict[str, Task[..., Any, Any]] = {}
        self._owner: Tasks[Any] | None = None
        self._included_by = ""  # the module that did
        self._modules: list[str] = []

    @overload
    def task(
        self, function: Callable[Concatenate[Job[Resources], P], Coroutine[Any, Any, T]], /
    ) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def task(self, function: Callable[Concatenate[Job[Resources], P], R], /) -> Task[P, R, R]: ...
    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        retries: int = 3,
        backoff: Backoff = 1.0,
        retry_on: type[BaseException] | Sequence[type[BaseException]] | None = None,
        harakiri: float | None = None,
        priority: int | None = None,
        spool: str | None = None,
        executor: Executor = "auto",
        keep_result: float | None = None,
        concurrency: int | None = None,
        working_dir: str | PathLike[str] | None = None,
    ) -> TaskDecorator[Resources]: ...

    def task(self, function: Any = None, /, *, name: Any = None, retry_on: Any = None, **options: Any) -> Any:
        """Make a function a task, bare (`@spooler.task`) or with options.

        `retries` are runs after the first; `backoff` is the first wait in seconds, doubled each time with full
        jitter up to an hour, or a callable (attempt -> seconds); `retry_on` limits which exceptions are worth a
        retry; `harakiri` stops a run after so many seconds; `executor` is "auto" (async functions on the event
        loop, sync ones in a thread), "thread", "process" or "inline" (at once, in the caller); `keep_result` keeps
        what it returned, or why it failed, for so many seconds; `concurrency` is how many of it may run at the
        same time, over all workers of a spool; `working_dir` is where a job in a process runs.
        Raises TaskRefused when the function or an option cannot be used.
        """
        classes = _classes(retry_on)

        def decorate(function: Any) -> Task[..., Any, Any]:
            if isinstance(function, ScheduledTask):
                raise TaskRefused(
                    f"{function.name} has a schedule, and is a task already: leave @spooler.task out, and give the "
                    "options of the task to its schedule: @spooler.timer(60, retries=5)"
                )
            task_name = self._name(name, _checked(function))
            task: Task[..., Any, Any] = Task(
                function, task_name, options_of(task_name, retry_on=classes, **options), self._sender()
            )
            self.register(task)
            return task

        return decorate if function is None else decorate(function)

    # --- schedules -------------------------------------------------------------------------------------------

    def timer(
        self,
        seconds: float | timedelta | None = None,
        *,
        iterations: int | None = None,
        **options: Unpack[ScheduledOptions],
    ) -> ScheduleDecorator[Resources]:
        """Let a task run every `seconds` (fractions too), `iterations` times in all (None: for ever).

        It counts from when a worker first sees it; a restart changes nothing. All options of a task apply, and:
        `missed` is what becomes of moments that are more than `grace` seconds late, or five times the `seconds` if that
        is less (unless it is "all"): "skip" them, run the "latest" or "all"; `overlap="skip"` leaves out a run while
        the last one waits or goes on; `jitter` puts each off by up to so many seconds; `fire="at-most-once"` rather
        loses a run than repeats one; `target="workers"` lets it run in every worker, in memory; `lazy=True` waits for
        `start(…)`.
        Raises TaskRefused, and ScheduleRefused for a schedule that cannot be.
        """
        refuse_function(seconds, "timer", "seconds", "seconds")
        trigger = Unset("timer", iterations) if seconds is None else Timer(in_seconds(seconds), iterations)
        return self._scheduled(trigger, options)

    def cron(
        self,
        expression: str | None = None,
        *positions: Never,
        minute: int | None = None,
        hour: int | None = None,
        day: int | None = None,
        month: int | None = None,
        weekday: int | None = None,
        tz: str | None = None,
        seconds: bool = False,
        day_and: bool = False,
        **options: Unpack[ScheduledOptions],
    ) -> ScheduleDecorator[Resources]:
        """Let a task run when the clock says so: `cron("30 2 * * *", tz="Europe/Paris")`, or uWSGI's numbers.

        `seconds=True` expects six fields, the first of them seconds; with `day_and=True` the day of the month and that
        of the week must both match. `tz` is a name of the zone database (None: the Spooler's). Of the numbers -1, or
        none, is every, -5 every one that 5 divides. The options are those of `timer`.
        Raises ScheduleRefused for an expression that is wrong or never matches, and for an unknown zone.
        """
        numbers = {"minute": minute, "hour": hour, "day": day, "month": month, "weekday": weekday}
        given = {field: number for field, number in numbers.items() if number is not None}
        refuse_function(expression, "cron", "expression", "an expression")
        refuse_positions((expression, *positions))
        return self._scheduled(cron_of(expression, given, tz, seconds=seconds, day_and=day_and), options)

    def filemon(
        self, path: str | PathLike[str] | None = None, **options: Unpack[ScheduledOptions]
    ) -> ScheduleDecorator[Resources]:
        """Let a task run when a file is made, changed or touched; of a directory, an entry directly in it.

        A path that does not exist is watched until it does. The options are those of `timer`.
        """
        refuse_function(path, "filemon", "path", "a path")
        return self._scheduled(Unset("filemon") if path is None else FileMonitor(absolute(path)), options)

    def signal(self, signal: str, **options: Unpack[ScheduledOptions]) -> ScheduleDecorator[Resources]:
        """Let a task run when a signal of that name is raised: `spooler.raise_signal(…)`, `aspool signal …`.

        One worker runs it, or, with `target="workers"`, each. The other options are those of `timer`.
        """
        refuse_function(signal, "signal", "name", "the name of a signal")
        return self._scheduled(Signal(signal), options)

    def _scheduled(self, trigger: Trigger, options: Mapping[str, Any]) -> ScheduleDecorator[Resources]:
        given = {**options, "retry_on": _classes(options.get("retry_on"))}
        name = given.pop("name", None)

        def decorate(function: Any) -> ScheduledTask[..., Any, Any]:
            if isinstance(function, Task):
                function = _function_of(function, self._name(name, function.function))
            task: ScheduledTask[..., Any, Any] = ScheduledTask(
                function, self._name(name, _checked(function)), trigger, self._sender(), given
            )
            self.register(task)
            return task

        return decorate

    @property
    def tz(self) -> str:
        """The zone of crons that name none: that of the Spooler which includes this group."""
        return "UTC" if self._owner is None else self._owner.tz

    # --- names and groups ------------------------------------------------------------------------------------

    def _name(self, name: str | None, function: Callable[..., Any]) -> str:
        if self.prefix:
            return f"{self.prefix}{name or function.__qualname__}"
        return name or default_name(function)

    def _sender(self) -> Sender:
        return self

    def register(self, task: Task[..., Any, Any]) -> None:
        """Know a task, here and where this group is included. Raises TaskRefused when its name is taken."""
        self._check(task)
        for group in self._line():
            group.tasks[task.name] = task

    def _check(self, task: Task[..., Any, Any]) -> None:
        if len(task.name.encode()) > LONGEST_NAME:
            raise TaskRefused(f"the task name {task.name[:60]!r}… is longer than {LONGEST_NAME} bytes")
        for group in self._line():
            known = group.tasks.get(task.name)
            if known is None:
                continue
            if not known.definition.is_of(task.definition):
                raise TaskRefused(f"two tasks are called {task.name}: give one of them another name=")
            if lines := known.definition.is_overwritten_at(task.definition):
                raise TaskRefused(
                    f"two functions are called {task.name}, in the lines {lines[0]} and {lines[1]} of "
                    f"{task.definition.file}: rename one of them, or give it another name="
                )

    def _line(self) -> list["Tasks[Any]"]:
        """This group, the one that includes it, and so on."""
        return [self] if self._owner is None else [self, *self._owner._line()]  # noqa: SLF001 - of this class

    def include(self, tasks: "Tasks[Resources]") -> None:
        """Take in a group, with what is added to it later. Raises TaskRefused when it is elsewhere already."""
        if tasks._owner not in (None, self):  # noqa: SLF001 - of this class, here and below
            raise TaskRefused(f"{tasks!r} is included elsewhere already: its tasks can spool to one Spooler only")
        if tasks in self._line():
            raise TaskRefused("a group of tasks cannot include itself")
        for task in tasks.tasks.values():
            self._check(task)
        for task in tasks.tasks.values():
            self.register(task)
        if tasks._owner is None:  # noqa: SLF001
            caller = sys._getframe(1).f_globals  # noqa: SLF001 - documented; who calls cannot be known otherwise
            tasks._included_by = importable(caller.get("__name__", ""), caller)  # noqa: SLF001
        tasks._owner = self  # noqa: SLF001

    def included_by(self) -> list[str]:
        """The modules to import, in a process of its own, before the tasks of this group can spool."""
        here = [*self._modules, self._included_by] if self._included_by else self._modules
        return here if self._owner is None else here + self._owner.included_by()

    def needs(self, module: str) -> None:
        """Import this module too, in a process of its own, before a task of this group runs there."""
        if module not in self._modules:
            self._modules.append(module)

    def owner(self) -> "Tasks[Any]":
        """The Spooler that includes this group, or the outermost group."""
        return self if self._owner is None else self._owner.owner()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.prefix or len(self.tasks)}>"

    # --- the way to the spools (spoolable.Sender) ------------------------------------------------------------

    def spool_of(self, address: Address | None) -> Spool:
        """The spool of that name or address, of the Spooler that includes this group."""
        return self._owned().spool_of(address)

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, as a direct call of a task needs it."""
        return self._owned().readable(body)

    def _owned(self) -> "Tasks[Any]":
        if self._owner is None:
            raise CallError(f"the tasks of {self!r} belong to no Spooler yet: call spooler.include(…)")
        return self._owner


def _classes(retry_on: Any) -> tuple[type[BaseException], ...] | None:
    """One class, several or None, as a tuple or None."""
    return (retry_on,) if isinstance(retry_on, type) else None if retry_on is None else tuple(retry_on)


def _checked(function: Any) -> Callable[..., Any]:
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise TaskRefused(f"@spooler.task decorates a function (def or async def), not {function!r}")
    return function  # type: ignore[no-any-return]  # callable, as was just asked


def _function_of(task: Task[..., Any, Any], name: str) -> Callable[..., Any]:
    """The function of a task that gets another schedule, under another name."""
    if not isinstance(task, ScheduledTask):
        raise TaskRefused(f"{task.name}: give the options of the task to its schedule: @spooler.timer(60, retries=5)")
    if name == task.name:
        raise TaskRefused(f"two schedules are called {task.name}: give one of them another name=")
    return task.function
