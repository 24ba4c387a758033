"""DirectorySpool: the spool in which one message is one file. It puts the parts together."""

import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import aiofiles
from anyio import CapacityLimiter, create_task_group, to_thread
from anyio.lowlevel import RunVar

from ...body import Body
from ...errors import AspoolError, NotSpooled, SpoolUnusable
from ...message import Message
from ...outcomes import Outcome
from ...protocol import Board, Claim, Follower, Stored, Whereabouts, WorkerSide
from ...turn import Decide, Kept, Taken
from ..options import checked_concurrency
from ..readers import chunks_async, in_memory, readable
from .arrivals import Arrivals
from .browse import Browser
from .draft import Draft
from .finish import Finisher
from .following.tickets import Tickets
from .groups import Groups
from .limits.paused import pause, paused, resume
from .limits.room import Bounds
from .notices import FileNotice, notices
from .pace import Pace
from .publish import Durability, Item, Publisher, is_small
from .schedules import Schedules
from .scoreboard import FileBoard, boards
from .serving import Serving
from .tree import PRIVATE, Tree

FEW = 16  # messages that are written on the event loop in one go
QUICK = 0.0005  # seconds that each of them may take
# By the spool itself: its id() is another spool's as soon as it is forgotten.
_groups: RunVar["WeakKeyDictionary[DirectorySpool, Groups]"] = RunVar("aspool_groups")
# Threads that no other work of the program can take: a firing must be in time.
_turns: RunVar["WeakKeyDictionary[DirectorySpool, CapacityLimiter]"] = RunVar("aspool_turns")
TURNS = 8  # at the same time, of one event loop and spool


