"""MemorySpool: messages in the memory of one process, for tests and for whatever may be lost with it."""

import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from math import inf

from anyio import Event, move_on_after
from anyio.lowlevel import checkpoint

from ..body import Body
from ..errors import SpoolFull
from ..message import Message
from ..outcomes import Buried, Cancelled, Done, Outcome, PutOff
from ..protocol import Board, Claim, Stored, Whereabouts, WorkerSide
from ..turn import Decide, Kept, Taken
from .entrance import Entrance
from .ledger import Ledger, MemoryFollower
from .memory_board import MemoryBoard
from .memory_schedules import MemorySchedules
from .options import checked_bound, checked_concurrency
from .readers import BytesReader, chunks, chunks_async, in_memory, readable

RETRIES = (0.0, 0.05, 1.0)  # seconds until a job is cancelled again: that of a claim begins a moment after it


class Order:
    """Somebody wants a running job to be cancelled."""

    taken = False  # by the worker


class MemorySpool:
    """A spool without a disk. `dead` has the buried messages with the reason; the options are those of DirectorySpool.

    Raises CallError for options that cannot be.
    """

    def __init__(
        self,
        address: str = "memory:",
        *,
        concurrency: int | None = None,
        external: bool = False,
        ordered: bool = False,
        max_waiting: int | None = None,
    ) -> None:
        self.address = address
        self.concurrency = checked_concurrency(concurrency, ordered=ordered)
        self.ordered = ordered
        self.external = external
        self._max_waiting = inf if max_waiting is None else checked_bound("max_waiting", max_waiting)
        self._entrance = Entrance(ordered=ordered)
        self.dead: list[tuple[Message, Buried]] = []
        self._lock = threading.Lock()
        self._ledger = Ledger(self._lock, self.dead)
        self._void: set[int] = set()  # numbers in the heaps of messages that were cancelled or rescheduled
        self._orders: dict[str, set[Order]] = {}  # by id: to cancel running jobs
        self._boards: list[MemoryBoard] = []
        self._has_left = False  # with its process
        self._later: list[tuple[float, int, Message]] = []
        self._ready: list[tuple[float, float, int, Message]] = []
        self._unique: set[str] = set()
        self._count = 0
        self._news = Event()
        self._loop: tuple[int, AbstractEventLoop] | None = None
        self._side: WorkerSide | None = None
        self._schedules = MemorySchedules(self.put_blocking, self._unique.__contains__, self._schedule_changed)

    async def open(self) -> None:
        """Nothing needs to be opened."""

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Keep messages, and their bodies in memory."""
        return [await self._put(message) for message in messages]

    async def _put(self, message: Message) -> Stored | Exception:
        try:
            if message.body is not None and in_memory(message.body) is None:
                message = replace(message, body=Body(b"".join([chunk async for chunk in chunks_async(message.body)])))
        except Exception as error:
            return error
        return self.put_blocking([message])[0]

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """The same without an event loop."""
        answers: list[Stored | Exception] = []
        for message in messages:
            try:
                data = b"".join(chunks(message.body)) if message.body else b""
            except Exception as error:
                answers.append(error)
                continue
            with self._lock:
                duplicate = message.unique and message.id in self._unique
                if not duplicate and len(self._ledger.lines) >= self._max_waiting:
                    answers.append(self._full())
                    continue
                if not duplicate:
                    stored = replace(message, body=Body(reader=BytesReader(data)))
                    self._ledger.forget(message.id)
                    self._keep(stored)
                    self.note_put(stored)
            answers.append(Stored(message.id, duplicate))
        self._tell()
        return answers

    def _full(self) -> SpoolFull:
        return SpoolFull(
            f"the spool {self.address} is full: {len(self._ledger.lines)} messages wait or run, and max_waiting is "
            f"{self._max_waiting}; spool again when workers have finished some"
        )

    def note_put(self, message: Message) -> None:
        """A message was put, and is kept like this; for the spools of tests, which remember it."""

    def messages(self) -> list[Message]:
        """What waits, in the order of work: first by priority, then by due moment. For looking."""
        with self._lock:
            waiting = [(due, count, message) for due, count, message in self._later if count not in self._void]
            ready = [*self._ready, *self._entrance.kept()]
            waiting += [(due, count, message) for _, due, count, message in ready if count not in self._void]
        waiting.sort(key=lambda one: (inf if one[2].priority is None else one[2].priority, *one[:2]))
        return [message for _, _, message in waiting]

    def readable(self, body: Body) -> Body:
        """A body that can be read at once."""
        return readable(body)

    def _keep(self, message: Message, number: int | None = None) -> None:
        if number is None:
            number = self._count = self._count + 1
        heappush(self._later, (message.due, number, message))
        self._ledger.keep(message, number)
        if message.unique:
            self._unique.add(message.id)

    def _tell(self) -> None:
        if (served := self._loop) is not None:
            thread, loop = served
            if thread == threading.get_ident():
                self._news.set()
            elif not loop.is_closed():  # and do not wait for it: it may wait for us
                loop.call_soon_threadsafe(lambda: self._news.set())

    @asynccontextmanager
    async def serving(self, side: WorkerSide) -> AsyncIterator[None]:
        """Open for claiming; nothing needs to be polled."""
        self._loop, self._side = (threading.get_ident(), get_running_loop()), side
        with self._lock:
            for item in self._entrance.emptied(side.limit):
                heappush(self._ready, item)
        self._news = Event()
        try:
            yield
        finally:
            self._loop = self._side = None

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first."""
        await checkpoint()
        with self._lock:
            while self._later and self._later[0][0] <= now:
                due, count, message = heappop(self._later)
                heappush(self._ready, (inf if message.priority is None else message.priority, due, count, message))
            taken = self._taken(1 if self.ordered else limit, now)
        for message in taken:
            if message.id in self._orders:
                get_running_loop().call_soon(self._carry_out, message.id, RETRIES)
        return [Claim(message, message.body or Body(reader=BytesReader(b""))) for message in taken]

    def _taken(self, limit: int, now: float) -> list[Message]:
        taken: list[Message] = []
        if self._entrance.is_shut or self._has_left:
            return taken
        for item in self._entrance.released(now):
            heappush(self._ready, item)
        while self._ready and len(taken) < limit:
            item = heappop(self._ready)
            *_, number, message = item
            if number in self._void:
                self._void.remove(number)
            elif self._entrance.admit(item, now):
                self._ledger.begin(message)
                taken.append(message)
        return taken

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says."""
        await checkpoint()
        with self._lock:
            if self._has_left:
                return
            for claim, outcome in settled:
                message = claim.message
                self._unique.discard(message.id)
                self._entrance.ended(message)
                if isinstance(outcome, Done | Cancelled | Buried):
                    self._end(message, outcome)
                elif isinstance(outcome, PutOff):
                    self._keep(_put_off(message, outcome))
                else:
                    line = self._ledger.lines.get(message.id)
                    self._keep(message, line.number if line else None)  # as if it had not been claimed
        self._tell()

    def _end(self, message: Message, outcome: Done | Cancelled | Buried) -> None:
        if isinstance(outcome, Buried):
            self.dead.append((message, outcome))
        self._ledger.end(message.id, outcome)

    def leave(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Note what is over, for the tickets of this process; what is not ends with it."""
        with self._lock:
            if self._has_left:
                return
            self._has_left = True
            for claim, outcome in settled:
                if isinstance(outcome, Done | Cancelled | Buried):
                    self._end(claim.message, outcome)

    def abandon(self, claim: Claim) -> None:
        """It is held as long as this process lives, since nobody puts it back."""

    async def wait(self, timeout: float) -> None:
        """Return when something was put, at the latest after `timeout` seconds."""
        with move_on_after(timeout):
            await self._news.wait()
        self._news = Event()

    def next_due(self) -> float | None:
        """When the next message is due."""
        with self._lock:
            if self._entrance.is_shut:
                return None
            first = min(self._ready[0][1] if self._ready else inf, self._later[0][0] if self._later else inf)
            moment = min(first, self._entrance.next_moment())
            return None if moment == inf else moment

    @property
    def has_looked(self) -> bool:
        """It knows all it has."""
        return True

    async def aclose(self) -> None:
        """Nothing is open."""

    # --- schedules -------------------------------------------------------------------------------------------

    async def turn(self, name: str, decide: Decide) -> Taken | None:
        """Take a schedule, and do with it what is decided."""
        return self._schedules.turn(name, decide)

    async def records(self, names: Collection[str] | None = None) -> Mapping[str, Kept]:
        """The records of schedules, by their names."""
        return self._schedules.records(names)

    async def keep_alive(self, names: Collection[str]) -> None:
        """Note that these schedules are known to a worker."""
        self._schedules.keep_alive(names)

    def _schedule_changed(self, name: str) -> None:
        if (side := self._side) is not None:
            self._on_loop(partial(side.schedules_changed, name))

    # --- pausing ---------------------------------------------------------------------------------------------

    async def pause(self, task: str | None) -> None:
        """Let the worker begin no messages of a task, or (None) none at all."""
        with self._lock:
            self._entrance.paused.add(task)

    async def resume(self, task: str | None) -> None:
        """Take that back."""
        with self._lock:
            self._entrance.paused.discard(task)
        self._tell()

    async def paused(self) -> frozenset[str | None]:
        """The names of the paused tasks, and None if the spool is."""
        with self._lock:
            return frozenset(self._entrance.paused)

    # --- tickets ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def following(self, id: str, put: Whereabouts | None) -> AsyncIterator[MemoryFollower]:  # noqa: ARG002 - the seam's
        """Follow one message, as long as the block lasts."""
        follower = MemoryFollower(id, self._ledger)
        self._ledger.follow(follower)
        try:
            yield follower
        finally:
            self._ledger.unfollow(follower)

    async def cancel(self, id: str, put: Whereabouts | None) -> bool:
        """Remove a message that waits, or have its running job stopped; False when it is over, or not there."""
        async with self.following(id, put) as follower:
            while not (await follower.look()).is_over:
                if self._withdrawn(id):
                    return True
                order = Order()
                with self._lock:
                    self._orders.setdefault(id, set()).add(order)
                try:
                    self._on_loop(partial(self._carry_out, id, RETRIES))
                    while not order.taken and (await follower.look()).state == "running":
                        await follower.changed()
                finally:
                    self._drop(id, order)
                if order.taken:
                    return True
        return False

    def _withdrawn(self, id: str) -> bool:
        """Remove a message that waits; False when it runs."""
        with self._lock:
            line = self._ledger.lines.get(id)
            if line is None or line.runs:
                return False
            self._void.add(line.number)
            self._unique.discard(id)
            self._ledger.end(id, Cancelled("before it ran"))
            return True

    def _carry_out(self, id: str, again: Sequence[float]) -> None:
        """Have the worker cancel a job, which may be about to begin. On the worker's event loop."""
        orders = self._orders.get(id)
        if not orders or self._side is None:
            return
        if self._side.cancel(id):
            with self._lock:
                for order in orders:
                    order.taken = True
                self._ledger.tell(id)
        elif again:
            get_running_loop().call_later(again[0], self._carry_out, id, again[1:])

    def _drop(self, id: str, order: Order) -> None:
        with self._lock:
            orders = self._orders.get(id, set())
            orders.discard(order)
            if not orders:
                self._orders.pop(id, None)

    def _on_loop(self, call: Callable[[], None]) -> None:
        """Call it soon on the event loop of the worker, if there is one."""
        if (served := self._loop) is not None and not served[1].is_closed():
            served[1].call_soon_threadsafe(call)

    async def reschedule(self, id: str, put: Whereabouts | None, due: float | None, priority: int | None) -> bool:  # noqa: ARG002 - the seam's
        """Let a waiting message run at another moment, with another priority; False if it runs, or is over."""
        with self._lock:
            line = self._ledger.lines.get(id)
            if line is None or line.runs:
                return False
            self._void.add(line.number)
            old = line.message
            self._keep(
                replace(
                    old,
                    due=old.due if due is None else due,
                    priority=old.priority if priority is None else priority,
                )
            )
        self._tell()
        return True

    def scoreboard(self, slots: int) -> MemoryBoard:
        """Where a worker shows what it runs."""
        board = MemoryBoard(self._ledger, slots)
        self._boards = [*(other for other in self._boards if other.is_open), board]
        return board

    def boards(self) -> list[Board]:
        """What the workers of this process show."""
        return [board.board() for board in self._boards if board.is_open]


def _put_off(message: Message, outcome: PutOff) -> Message:
    changed = replace(message, due=outcome.due, attempt=outcome.attempt, crashes=outcome.crashes)
    if outcome.changes is None:
        return changed
    options = dict(message.options)
    if outcome.changes.retries is not None:
        options["retries"] = outcome.changes.retries
    return replace(changed, buffer=outcome.changes.buffer, options=options)
