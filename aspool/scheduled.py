"""Scheduled: a schedule as it stands in its spool, to be looked at and changed; and the tasks that have one."""

from asyncio import sleep
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from os import PathLike
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from . import clock, firing, portal, schedule_record
from .cron import Cron
from .errors import ScheduleRefused, SpoolUnusable, TaskRefused, Uncertain, Unsupported
from .firing import Change, deciding
from .job import Job
from .options import Executor, options_of
from .protocol import Spool
from .retry import Backoff
from .schedule_record import Record, State
from .schedules import (
    OWN_OPTIONS,
    OwnOptions,
    Schedule,
    ScheduleOptions,
    Trigger,
    Unset,
    When,
    changed,
    kind_of,
)
from .spoolable import Sender
from .task import Task
from .turn import Decide, KeepsSchedules, Lives, Taken

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Resources_co = TypeVar("Resources_co", covariant=True)

BUSY = 0.01  # seconds until a schedule that another process has is asked for again; doubled each time
LONGEST_WAIT = 0.5  # up to this
LONGEST_TURN = 10.0  # seconds: a turn takes milliseconds
_OF_A_KIND = {
    "seconds": "timer", "iterations": "timer", "expression": "cron", "minute": "cron", "hour": "cron", "day": "cron",
    "month": "cron", "weekday": "cron", "tz": "cron", "day_and": "cron", "path": "filemon", "signal": "signal",
}  # fmt: skip


class ScheduledOptions(OwnOptions, total=False):
    """The options of a task that is scheduled: those of every task, and those of its schedule (ScheduleOptions)."""

    name: str | None
    retries: int
    backoff: Backoff
    retry_on: type[BaseException] | Sequence[type[BaseException]] | None
    harakiri: float | None
    priority: int | None
    spool: str | None
    executor: Executor
    keep_result: float | None
    concurrency: int | None
    working_dir: str | PathLike[str] | None


class Changes(TypedDict, total=False):
    """What `start` may change: seconds and iterations of a timer, the path of a file monitor, of a cron the others."""

    seconds: float | timedelta
    iterations: int | None
    expression: str
    minute: int
    hour: int
    day: int
    month: int
    weekday: int
    tz: str
    path: str | PathLike[str]


async def take_turn(spool: KeepsSchedules, name: str, decide: Decide) -> Taken:
    """Take a schedule, when nobody else has it.

    Raises SpoolUnusable, also if another process holds it for long, as one that was stopped; and what `decide` raises.
    """
    wait, waited = BUSY, 0.0
    while (taken := await spool.turn(name, decide)) is None:
        if waited >= LONGEST_TURN:
            raise SpoolUnusable(
                f"the schedule {name} has been held by another process for {waited:.0f} s: is a worker stopped "
                "(SIGSTOP), or its disk?"
            )
        await sleep(wait)
        wait, waited = min(2 * wait, LONGEST_WAIT), waited + wait
    return taken


async def changed_record(
    spool: KeepsSchedules, name: str, change: Change, schedule: Schedule | None = None
) -> Record | None:
    """Change the record of a schedule; what it says then. None: there is none, nor a schedule of which to make one.

    Raises SpoolUnusable, what `change` raises, and what the spool answered to a message that it did not take.
    """
    taken = await take_turn(spool, name, deciding(change, schedule, clock.now()))
    for answer in taken.answers:
        if isinstance(answer, Exception) and not isinstance(answer, Uncertain):
            raise answer
    return None if taken.record is None else schedule_record.read(taken.record)


def keeping(spool: Spool) -> KeepsSchedules:
    """The spool, if it keeps schedules. Raises Unsupported."""
    if not isinstance(spool, KeepsSchedules):
        raise Unsupported(f"{spool.address} keeps no schedules: a timer or a cron needs a directory, say")
    return spool


