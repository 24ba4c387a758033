"""Ticket: what `spool()` returns. The id of a message, and a way to ask about it; its I/O is the spool's."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from . import portal
from .errors import NoResult, Unsupported
from .ids import checked_priority
from .moments import Moment, timestamp
from .protocol import Follower, Follows, Progress, Standing, State, Whereabouts
from .records import reason_of

T_co = TypeVar("T_co", covariant=True)


class Addressed(Protocol):
    """Any spool."""

    @property
    def address(self) -> str:
        """What a person calls it."""
        ...


class ReadsResults(Protocol):
    """Knows what a task's results look like."""

    def load(self, record: bytes) -> Any:
        """The value of a record. Raises the task's exception, or a ResultError."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where tickets of one task come from: its spool, and how its results are read.

    `keeps`: whether results are kept, None if that is not known here.
    """

    spool: Addressed
    returns: ReadsResults
    task: str = "the task"
    keeps: bool | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """What `watch` tells: how the message stands, which attempt it is, and how far its job got.

    `attempt` is 0 where nobody knows it any more; `reason` says why a task is dead or cancelled.
    """

    state: State
    attempt: int = 0
    progress: Progress | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ticket(Generic[T_co]):
    """The receipt of a message: its `id`, and whether it was a `duplicate` of one that still waits or runs.

    The type parameter is what the task returns. What a ticket can be asked is asked of the spool, from any process:
    `task.ticket(id)` and `spooler.ticket(id)` make one from an id. Each question raises Unsupported, naming the
    spool, where that cannot answer it, and SpoolUnusable where it cannot be read.
    """

    id: str
    duplicate: bool = False
    _origin: Origin | None = field(default=None, repr=False, compare=False)
    _put: Whereabouts | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.id

    @property
    def sync(self) -> "BlockingTicket[T_co]":
        """The same questions, for code without an event loop."""
        return BlockingTicket(self)

    async def status(self) -> State:
        """waiting, scheduled, running, retrying, done, cancelled, dead or unknown.

        Without `keep_result` the end of a message is unknown, unless it is dead: its file is all there was.
        """
        return (await self._look()).state

    async def progress(self) -> Progress | None:
        """How far the running job is; None while it does not run, or has told nothing."""
        return (await self._look()).progress

    async def result(self, *, timeout: float | None = None) -> T_co:
        """Wait for the end, and return what the task returned; needs `keep_result`.

        Raises the task's own exception, with its traceback as a note, if it is dead; TaskFailed where that cannot be
        made again here; TaskCancelled; NoResult if none is kept; TimeoutError after `timeout` seconds.
        """
        if self._origin is not None and self._origin.keeps is False:
            raise NoResult(f"{self._origin.task} keeps no result: decorate it with keep_result=seconds, or use it")
        async with asyncio.timeout(timeout), self._following() as follower:
            while not (standing := await follower.look()).is_over:
                await follower.changed()
        return self._read(standing)

    def _read(self, standing: Standing) -> T_co:
        if standing.record is None:
            what = "it is dead" if standing.state == "dead" else "it has ended, or never was"
            raise NoResult(f"no result of the message {self.id} is kept: {what}")
        assert self._origin is not None
        value: T_co = self._origin.returns.load(standing.record)
        return value

    async def watch(self) -> AsyncIterator[Update]:
        """Each change of state and progress as it comes, from how it stands now until the end."""
        last = None
        async with self._following() as follower:
            while True:
                standing = await follower.look()
                update = Update(standing.state, standing.attempt, standing.progress, reason_of(standing.record))
                if update != last:
                    yield update
                    last = update
                if standing.is_over:
                    return
                await follower.changed()

    async def cancel(self) -> bool:
        """Have the task not run, or its running job stopped. False when it has ended already, or is not known.

        A waiting message is removed. A running job: a coroutine is cancelled, a function in a thread finds
        `job.cancelled`, a process is ended. True when the worker has taken the order; `watch` or `result` wait for
        the end. However a job ends after that, it counts as cancelled, and is not retried.
        """
        return await self._spool().cancel(self.id, self._put)

    async def reschedule(self, *, at: Moment | None = None, priority: int | None = None) -> bool:
        """Let a waiting task run at another moment, or with another priority. False when it runs or is over."""
        due = None if at is None else timestamp(at)
        return await self._spool().reschedule(self.id, self._put, due, checked_priority(priority))

    async def _look(self) -> Standing:
        async with self._following() as follower:
            return await follower.look()

    def _following(self) -> AbstractAsyncContextManager[Follower]:
        return self._spool().following(self.id, self._put)

    def _spool(self) -> Follows:
        if self._origin is None:
            raise Unsupported(f"the ticket {self.id} belongs to no spool: ask spooler.ticket(id) for one")
        spool = self._origin.spool
        if not isinstance(spool, Follows):
            raise Unsupported(f"{spool.address} cannot tell what became of a message: it takes no questions of tickets")
        return spool


class BlockingTicket(Generic[T_co]):
    """A ticket's questions for code without an event loop; see Ticket. Raises CallError on an event loop's thread."""

    def __init__(self, ticket: Ticket[T_co]) -> None:
        self._ticket = ticket

    def status(self) -> State:
        """See Ticket.status."""
        return portal.call(self._ticket.status)

    def progress(self) -> Progress | None:
        """See Ticket.progress."""
        return portal.call(self._ticket.progress)

    def result(self, *, timeout: float | None = None) -> T_co:
        """See Ticket.result."""
        return portal.call(partial(self._ticket.result, timeout=timeout))

    def watch(self) -> Iterator[Update]:
        """See Ticket.watch."""
        return portal.iterate(self._ticket.watch)

    def cancel(self) -> bool:
        """See Ticket.cancel."""
        return portal.call(self._ticket.cancel)

    def reschedule(self, *, at: Moment | None = None, priority: int | None = None) -> bool:
        """See Ticket.reschedule."""
        return portal.call(partial(self._ticket.reschedule, at=at, priority=priority))


class _Ended:
    """In place of a spool, for a task that ran in its caller: the value is at hand."""

    address = "inline"

    def __init__(self, value: Any) -> None:
        self._value = value

    def load(self, record: bytes) -> Any:  # noqa: ARG002 - as results are read
        return self._value

    @asynccontextmanager
    async def following(self, id: str, put: Whereabouts | None) -> AsyncIterator[Follower]:  # noqa: ARG002 - as Follows
        yield self

    async def look(self) -> Standing:
        return Standing("done", 1, record=b"")

    async def changed(self) -> None:
        raise AssertionError("nothing changes after the end")

    async def cancel(self, id: str, put: Whereabouts | None) -> bool:  # noqa: ARG002 - as Follows
        return False

    async def reschedule(self, id: str, put: Whereabouts | None, due: float | None, priority: int | None) -> bool:  # noqa: ARG002 - as Follows
        return False


def ended_at_once(id: str, value: Any, task: str) -> Ticket[Any]:
    """The ticket of a task that ran in its caller."""
    ended = _Ended(value)
    return Ticket(id, False, Origin(ended, ended, task, keeps=True))