class DirectorySpool(Browser):
    """Messages as files in a directory; the documentation's "The directory" says what may be done to them by hand.

    `durability`: "disk" survives power loss, "process" survives the death of any process and is several times
    faster. `insecure` accepts a world-writable directory, `network` one on a network file system. `concurrency` is how
    many of its messages one worker may run at the same time; an `ordered` spool runs one after another, over all
    workers, which must all say so. An `external` spool is only written to. Puts are refused with SpoolFull when
    `max_waiting` messages wait or run, or when less than `min_free` bytes would be free on the disk. Making one does
    no I/O. Raises CallError for values that cannot be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "disk",
        insecure: bool = False,
        network: bool = False,
        concurrency: int | None = None,
        external: bool = False,
        ordered: bool = False,
        max_waiting: int | None = None,
        min_free: int | None = None,
    ) -> None:
        if durability not in ("disk", "process"):
            raise ValueError(f'durability is "disk" or "process", not {durability!r}')
        self.concurrency = checked_concurrency(concurrency, ordered=ordered)
        self.ordered = ordered
        self.external = external
        self.path = Path(os.path.abspath(os.fspath(path).removeprefix("file:")))
        self._tree = Tree(str(self.path), insecure=insecure, network=network)
        super().__init__(self._tree)
        bounds = None if max_waiting is None and min_free is None else Bounds(max_waiting, min_free)
        self._publisher = Publisher(self._tree, durability, bounds)
        self._finisher = Finisher(self._tree, durable=durability == "disk")
        self._tickets = Tickets(self._tree, self._finisher.results)
        self._schedules = Schedules(self._tree, self._publisher)
        self._pace = Pace(QUICK)
        self._serving: Serving | None = None

    def __repr__(self) -> str:
        return f"DirectorySpool({str(self.path)!r})"

    @property
    def address(self) -> str:
        """The absolute path."""
        return str(self.path)

    def scoreboard(self, slots: int) -> FileBoard:
        """A file in which a worker shows what it runs."""
        return FileBoard(self.path / PRIVATE / "workers", slots)

    def boards(self) -> list[Board]:
        """What the living workers show."""
        return boards(self.path / PRIVATE / "workers")

    def post(self) -> FileNotice:
        """A file in which a supervisor says what it runs. Raises SpoolUnusable."""
        self._tree.open()
        return FileNotice(self.path / PRIVATE / "workers")

    def notices(self) -> list[dict[str, Any]]:
        """What the living supervisors say."""
        return notices(self.path / PRIVATE / "workers")

    async def announce(self, frequency: float, arrived: Callable[[], None], changed: Callable[[], None]) -> None:
        """Call `arrived` whenever a message may have come in, and `changed` for pauses and schedules, until cancelled.

        Raises SpoolUnusable.
        """
        await Arrivals(self._tree, arrived, changed).keep_announcing(frequency)

    async def open(self) -> None:
        """Open it now, instead of when it is first used. Raises SpoolUnusable."""
        await to_thread.run_sync(self._tree.open)

    def accept_any_modifier(self) -> None:
        """Take files whatever their modifier1 is, as uWSGI does; else those with another than 17 are put aside."""
        self._tree.any_modifier = True

    # --- writing ---------------------------------------------------------------------------------------------

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages down, without an event loop. Raises SpoolUnusable."""
        self._tree.open()
        return self._publisher.publish([Item(message, None, is_small(message)) for message in messages])

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages down; what several coroutines put at the same time shares its trips. Raises SpoolUnusable."""
        if not self._tree.is_open:
            await to_thread.run_sync(self._tree.open)
        if not all(map(is_small, messages)):
            return await self._put_large(messages)
        items = [Item(message, None, True) for message in messages]
        if self._publisher.durable or len(items) > FEW or not self._pace.is_quick:
            return await self._group().add(items)
        # A few small messages, to a disk that answers within microseconds: a thread would only be in the way.
        answers = self._pace.measured(len(items), self._publisher.publish, items)
        await self._pace.pause()
        return answers

    async def _put_large(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        answers: dict[int, Stored | Exception] = {}
        items: dict[int, Item] = {}
        try:
            for position, message in enumerate(messages):
                try:
                    items[position] = await self._prepared(message)
                except (OSError, AspoolError, TypeError) as error:
                    answers[position] = self._publisher.refusal(error)
        except BaseException:  # cancelled: those before it are open files already
            for item in items.values():
                item.close()
            raise
        if items:
            published = await self._group().add(list(items.values()))
            answers |= dict(zip(items, published, strict=True))
        return [answers[position] for position in range(len(messages))]

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without being spooled."""
        return readable(body)

    def _group(self) -> Groups:
        """The gathering point of this event loop."""
        groups = _groups.get(None)
        if groups is None:
            groups = WeakKeyDictionary()
            _groups.set(groups)
        if self not in groups:
            groups[self] = Groups(self._publisher.publish)
        return groups[self]

    async def _prepared(self, message: Message) -> Item:
        """A message whose body, if it is not at hand, is in its file already."""
        if message.body is None or in_memory(message.body) is not None:
            return Item(message)
        draft = await to_thread.run_sync(self._publisher.start_stream, message)
        try:
            await _stream(draft, message.body)
        except BaseException as error:
            draft.close()
            if isinstance(error, Exception) and not isinstance(error, OSError | AspoolError | TypeError):
                raise NotSpooled(f"its body could not be read: {error!r}") from error
            raise
        return Item(message, draft)

    # --- tickets ---------------------------------------------------------------------------------------------

    def following(self, id: str, put: Whereabouts | None) -> AbstractAsyncContextManager[Follower]:
        """Follow one message, as long as the block lasts. Raises SpoolUnusable."""
        return self._tickets.following(id, put)

    async def cancel(self, id: str, put: Whereabouts | None) -> bool:
        """Remove a message that waits, or have its running job stopped. Raises SpoolUnusable."""
        return await self._tickets.cancel(id, put)

    async def reschedule(self, id: str, put: Whereabouts | None, due: float | None, priority: int | None) -> bool:
        """Let a waiting message run at another moment, with another priority. Raises SpoolUnusable."""
        return await self._tickets.reschedule(id, put, due, priority)

    # --- pausing ---------------------------------------------------------------------------------------------

    async def pause(self, task: str | None) -> None:
        """Let no worker begin messages of a task, or (None) any. Raises SpoolUnusable."""
        await to_thread.run_sync(pause, self._tree, task)

    async def resume(self, task: str | None) -> None:
        """Take that back. Raises SpoolUnusable."""
        await to_thread.run_sync(resume, self._tree, task)

    async def paused(self) -> frozenset[str | None]:
        """The names of the paused tasks, and None if the spool is. Raises SpoolUnusable."""
        return await to_thread.run_sync(paused, self._tree)

    # --- schedules -------------------------------------------------------------------------------------------

    async def turn(self, name: str, decide: Decide) -> Taken | None:
        """Take a schedule, if nobody has it, and do with it what is decided. Raises SpoolUnusable."""
        return await to_thread.run_sync(self._schedules.turn, name, decide, limiter=self._turn_limiter())

    async def records(self, names: Collection[str] | None = None) -> Mapping[str, Kept]:
        """The records of schedules, by their names. Raises SpoolUnusable."""
        return await to_thread.run_sync(self._schedules.records, names, limiter=self._turn_limiter())

    async def keep_alive(self, names: Collection[str]) -> None:
        """Note that these schedules are known to a worker. Raises SpoolUnusable."""
        await to_thread.run_sync(self._schedules.keep_alive, names, limiter=self._turn_limiter())

    def _turn_limiter(self) -> CapacityLimiter:
        limiters = _turns.get(None)
        if limiters is None:
            limiters = WeakKeyDictionary()
            _turns.set(limiters)
        return limiters.setdefault(self, CapacityLimiter(TURNS))

    # --- claiming --------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self, side: WorkerSide) -> AsyncIterator[None]:
        """Open the spool, watch it and look at it at the worker's frequency until the block ends.

        Raises SpoolUnusable, also when a worker of this process serves it through this object already.
        """
        if self._serving is not None and self._serving.is_here:
            raise SpoolUnusable(f"another worker of this process serves {self.path} already: one is enough")
        await to_thread.run_sync(self._tree.open)
        serving = self._serving = Serving(self._tree, self._finisher, side, self._schedules, ordered=self.ordered)
        try:
            async with create_task_group() as group:
                serving.start(group)
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
        finally:
            self._serving = None
            serving.stop()

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first, each locked now."""
        return await self._served().claim(limit, now)

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says; what the disk refuses is tried again later, and held until then."""
        await self._served().finish(settled)

    def abandon(self, claim: Claim) -> None:
        """Keep a file locked until this process ends, and do not charge its end to it."""
        self._served().abandon(claim)

    def leave(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Settle these, hand back all else, and keep all of them locked: this process ends now. From any thread."""
        unsettled = [] if self._serving is None else self._serving.unsettled
        self._finisher.leave([*unsettled, *settled])

    async def wait(self, timeout: float) -> None:
        """Return when something may have become due, at the latest after `timeout` seconds."""
        await self._served().wait(timeout)

    def next_due(self) -> float | None:
        """When the next known message is due."""
        return self._served().next_due()

    @property
    def has_looked(self) -> bool:
        """Whether every known place has been scanned since the spool is served."""
        return self._served().has_looked

    def _served(self) -> Serving:
        if self._serving is None:
            raise RuntimeError("a spool is claimed from inside `async with spool.serving(…)`")
        return self._serving

    async def aclose(self) -> None:
        """Close all descriptors. A later use opens them again."""
        self._tree.close()


async def _stream(draft: Draft, body: Body) -> None:
    """Write a body through aiofiles, straight into the file that has no name yet."""
    path = await to_thread.run_sync(draft.begin_stream)
    async with aiofiles.open(path, "ab", buffering=0) as file:
        async for chunk in chunks_async(body):
            await _write_all(file, chunk)
            draft.note_written(chunk)


async def _write_all(file: "aiofiles.threadpool.binary.AsyncFileIO", chunk: bytes) -> None:
    written = await file.write(chunk)
    while written < len(chunk):
        written += await file.write(chunk[written:])