class Scheduled:
    """A schedule in its spool. What is changed stays so through every restart, until it is changed again."""

    def __init__(self, name: str, spool: Spool, schedule: Schedule | None = None) -> None:
        self.name = name
        self.spool = spool
        self._schedule = schedule  # None: only its record knows it

    def __repr__(self) -> str:
        return f"<Scheduled {self.name}>"

    async def make(self, schedule: Schedule) -> None:
        """Let the spool know it, or that it is another from now on. Raises ScheduleRefused for a name of the code's."""
        await take_turn(keeping(self.spool), self.name, firing.adopting(schedule, clock.now()))

    async def look(self) -> Record:
        """How it stands. Raises ScheduleRefused when the spool knows no such schedule, SpoolUnusable."""
        return await self._change(firing.no_change)

    async def start(self, when: When | None = None, /, **changes: Unpack[Changes]) -> None:
        """Let it fire from now on: as it says itself, or changed: `start(seconds=10, iterations=2)`.

        `when` is the seconds of a timer, the expression of a cron, the path of a file monitor: `start(10)`.
        Raises ScheduleRefused for what it does not have, and for values that cannot be.
        """
        await self._change(partial(_start, when, changes))

    async def stop(self) -> bool:
        """Let it fire no more, until it is started. Whether that changed anything."""
        return await self._changes(firing.become("off", clock.now()))

    async def pause(self) -> bool:
        """Let it fire no more until `resume`; what passes meanwhile is not made up for.

        Whether that changed anything: one that is stopped, or paused already, stays so.
        """
        return await self._become("paused", only_from="on")

    async def resume(self) -> bool:
        """Take `pause` back. Whether that changed anything: one that is stopped has to be started."""
        return await self._become("on", only_from="paused")

    async def run(self) -> None:
        """Let it run once, now, beside its schedule."""
        await self._change(firing.run_now(clock.now()))

    async def remove(self) -> bool:
        """Forget it; one that is in the code begins anew with a worker. Whether there was anything to forget."""
        noted = _Noted(firing.forget)
        await take_turn(keeping(self.spool), self.name, noted)
        return noted.did

    @property
    def sync(self) -> "BlockingScheduled":
        """The blocking forms, for code without an event loop."""
        return BlockingScheduled(self)

    async def _become(self, state: State, *, only_from: State) -> bool:
        return await self._changes(firing.become(state, clock.now(), only_from=only_from))

    async def _changes(self, change: Change) -> bool:
        noted = _Noted(change)
        await self._change(noted)
        return noted.did

    async def _change(self, change: Change) -> Record:
        record = await changed_record(keeping(self.spool), self.name, change, self._schedule)
        if record is None:
            raise ScheduleRefused(f"no schedule is called {self.name!r} in {self.spool.address}")
        return record


class _Noted(Generic[Asked, Answer]):
    """Asks what is to be done, and notes whether anything is."""

    def __init__(self, asks: Callable[[Asked, Lives], Answer | None]) -> None:
        self._asks = asks
        self.did = False

    def __call__(self, asked: Asked, lives: Lives) -> Answer | None:
        answer = self._asks(asked, lives)
        self.did = answer is not None
        return answer


def _start(when: When | None, changes: Mapping[str, Any], record: Record, lives: Lives) -> firing.Changed | None:
    said = record.schedule.trigger
    if isinstance(said, Unset) and when is None and not changes and not isinstance(record.trigger, Unset):
        said = record.trigger  # as it was started before
    return firing.start(changed(said, changes, firing.zone(said), when), clock.now())(record, lives)


class BlockingScheduled:
    """A schedule for code without an event loop; see Scheduled. Raises CallError on an event loop's thread."""

    def __init__(self, scheduled: Scheduled) -> None:
        self._scheduled = scheduled

    def look(self) -> Record:
        """See Scheduled.look."""
        return portal.call(self._scheduled.look)

    def start(self, when: When | None = None, /, **changes: Unpack[Changes]) -> None:
        """See Scheduled.start."""
        portal.call(partial(self._scheduled.start, when, **changes))

    def stop(self) -> bool:
        """See Scheduled.stop."""
        return portal.call(self._scheduled.stop)

    def pause(self) -> bool:
        """See Scheduled.pause."""
        return portal.call(self._scheduled.pause)

    def resume(self) -> bool:
        """See Scheduled.resume."""
        return portal.call(self._scheduled.resume)

    def run(self) -> None:
        """See Scheduled.run."""
        portal.call(self._scheduled.run)

    def remove(self) -> bool:
        """See Scheduled.remove."""
        return portal.call(self._scheduled.remove)


