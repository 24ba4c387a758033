"""Task: a decorated function and its options. Call it, spool it, or change one call with `.using(…)`."""

import asyncio
import functools
import inspect
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from .addresses import Address
from .arguments import Arguments
from .body import Body
from .errors import TaskRefused
from .ids import checked_id, checked_priority, new_id
from .job import Job
from .message import Message
from .moments import Moment, timestamp
from .protocol import Stored
from .retry import LONGEST_DELAY, Backoff, RetryPolicy
from .ticket import Ticket

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
S = TypeVar("S")

Executor = Literal["auto", "thread", "process", "inline"]
EXECUTORS = ("auto", "thread", "process", "inline")
MAIN_MODULES = ("__main__", "__mp_main__")
HANDLER = "(handler)"  # the name of the task that stands for a Spooler's handler of raw messages


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What a task's decorator says. Durations in seconds; None leaves the choice to the worker or the spooler."""

    retries: int = 3
    backoff: Backoff = 1.0
    retry_on: tuple[type[BaseException], ...] | None = None
    harakiri: float | None = None
    priority: int | None = None
    spool: str | None = None
    executor: Executor = "auto"

    def check(self, task: str) -> None:
        """Raises TaskRefused, naming the task and the option."""
        if not isinstance(self.retries, int) or self.retries < 0:
            raise TaskRefused(f"{task}: retries must be a whole number from 0, not {self.retries!r}")
        if not callable(self.backoff) and not _is_number(self.backoff, least=0):
            raise TaskRefused(f"{task}: backoff must be seconds from 0, or a callable, not {self.backoff!r}")
        if self.harakiri is not None and not (_is_number(self.harakiri, least=0) and self.harakiri):
            raise TaskRefused(f"{task}: harakiri must be more than 0 seconds, not {self.harakiri!r}")
        if self.executor not in EXECUTORS:
            raise TaskRefused(f"{task}: executor must be one of {', '.join(EXECUTORS)}, not {self.executor!r}")
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.retry_on or ()):
            raise TaskRefused(f"{task}: retry_on must be exception classes, not {self.retry_on!r}")
        checked_priority(self.priority)


