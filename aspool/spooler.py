"""Spooler: what an application creates. Its tasks, its handler, and the addresses of its spools."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from inspect import iscoroutinefunction, signature
from typing import Any, TypeVar, Unpack, overload

from . import portal
from .addresses import Address, spool_at
from .batches import Batch, put_together
from .body import Body, Source
from .collection import Resources, Tasks
from .cron import Cron
from .errors import AspoolError, CallError, ScheduleRefused, TaskRefused, UnknownSpool, Unsupported
from .events import Event
from .ids import checked_id
from .middleware import Middleware
from .moments import Moment
from .options import Executor, options_of
from .protocol import Pauses, PutsBlocking, Spool
from .raw import Variables, raw_call
from .results import Returns
from .retry import Backoff
from .runtime import Wanted, made_schedule, schedulable
from .scheduled import Scheduled, ScheduledTask
from .signals import raise_signal
from .spoolable import Call, put_blocking
from .task import HANDLER, NamedTask, Task, default_name
from .ticket import Origin, Ticket

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = "default"
Observer = Callable[[Event], None]


class Spooler(Tasks[Resources]):
    """Tasks, a handler for raw messages, and where messages go.

    `spool` is the default spool: a path, a URL (`memory:`, …) or a spool object. `spools` are further ones by
    name. A relative path is resolved now; nothing is opened until somebody spools or runs.
    `frequency` (seconds) overrides the worker's, and may be set at run time.
    `middleware` are around each call, the first outermost; `observers` hear each event of the workers, and must be
    quick; `resources` makes an async context manager, in which each worker runs: what it gives is `job.resources`.
    `tz` is the zone of crons that name none.
    """

    def __init__(
        self,
        spool: Address = "./spool",
        *,
        spools: Mapping[str, Address] | None = None,
        frequency: float | None = None,
        middleware: Sequence[Middleware] = (),
        observers: Sequence[Observer] = (),
        resources: Callable[[], AbstractAsyncContextManager[Resources]] | None = None,
        tz: str = "UTC",
    ) -> None:
        super().__init__()
        Cron("@daily", tz).check()
        self._tz = tz
        if spools and DEFAULT in spools:
            raise CallError(
                f"the spool called {DEFAULT!r} is the first argument of Spooler; call the other one differently"
            )
        self._spools: dict[str, Spool] = {DEFAULT: spool_at(spool)}
        self._spools |= {name: spool_at(address) for name, address in (spools or {}).items()}
        self._by_address: dict[str, Spool] = {}
        self._stand_in: Callable[[Spool], Spool] | None = None
        self._lock = threading.Lock()
        self.raw_handler: Task[..., Any, Any] | None = None
        self.frequency = frequency
        self.middleware = list(middleware)
        self.observers = list(observers)
        self.resources = resources
        _check_around(self)

    @property
    def frequency(self) -> float | None:
        """Seconds between two looks at the spool; None leaves it to the worker (uWSGI's set_spooler_frequency)."""
        return self._frequency

    @frequency.setter
    def frequency(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise CallError(f"frequency must be more than 0 seconds, not {seconds!r}")
        self._frequency = seconds

    @property
    def spools(self) -> Mapping[str, Spool]:
        """The spools by name; the first is called "default"."""
        if self._stand_in is None:
            return self._spools
        return {name: self._stand_in(spool) for name, spool in self._spools.items()}

    def use_spools(self, spools: Mapping[str, Address]) -> None:
        """Use these spools in place of those of the same names, or beside; for before anything is spooled or run."""
        made = {name: spool_at(address) for name, address in spools.items()}
        known = {spool.address: spool for spool in made.values()}
        kept = {name: known.get(spool.address, spool) for name, spool in self._spools.items()}
        self._spools = kept | made
        self._by_address.clear()

    # --- tasks -----------------------------------------------------------------------------------------------

    @overload
    def handler(self, function: F, /) -> F: ...
    @overload
    def handler(
        self,
        function: None = None,
        /,
        *,
        retries: int = 3,
        backoff: Backoff = 1.0,
        harakiri: float | None = None,
        executor: Executor = "auto",
    ) -> Callable[[F], F]: ...

    def handler(self, function: Any = None, /, **options: Any) -> Any:
        """Let a function have the raw messages, those that name no task: `handler(variables, body)`.

        One per Spooler, as uWSGI's `uwsgi.spooler`. Variables are a dict of str; bytes that are not UTF-8 come
        as surrogate escapes. Raises TaskRefused when there is one already.
        """

        def decorate(function: Any) -> Any:
            if self.raw_handler is not None and default_name(self.raw_handler.function) != default_name(function):
                raise TaskRefused("this Spooler has a handler already: one function gets all raw messages")
            self.raw_handler = Task(function, HANDLER, options_of(HANDLER, **options), self)
            return function

        return decorate if function is None else decorate(function)

    # --- spooling --------------------------------------------------------------------------------------------

    async def spool(
        self,
        variables: Variables,
        *,
        body: Body | Source | None = None,
        at: Moment | None = None,
        priority: int | None = None,
        id: str | None = None,
        expires: Moment | None = None,
        spool: Address | None = None,
    ) -> Ticket[None]:
        """Spool a raw message, as `uwsgi.spool`; the keys `at`, `priority`, `spooler` and `body` in it are honoured.

        Raises ArgumentsRefused, NameRefused or MomentRefused before anything is written.
        """
        call = raw_call(variables, body, at=at, priority=priority, id=id, expires=expires, spool=spool)
        target = self.spool_of(call.spool)
        return call.ticket((await target.put([call.message]))[0], target)

    def spool_sync(
        self,
        variables: Variables,
        *,
        body: Body | Source | None = None,
        at: Moment | None = None,
        priority: int | None = None,
        id: str | None = None,
        expires: Moment | None = None,
        spool: Address | None = None,
    ) -> Ticket[None]:
        """As `spool`, from any thread or script."""
        call = raw_call(variables, body, at=at, priority=priority, id=id, expires=expires, spool=spool)
        target = self.spool_of(call.spool)
        return call.ticket(put_blocking(target, [call.message])[0], target)

    async def spool_many(self, calls: Sequence[Call[Any]]) -> list[Ticket[Any]]:
        """Spool many calls (`task.call(…)`) in one trip to the disk per spool; tickets in the same order.

        Raises PartlySpooled when some are not in; its `results` tell which.
        """
        return await put_together(calls, [self.spool_of(call.spool) for call in calls])

    def spool_many_sync(self, calls: Sequence[Call[Any]]) -> list[Ticket[Any]]:
        """As `spool_many`, from any thread or script."""
        batch = Batch(calls, [self.spool_of(call.spool) for call in calls])
        for spool, positions in batch.by_spool():
            try:
                batch.answered(spool, positions, put_blocking(spool, batch.messages(positions)))
            except AspoolError as error:  # the others may be in
                batch.failed(positions, error)
        return batch.tickets()

    def task_named(self, name: str) -> Task[..., Any, Any] | NamedTask:
        """The task of that name, to spool it. One that is not here is another program's: it is checked when it runs."""
        return self.tasks.get(name) or NamedTask(name, self)

    def ticket(self, id: str, *, spool: Address | None = None) -> Ticket[Any]:
        """The ticket of a message, by its id; `task.ticket(id)` makes one that knows the type of the result."""
        return Ticket(checked_id(id), False, Origin(self.spool_of(spool), _ANY, keeps=None))

    # --- schedules -------------------------------------------------------------------------------------------

    @property
    def tz(self) -> str:
        """The zone of crons that name none."""
        return self._tz

    async def schedule(self, task: Task[..., Any, Any] | NamedTask | str, **wanted: Unpack[Wanted]) -> Scheduled:
        """Let a task run again and again, also after every restart: `schedule(remind, cron="0 9 * * *", args=(7,))`.

        Wanted is one of `timer` (seconds), `cron` (an expression, or a Cron) and `filemon` (a path); see Wanted for
        the rest. The same once more changes nothing, as long as it has something to do; one whose iterations are over,
        or that is anything else under the same name, begins anew. A name that is no task's here is that of another
        program's task, which nobody checks. Raises ScheduleRefused, also for a task of another Spooler, and
        ArgumentsRefused for arguments that do not fit the task.
        """
        known = schedulable(task, self)
        made = made_schedule(known, self.tz, wanted)
        if made.name in self.tasks:
            raise ScheduleRefused(f"{made.name} is the name of a task: give the schedule another name=")
        scheduled = Scheduled(made.name, self.spool_of(wanted.get("spool", known.options.spool)))
        await scheduled.make(made)
        return scheduled

    def scheduled(self, task: ScheduledTask[..., Any, Any] | str, *, spool: Address | None = None) -> Scheduled:
        """The schedule of a task, or of that name (that of a task, or made by `schedule`), to be looked at and changed.

        Raises ScheduleRefused for a task without a schedule.
        """
        known = self.tasks.get(task) if isinstance(task, str) else task
        if not isinstance(task, str) and not isinstance(known, ScheduledTask):
            raise ScheduleRefused(f"{task!r} is neither a task with a schedule nor the name of a schedule")
        if isinstance(known, ScheduledTask) and spool is None:
            return known.scheduled
        return Scheduled(task if isinstance(task, str) else task.name, self.spool_of(spool))

    async def raise_signal(self, name: str, *, spool: Address | None = None) -> int:
        """Raise a signal: one worker runs its handler, or all do, as the handler says. How many handlers are on.

        Raises ScheduleRefused when no handler of it is known, here or in the spool; those that are paused or stopped
        are, but hear nothing.
        """
        spools = list(self.spools.values()) if spool is None else [self.spool_of(spool)]
        handlers = [task for task in self.tasks.values() if isinstance(task, ScheduledTask)]
        return await raise_signal(name, spools, handlers)

    # --- pausing ---------------------------------------------------------------------------------------------

    async def pause(self, task: Task[..., Any, Any] | str | None = None, *, spool: Address | None = None) -> None:
        """Let no worker begin messages of a task, or of the whole spool; what runs goes on.

        It lasts until `resume`, whatever is restarted meanwhile. Messages are still taken.
        Raises Unsupported where the spool cannot be paused.
        """
        await self._pausing(spool).pause(_task_name(task))

    async def resume(self, task: Task[..., Any, Any] | str | None = None, *, spool: Address | None = None) -> None:
        """Take `pause` back."""
        await self._pausing(spool).resume(_task_name(task))

    async def paused(self, *, spool: Address | None = None) -> frozenset[str | None]:
        """The names of the paused tasks; None among them if the spool itself is paused."""
        return await self._pausing(spool).paused()

    def _pausing(self, spool: Address | None) -> Pauses:
        target = self.spool_of(spool)
        if not isinstance(target, Pauses):
            raise Unsupported(f"{target.address} cannot be paused")
        return target

    @property
    def sync(self) -> "BlockingSpooler":
        """The blocking forms, for code without an event loop."""
        return BlockingSpooler(self)

    # --- opening and closing ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open all spools now instead of when they are first used. Raises SpoolUnusable."""
        for spool in self.spools.values():
            await spool.open()

    async def aclose(self) -> None:
        """Close all spools; a later use opens them again."""
        for spool in [*self.spools.values(), *self._by_address.values()]:
            await spool.aclose()

    # --- tests -----------------------------------------------------------------------------------------------

    @property
    def is_under_test(self) -> bool:
        """Whether other spools stand in for its own: `aspool.testing.use`. No worker starts by itself then."""
        return self._stand_in is not None

    @contextmanager
    def stood_in_for(self, stand_in: Callable[[Spool], Spool]) -> Iterator[None]:
        """While the block lasts, what `stand_in` gives is used in place of each spool; for tests.

        Raises CallError when that goes on already.
        """
        if self._stand_in is not None:
            raise CallError("this Spooler is under test already: end that block first, or use what it gave")
        self._stand_in = stand_in
        try:
            yield
        finally:
            self._stand_in = None

    # --- the way to the spools (spoolable.Sender) ------------------------------------------------------------

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, as a direct call of a task needs it."""
        target = self.spool_of(None)
        if not isinstance(target, PutsBlocking):
            raise CallError(f"{target.address} cannot read a Body that was not spooled")
        return target.readable(body)

    def spool_of(self, address: Address | None) -> Spool:
        """The spool of that name or address (None: the default one). Raises UnknownSpool."""
        spool = self._own_spool(address)
        return spool if self._stand_in is None else self._stand_in(spool)

    def _own_spool(self, address: Address | None) -> Spool:
        if address is None:
            return self._spools[DEFAULT]
        if isinstance(address, str) and address in self._spools:
            return self._spools[address]
        if not isinstance(address, str | os.PathLike):
            return address
        text = os.fspath(address)
        if "/" not in text and ":" not in text:
            raise UnknownSpool(
                f"no spool is called {text!r} here; there are {', '.join(self._spools)} (a path has a slash)"
            )
        with self._lock:
            if text not in self._by_address:
                made = spool_at(text)
                known = {other.address: other for other in self._spools.values()}
                self._by_address[text] = known.get(made.address, made)
            return self._by_address[text]


def _check_around(spooler: Spooler[Any]) -> None:
    """Raises CallError for what would fail only when tasks run, each of them."""
    for layer in spooler.middleware:
        if not callable(layer) or not _takes(layer, 2):
            raise CallError(f"a middleware is `async def middleware(job, call_next)`, not {layer!r}")
    for observer in spooler.observers:
        if not callable(observer) or iscoroutinefunction(observer) or not _takes(observer, 1):
            raise CallError(f"an observer is a quick `def observer(event)`, and not async, not {observer!r}")
    if spooler.resources is not None and (not callable(spooler.resources) or hasattr(spooler.resources, "__aenter__")):
        raise CallError("resources= takes what makes an async context manager: resources=pool, not resources=pool()")


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


_ANY = Returns(None, "the task")


def _task_name(task: Task[..., Any, Any] | str | None) -> str | None:
    return task.name if isinstance(task, Task) else task


class BlockingSpooler:
    """What a Spooler awaits, for code without an event loop. Raises CallError on an event loop's thread."""

    def __init__(self, spooler: Spooler[Any]) -> None:
        self._spooler = spooler
        self.spool = spooler.spool_sync
        self.spool_many = spooler.spool_many_sync

    def pause(self, task: Task[..., Any, Any] | str | None = None, *, spool: Address | None = None) -> None:
        """See Spooler.pause."""
        portal.call(partial(self._spooler.pause, task, spool=spool))

    def resume(self, task: Task[..., Any, Any] | str | None = None, *, spool: Address | None = None) -> None:
        """See Spooler.resume."""
        portal.call(partial(self._spooler.resume, task, spool=spool))

    def paused(self, *, spool: Address | None = None) -> frozenset[str | None]:
        """See Spooler.paused."""
        return portal.call(partial(self._spooler.paused, spool=spool))

    def schedule(self, task: Task[..., Any, Any] | NamedTask | str, **wanted: Unpack[Wanted]) -> Scheduled:
        """See Spooler.schedule; what it gives has a `sync` too."""
        return portal.call(partial(self._spooler.schedule, task, **wanted))

    def raise_signal(self, name: str, *, spool: Address | None = None) -> int:
        """See Spooler.raise_signal."""
        return portal.call(partial(self._spooler.raise_signal, name, spool=spool))