class ScheduledTask(Task[P, R, T]):
    """A task with a schedule. It can be called and spooled as any other; `start`, `stop` … are of its schedule."""

    def __init__(
        self, function: Callable[..., Any], name: str, trigger: Trigger, sender: Sender, options: Mapping[str, Any]
    ) -> None:
        if odd := sorted(options.keys() - ScheduledOptions.__annotations__.keys()):
            raise TaskRefused(f"{name}: {_odd_options(kind_of(trigger), odd)}")
        own = {key: value for key, value in options.items() if key in OWN_OPTIONS}
        others = {key: value for key, value in options.items() if key not in OWN_OPTIONS}
        super().__init__(function, name, options_of(name, **others), sender)
        self._schedule = Schedule(
            name=name, task=name, trigger=trigger, options=ScheduleOptions(**own), priority=self.options.priority
        )
        self.schedule.check()
        if self.arguments.required:
            missing = ", ".join(sorted(self.arguments.required))
            raise TaskRefused(f"{name}: a schedule calls it without arguments, but {missing} has no default")
        if self.run_inline is not None:
            raise TaskRefused(f'{name}: executor="inline" runs in its caller, and a schedule has none')

    def __repr__(self) -> str:
        return f"<ScheduledTask {self.name}>"

    @property
    def schedule(self) -> Schedule:
        """What fires it; a cron without a zone of its own has that of the Spooler."""
        trigger = self._schedule.trigger
        if isinstance(trigger, Unset) and trigger.of != "cron":
            return self._schedule
        if isinstance(trigger, Cron | Unset) and not trigger.tz:
            return replace(self._schedule, trigger=replace(trigger, tz=self.sender.tz))
        return self._schedule

    @property
    def scheduled(self) -> Scheduled:
        """Its schedule, as it stands in the spool."""
        return Scheduled(self.name, self.sender.spool_of(self.options.spool), self.schedule)

    async def start(self, when: When | None = None, /, **changes: Unpack[Changes]) -> None:
        """See Scheduled.start."""
        await self.scheduled.start(when, **changes)

    async def stop(self) -> bool:
        """See Scheduled.stop."""
        return await self.scheduled.stop()

    async def pause(self) -> bool:
        """See Scheduled.pause."""
        return await self.scheduled.pause()

    async def resume(self) -> bool:
        """See Scheduled.resume."""
        return await self.scheduled.resume()

    @property
    def sync(self) -> BlockingScheduled:
        """The blocking forms of `start`, `stop`, `pause` and `resume`, for code without an event loop."""
        return self.scheduled.sync


def _odd_options(kind: str, odd: Sequence[str]) -> str:
    """What to say of options that a schedule of that kind does not have."""
    owner = _OF_A_KIND.get(odd[0])
    if owner is not None and owner != kind:
        return f"a {kind} has no option {odd[0]}: a {owner} has it"
    there_are = ", ".join(sorted(ScheduledOptions.__annotations__))
    return f"a schedule has no option {', '.join(odd)}; there are {there_are}"


class ScheduleDecorator(Protocol[Resources_co]):
    """What `@spooler.timer(…)` and the like are: they keep the types of the function that they decorate."""

    @overload
    def __call__(
        self, function: Callable[[Job[Resources_co]], Coroutine[Any, Any, T]], /
    ) -> ScheduledTask[[], Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[[Job[Resources_co]], R], /) -> ScheduledTask[[], R, R]: ...
    @overload
    def __call__(
        self, function: Callable[[], Coroutine[Any, Any, T]], /
    ) -> ScheduledTask[[], Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[[], R], /) -> ScheduledTask[[], R, R]: ...
