"""Spooler: what an application creates. Its tasks, its handler, and the addresses of its spools."""

import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from .addresses import Address, spool_at
from .body import Body, Source
from .errors import AspoolError, CallError, PartlySpooled, SpoolError, TaskRefused, UnknownSpool
from .job import Job
from .message import Message
from .moments import Moment
from .protocol import PutsBlocking, Spool, Stored
from .raw import Variables, raw_call
from .retry import Backoff
from .task import HANDLER, Call, Executor, Task, TaskOptions, default_name, module_of, ticket_of
from .ticket import Ticket

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = "default"


class TaskDecorator(Protocol):
    """What `@spooler.task(…)` is: it keeps the types of the function it decorates."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job, P], Coroutine[Any, Any, T]], /
    ) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Job, P], R], /) -> Task[P, R, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class Spooler:
    """Tasks, a handler for raw messages, and where messages go.

    `spool` is the default spool: a path, a URL (`memory:`, …) or a spool object. `spools` are further ones by
    name. A relative path is resolved now; nothing is opened until somebody spools or runs.
    `frequency` (seconds) overrides the worker's, and may be set at run time.
    """

    def __init__(
        self,
        spool: Address = "./spool",
        *,
        spools: Mapping[str, Address] | None = None,
        frequency: float | None = None,
    ) -> None:
        if spools and DEFAULT in spools:
            raise CallError(
                f"the spool called {DEFAULT!r} is the first argument of Spooler; call the other one differently"
            )
        self._spools: dict[str, Spool] = {DEFAULT: spool_at(spool)}
        self._spools |= {name: spool_at(address) for name, address in (spools or {}).items()}
        self._by_address: dict[str, Spool] = {}
        self._lock = threading.Lock()
        self.tasks: dict[str, Task[..., Any, Any]] = {}
        self.raw_handler: Task[..., Any, Any] | None = None
        self.frequency = frequency

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
        return self._spools

    # --- tasks -----------------------------------------------------------------------------------------------

    @overload
    def task(
        self, function: Callable[Concatenate[Job, P], Coroutine[Any, Any, T]], /
    ) -> Task[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def task(self, function: Callable[Concatenate[Job, P], R], /) -> Task[P, R, R]: ...
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
    ) -> TaskDecorator: ...

    def task(self, function: Any = None, /, *, name: Any = None, retry_on: Any = None, **options: Any) -> Any:
        """Make a function a task, bare (`@spooler.task`) or with options.

        `retries` are runs after the first; `backoff` is the first wait in seconds, doubled each time with full
        jitter up to an hour, or a callable (attempt -> seconds); `retry_on` limits which exceptions are worth a
        retry; `harakiri` stops a run after so many seconds; `executor` is "auto" (async functions on the event
        loop, sync ones in a thread), "thread", "process" or "inline" (at once, in the caller).
        Raises TaskRefused when the function or an option cannot be used.
        """
        classes = (retry_on,) if isinstance(retry_on, type) else None if retry_on is None else tuple(retry_on)

        def decorate(function: Any) -> Task[..., Any, Any]:
            if not callable(function) or not hasattr(function, "__qualname__"):
                raise TaskRefused(f"@spooler.task decorates a function (def or async def), not {function!r}")
            task_name = name or default_name(function)
            self._check_name(task_name, function)
            task: Task[..., Any, Any] = Task(function, task_name, TaskOptions(retry_on=classes, **options), self)
            self.tasks[task_name] = task
            return task

        return decorate if function is None else decorate(function)

    def _check_name(self, name: str, function: Callable[..., Any]) -> None:
        known = self.tasks.get(name)
        # The same function again is a reloaded module, or a script that was imported by name as well.
        if known is not None and (module_of(known.function), known.function.__qualname__) != (
            module_of(function),
            function.__qualname__,
        ):
            raise TaskRefused(f"two tasks are called {name}: give one of them another name=")
        if len(name.encode()) > 200:
            raise TaskRefused(f"the task name {name[:60]!r}… is longer than 200 bytes")

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
            self.raw_handler = Task(function, HANDLER, TaskOptions(**options), self)
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
        return ticket_of((await self.put(call.spool, [call.message]))[0])

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
        return ticket_of(self.put_blocking(call.spool, [call.message])[0])

    async def spool_many(self, calls: Sequence[Call[Any]]) -> list[Ticket[Any]]:
        """Spool many calls (`task.call(…)`) in one trip to the disk per spool; tickets in the same order.

        Raises PartlySpooled when some are not in; its `results` tell which.
        """
        stored: dict[int, Stored | Exception] = {}
        for spool, positions in self._by_spool(calls):
            messages = [calls[position].message for position in positions]
            try:
                answers = await spool.put(messages)
            except SpoolError as error:  # the others may be in
                answers = [error] * len(messages)
            stored.update(zip(positions, answers, strict=True))
        return _tickets([stored[position] for position in range(len(calls))])

    def spool_many_sync(self, calls: Sequence[Call[Any]]) -> list[Ticket[Any]]:
        """As `spool_many`, from any thread or script."""
        stored: dict[int, Stored | Exception] = {}
        for spool, positions in self._by_spool(calls):
            messages = [calls[position].message for position in positions]
            try:
                answers = self.put_blocking(spool, messages)
            except AspoolError as error:  # the others may be in
                answers = [error] * len(messages)
            stored.update(zip(positions, answers, strict=True))
        return _tickets([stored[position] for position in range(len(calls))])

    async def open(self) -> None:
        """Open all spools now instead of when they are first used. Raises SpoolUnusable."""
        for spool in self._spools.values():
            await spool.open()

    async def aclose(self) -> None:
        """Close all spools; a later use opens them again."""
        for spool in [*self._spools.values(), *self._by_address.values()]:
            await spool.aclose()

    # --- the way to the spools (task.Sender) -----------------------------------------------------------------

    async def put(self, spool: Address | None, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages to the spool of that name or address (None: the default one)."""
        return await self._spool(spool).put(messages)

    def put_blocking(self, spool: Address | None, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """The same without an event loop. Raises CallError for a spool that cannot."""
        target = self._spool(spool)
        put: Callable[[Sequence[Message]], Sequence[Stored | Exception]] | None = getattr(target, "put_blocking", None)
        if put is None:  # it is no PutsBlocking; isinstance with a protocol would cost as much as the write
            raise CallError(f"{target.address} can only be written to from an event loop: use await spool(…)")
        return put(messages)

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, as a direct call of a task needs it."""
        target = self._spools[DEFAULT]
        if not isinstance(target, PutsBlocking):
            raise CallError(f"{target.address} cannot read a Body that was not spooled")
        return target.readable(body)

    def _by_spool(self, calls: Sequence[Call[Any]]) -> list[tuple[Spool, list[int]]]:
        """Each spool with the positions of its calls. Raises UnknownSpool, so that nothing is written before."""
        groups: dict[int, tuple[Spool, list[int]]] = {}
        for position, call in enumerate(calls):
            spool = self._spool(call.spool)
            groups.setdefault(id(spool), (spool, []))[1].append(position)
        return list(groups.values())

    def _spool(self, spool: Address | None) -> Spool:
        if spool is None:
            return self._spools[DEFAULT]
        if isinstance(spool, str) and spool in self._spools:
            return self._spools[spool]
        if not isinstance(spool, str | os.PathLike):
            return spool
        text = os.fspath(spool)
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


def _tickets(answers: Sequence[Stored | Exception]) -> list[Ticket[Any]]:
    results: list[Ticket[Any] | Exception] = [
        answer if isinstance(answer, Exception) else Ticket(answer.id, answer.duplicate) for answer in answers
    ]
    tickets = [result for result in results if isinstance(result, Ticket)]
    if len(tickets) < len(results):
        raise PartlySpooled(results)
    return tickets