def _is_number(value: object, *, least: float) -> bool:
    return isinstance(value, int | float) and value >= least


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What `.using(…)` changes for one call."""

    at: Moment | None = None
    priority: int | None = None
    id: str | None = None
    expires: Moment | None = None
    spool: Address | None = None
    per_message: Mapping[str, Any] = field(default_factory=dict)  # travels with the message: retries, backoff, harakiri


PLAIN_CALL = CallOptions()


class Sender(Protocol):
    """What a task needs of its Spooler: the way to the spools."""

    async def put(self, spool: Address | None, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages to the spool of that name or address."""
        ...

    def put_blocking(self, spool: Address | None, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """The same without an event loop."""
        ...

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without having been spooled."""
        ...


class Call(NamedTuple, Generic[T]):
    """One call, checked and written down but not spooled yet: what `spool_many` takes."""

    message: Message
    spool: Address | None


class Task(Generic[P, R, T]):
    """A function that can be called, or spooled to be called by a worker.

    P: its parameters, without a leading Job; R: what a direct call gives; T: what the task returns in the end.
    """

    def __init__(self, function: Callable[..., Any], name: str, options: TaskOptions, sender: Sender) -> None:
        options.check(name)
        self.function = function
        self.name = name
        self.options = options
        self.is_handler = name == HANDLER
        self._policy = RetryPolicy(options.retries, options.backoff)
        self.is_async = inspect.iscoroutinefunction(function)
        self.arguments = Arguments(function, name)
        self._sender = sender
        self._plainly: Using[P, T] = Using(self, PLAIN_CALL)
        self._check_function()
        functools.update_wrapper(cast("Any", self), function, updated=())  # its attributes are not the task's

    def _check_function(self) -> None:
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise TaskRefused(
                f"{self.name}: it is a generator, so nothing in it would run: a task returns, and does not yield"
            )
        if self.options.executor == "thread" and self.is_async:
            raise TaskRefused(
                f'{self.name}: an async function runs on the event loop; executor="thread" is for sync ones'
            )
        if self.options.executor == "process" and "<" in self.function.__qualname__:
            raise TaskRefused(
                f'{self.name}: executor="process" imports the task by name, so it cannot be a lambda or a function '
                "inside a function"
            )

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Simply run the function, here and now. A Job parameter gets a detached one, a Body can be read at once."""
        return cast("R", self.run_here(Job.detached(self.name), args, kwargs))

    def run_here(self, job: Job, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function with a Job if it wants one."""
        keywords = dict(kwargs)
        if self.arguments.body_name is not None:
            args = tuple(self._readable(value) for value in args)
            keywords = {key: self._readable(value) for key, value in kwargs.items()}
        if self.arguments.wants_job:
            args = (job, *args)
        return self.function(*args, **keywords)

    def _readable(self, value: Any) -> Any:
        return self._sender.readable(value) if isinstance(value, Body) else value

    async def spool(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Write the call down for a worker.

        Raises ArgumentsRefused before anything is written; NotSpooled, Uncertain or SpoolUnusable by the spool.
        """
        return await self._plainly.spool(*args, **kwargs)

    def spool_sync(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """As `spool`, from any thread or script; it blocks until the message is safe."""
        return self._plainly.spool_sync(*args, **kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call as a value, for `spool_many`."""
        return self._plainly.call(*args, **kwargs)

    def using(
        self,
        *,
        at: Moment | None = None,
        priority: int | None = None,
        id: str | None = None,
        expires: Moment | None = None,
        spool: Address | None = None,
        retries: int | None = None,
        backoff: float | None = None,
        harakiri: float | None = None,
    ) -> "Using[P, T]":
        """This task with other options for one call.

        `at`: when to run, an aware datetime, a timestamp or a timedelta from now. `priority`: the smaller the
        sooner. `id`: while a message with it waits or runs, a second one is not written. `expires`: after
        this moment the message is buried instead of run. `spool`: the name of a spool, or an address.
        """
        per_message: dict[str, Any] = {"retries": retries, "backoff": backoff, "harakiri": harakiri}
        given = {key: value for key, value in per_message.items() if value is not None}
        TaskOptions(**given).check(self.name)
        return Using(
            self, CallOptions(at=at, priority=priority, id=id, expires=expires, spool=spool, per_message=given)
        )

    def message(self, options: CallOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Message:
        """One call, written down. Raises ArgumentsRefused, NameRefused or MomentRefused."""
        arguments, body = self.arguments.dump(args, kwargs)
        now = time.time()
        priority = self.options.priority if options.priority is None else options.priority
        return Message(
            id=new_id() if options.id is None else checked_id(options.id),
            unique=options.id is not None,
            task=self.name,
            arguments=arguments,
            options=options.per_message,
            spooled=now,
            due=now if options.at is None else timestamp(options.at),
            priority=checked_priority(priority),
            expires=None if options.expires is None else timestamp(options.expires, "expires"),
            body=body,
        )

    def policy(self, overrides: Mapping[str, Any]) -> RetryPolicy:
        """How failures of one message are retried; `overrides` are the message's own options."""
        if not overrides:
            return self._policy
        retries, backoff = overrides.get("retries"), overrides.get("backoff")
        return RetryPolicy(
            retries if isinstance(retries, int) else self.options.retries,
            backoff if isinstance(backoff, int | float) else self.options.backoff,
        )

    def harakiri(self, overrides: Mapping[str, Any]) -> float | None:
        """After how many seconds one message's job is stopped."""
        seconds = overrides.get("harakiri", self.options.harakiri)
        return float(min(seconds, LONGEST_DELAY)) if isinstance(seconds, int | float) and seconds > 0 else None


class Using(Generic[P, T]):
    """A task with the options of one call."""

    def __init__(self, task: Task[P, Any, T], options: CallOptions) -> None:
        self._task = task
        self._options = options

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call as a value, for `spool_many`. Raises TaskRefused for an inline task, which never waits."""
        if self._task.options.executor == "inline":
            raise TaskRefused(
                f'{self._task.name}: executor="inline" runs at once, so there is nothing to spool: call spool()'
            )
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call[T]:
        spool = self._task.options.spool if self._options.spool is None else self._options.spool
        return Call(self._task.message(self._options, args, kwargs), spool)

    async def spool(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Write the call down for a worker; see `Task.spool`."""
        call = self._call(args, kwargs)
        if self._task.options.executor == "inline":
            result = self._run_inline(call, args, kwargs)
            if inspect.isawaitable(result):
                await result
            return Ticket(call.message.id)
        stored = await self._task._sender.put(call.spool, [call.message])  # noqa: SLF001 - one thing in two classes
        return ticket_of(stored[0])

    def spool_sync(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """As `spool`, from any thread or script."""
        call = self._call(args, kwargs)
        if self._task.options.executor == "inline":
            result = self._run_inline(call, args, kwargs)
            if inspect.isawaitable(result):
                asyncio.run(cast("Coroutine[Any, Any, Any]", result))
            return Ticket(call.message.id)
        stored = self._task._sender.put_blocking(call.spool, [call.message])  # noqa: SLF001 - one thing in two classes
        return ticket_of(stored[0])

    def _run_inline(self, call: Call[T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        job = Job(call.message.id, self._task.name, at=call.message.due)
        return self._task.run_here(job, args, kwargs)


def ticket_of(stored: Stored | Exception) -> Ticket[Any]:
    """The ticket of a stored message; raises what the spool answered otherwise."""
    if isinstance(stored, Exception):
        raise stored
    return Ticket(stored.id, stored.duplicate)


async def spool(task: Task[P, R, T], *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
    """`await spool(send_mail, "a@b.c")`: the same as `await send_mail.spool("a@b.c")`."""
    return await task.spool(*args, **kwargs)


def module_of(function: Callable[..., Any]) -> str:
    """The module that another process can import to find the function, also when this one runs it as a script."""
    if function.__module__ not in MAIN_MODULES:
        return function.__module__
    main = getattr(function, "__globals__", None) or vars(sys.modules["__main__"])
    spec = main.get("__spec__")
    if spec is not None:
        return str(spec.name)
    return PurePath(main.get("__file__") or "__main__").stem


def default_name(function: Callable[..., Any]) -> str:
    """`module.qualname`."""
    return f"{module_of(function)}.{function.__qualname__}"
