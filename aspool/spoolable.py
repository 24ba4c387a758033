"""What can be spooled: the way of one call from its arguments through its options to a spool, and back as a ticket."""

import asyncio
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from . import clock
from .addresses import Address
from .body import Body
from .errors import CallError, TaskRefused
from .ids import checked_id, checked_priority, new_id
from .message import Message, written_buffer
from .moments import Moment, timestamp
from .options import PLAIN_CALL, CallOptions, Executor, TaskOptions
from .protocol import Spool, Stored, Whereabouts
from .results import Returns
from .ticket import Origin, Ticket, ended_at_once

P = ParamSpec("P")
T = TypeVar("T")

MOST_ORIGINS = 32  # of one task


class Sender(Protocol):
    """What a task needs of its Spooler: the way to the spools."""

    def spool_of(self, address: Address | None) -> Spool:
        """The spool of that name or address (None: the default one). Raises UnknownSpool."""
        ...

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without having been spooled."""
        ...

    @property
    def tz(self) -> str:
        """The zone of crons that name none."""
        ...


class Call(NamedTuple, Generic[T]):
    """One call, checked and written down but not spooled yet: what `spool_many` takes."""

    message: Message
    spool: Address | None
    task: "Spoolable[Any, T] | None"  # None: a raw message

    def ticket(self, stored: Stored | Exception, spool: Spool) -> Ticket[T]:
        """The ticket of the stored call; raises what the spool answered otherwise."""
        if isinstance(stored, Exception):
            raise stored
        origin = Origin(spool, _RAW, "a raw message", keeps=False) if self.task is None else self.origin(spool)
        # Where the first message of a chosen id was put is not known here.
        put = None if stored.duplicate else Whereabouts(self.message.due, self.message.priority)
        return Ticket(stored.id, stored.duplicate, origin, put)

    def origin(self, spool: Spool) -> Origin:
        """Where its ticket comes from."""
        assert self.task is not None
        return self.task.origin(spool, keeps=self.task.keeps_result(self.message.options))


_RAW = Returns(None, "a raw message")


class Spoolable(ABC, Generic[P, T]):
    """A task as far as spooling it goes. P: its parameters, without a leading Job; T: what it returns in the end.

    `run_inline` is there if the task never waits (executor="inline"): it runs a call here and now, in the caller.
    """

    run_inline: Callable[[Message, tuple[Any, ...], Mapping[str, Any]], Any] | None = None

    def __init__(self, name: str, options: TaskOptions, sender: Sender, returns: Returns) -> None:
        options.check(name)
        self.name = name
        self.options = options
        self.sender = sender
        self._returns = returns
        self._origins: dict[tuple[Spool, bool | None], Origin] = {}
        self._executor: Executor = options.executor
        self._plainly: Using[P, T] = Using(self, PLAIN_CALL)

    @abstractmethod
    def dump(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[bytes, Body | None]:
        """The arguments of one call as JSON, and its Body. Raises ArgumentsRefused."""

    async def spool(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Write the call down for a worker.

        Raises ArgumentsRefused before anything is written; NotSpooled (SpoolFull), Uncertain or SpoolUnusable by
        the spool.
        """
        return await self._plainly.spool(*args, **kwargs)

    def spool_sync(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """As `spool`, from any thread or script; it blocks until the message is safe."""
        return self._plainly.spool_sync(*args, **kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call as a value, for `spool_many`."""
        return self._plainly.call(*args, **kwargs)

    def ticket(self, id: str, *, spool: Address | None = None) -> Ticket[T]:
        """The ticket of a message of this task that was spooled elsewhere, by its id."""
        target = self.sender.spool_of(self.options.spool if spool is None else spool)
        return Ticket(checked_id(id), False, self.origin(target, keeps=None))

    def using(
        self,
        *,
        at: Moment | None = None,
        priority: int | None = None,
        id: str | None = None,
        expires: Moment | None = None,
        spool: Address | None = None,
        buffer: Mapping[str, Any] | None = None,
        retries: int | None = None,
        backoff: float | None = None,
        harakiri: float | None = None,
        keep_result: float | None = None,
        working_dir: str | os.PathLike[str] | None = None,
    ) -> "Using[P, T]":
        """This task with other options for one call.

        `at`: when to run, an aware datetime, a timestamp or a timedelta from now. `priority`: the smaller the
        sooner. `id`: while a message with it waits or runs, a second one is not written. `expires`: after
        this moment the message is buried instead of run. `spool`: the name of a spool, or an address.
        `buffer`: what `job.buffer` has in the first run. The others are the task's options.
        """
        per_message: dict[str, Any] = {
            "retries": retries, "backoff": backoff, "harakiri": harakiri, "keep_result": keep_result,
            "working_dir": None if working_dir is None else os.fspath(working_dir),
        }  # fmt: skip
        given = {key: value for key, value in per_message.items() if value is not None}
        TaskOptions(executor=self._executor, **given).check(self.name)
        written_buffer(buffer or {})
        options = CallOptions(
            at=at, priority=priority, id=id, expires=expires, spool=spool, buffer=dict(buffer or {}), per_message=given
        )
        return Using(self, options)

    def message(self, options: CallOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Message:
        """One call, written down. Raises ArgumentsRefused, NameRefused or MomentRefused."""
        arguments, body = self.dump(args, kwargs)
        now = clock.now()
        priority = self.options.priority if options.priority is None else options.priority
        return Message(
            id=new_id() if options.id is None else checked_id(options.id),
            unique=options.id is not None,
            task=self.name,
            arguments=arguments,
            options=options.per_message,
            buffer=options.buffer,
            spooled=now,
            due=now if options.at is None else timestamp(options.at),
            priority=checked_priority(priority),
            expires=None if options.expires is None else timestamp(options.expires, "expires"),
            body=body,
        )

    def origin(self, spool: Spool, *, keeps: bool | None) -> Origin:
        """Where this task's tickets of a spool come from."""
        key = (spool, keeps)
        if key not in self._origins:
            if len(self._origins) >= MOST_ORIGINS:  # of spools that nobody has any more
                self._origins.clear()
            self._origins[key] = Origin(spool, self._returns, self.name, keeps)
        return self._origins[key]

    def keep_result(self, overrides: Mapping[str, Any]) -> float | None:
        """For how many seconds the result of a message is kept; `overrides` are the message's own options."""
        if not overrides:
            return self.options.keep_result
        seconds = overrides.get("keep_result", self.options.keep_result)
        return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None

    def keeps_result(self, overrides: Mapping[str, Any]) -> bool | None:
        """Whether the result of a message is kept; None if that is not known here."""
        return self.keep_result(overrides) is not None


class Using(Generic[P, T]):
    """A task with the options of one call."""

    def __init__(self, task: Spoolable[P, T], options: CallOptions) -> None:
        self.task = task
        self.options = options

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call as a value, for `spool_many`. Raises TaskRefused for an inline task, which never waits."""
        if self.task.run_inline is not None:
            raise TaskRefused(
                f'{self.task.name}: executor="inline" runs at once, so there is nothing to spool: call spool()'
            )
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call[T]:
        spool = self.task.options.spool if self.options.spool is None else self.options.spool
        return Call(self.task.message(self.options, args, kwargs), spool, self.task)

    async def spool(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Write the call down for a worker; see `Task.spool`."""
        call = self._call(args, kwargs)
        if self.task.run_inline is not None:
            value = self.task.run_inline(call.message, args, kwargs)
            return self._ended(call, await value if inspect.isawaitable(value) else value)
        spool = self.task.sender.spool_of(call.spool)
        return call.ticket((await spool.put([call.message]))[0], spool)

    def spool_sync(self, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """As `spool`, from any thread or script."""
        call = self._call(args, kwargs)
        if self.task.run_inline is not None:
            value = self.task.run_inline(call.message, args, kwargs)
            if inspect.isawaitable(value):
                value = asyncio.run(cast("Coroutine[Any, Any, Any]", value))
            return self._ended(call, value)
        spool = self.task.sender.spool_of(call.spool)
        return call.ticket(put_blocking(spool, [call.message])[0], spool)

    def _ended(self, call: Call[T], value: Any) -> Ticket[T]:
        return ended_at_once(call.message.id, value, self.task.name)


def put_blocking(spool: Spool, messages: list[Message]) -> list[Stored | Exception]:
    """Write messages to a spool without an event loop. Raises CallError for a spool that cannot."""
    put = getattr(spool, "put_blocking", None)
    if put is None:  # it is no PutsBlocking; isinstance with a protocol would cost as much as the write
        raise CallError(f"{spool.address} can only be written to from an event loop: use await spool(…)")
    return cast("list[Stored | Exception]", put(messages))
