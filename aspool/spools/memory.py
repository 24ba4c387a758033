"""MemorySpool: messages in the memory of one process, for tests and for whatever may be lost with it."""

import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from heapq import heappop, heappush
from math import inf

from anyio import Event, move_on_after
from anyio.lowlevel import checkpoint

from ..body import Body
from ..message import Message
from ..outcomes import Buried, Done, Outcome, PutOff
from ..protocol import Claim, Stored
from .readers import BytesReader, chunks, chunks_async, in_memory, readable


class MemorySpool:
    """A spool without a disk. `dead` has the buried messages with the reason."""

    def __init__(self, address: str = "memory:") -> None:
        self.address = address
        self.dead: list[tuple[Message, Buried]] = []
        self._lock = threading.Lock()
        self._later: list[tuple[float, int, Message]] = []
        self._ready: list[tuple[float, float, int, Message]] = []
        self._unique: set[str] = set()
        self._count = 0
        self._news = Event()
        self._loop: tuple[int, AbstractEventLoop] | None = None

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
                if not duplicate:
                    self._keep(replace(message, body=Body(reader=BytesReader(data))))
            answers.append(Stored(message.id, duplicate))
        self._tell()
        return answers

    def readable(self, body: Body) -> Body:
        """A body that can be read at once."""
        return readable(body)

    def _keep(self, message: Message) -> None:
        self._count += 1
        heappush(self._later, (message.due, self._count, message))
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
    async def serving(self, frequency: Callable[[], float]) -> AsyncIterator[None]:  # noqa: ARG002 - the seam's
        """Open for claiming; nothing needs to be polled."""
        self._loop = threading.get_ident(), get_running_loop()
        self._news = Event()
        try:
            yield
        finally:
            self._loop = None

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first."""
        await checkpoint()
        with self._lock:
            while self._later and self._later[0][0] <= now:
                due, count, message = heappop(self._later)
                heappush(self._ready, (inf if message.priority is None else message.priority, due, count, message))
            taken = [heappop(self._ready)[3] for _ in range(min(limit, len(self._ready)))]
        return [Claim(message, message.body or Body(reader=BytesReader(b""))) for message in taken]

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says."""
        await checkpoint()
        with self._lock:
            for claim, outcome in settled:
                message = claim.message
                self._unique.discard(message.id)
                if isinstance(outcome, Buried):
                    self.dead.append((message, outcome))
                elif isinstance(outcome, PutOff):
                    self._keep(replace(message, due=outcome.due, attempt=outcome.attempt, crashes=outcome.crashes))
                elif not isinstance(outcome, Done):
                    self._keep(message)
        self._tell()

    def abandon(self, claim: Claim) -> None:
        """It is held as long as this process lives, since nobody puts it back."""

    async def wait(self, timeout: float) -> None:
        """Return when something was put, at the latest after `timeout` seconds."""
        with move_on_after(timeout):
            await self._news.wait()
        self._news = Event()

    def next_due(self) -> float | None:
        """When the next message is due."""
        if self._ready:
            return self._ready[0][1]
        return self._later[0][0] if self._later else None

    @property
    def has_looked(self) -> bool:
        """It knows all it has."""
        return True

    async def aclose(self) -> None:
        """Nothing is open."""
