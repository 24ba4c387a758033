"""Listener: takes tasks as uwsgi packets, from web servers, from programs for uWSGI and from other aspools.

It puts the parts together. What a connection says is in `conversation`, who is let in is in `acceptor`.
"""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from anyio import TASK_STATUS_IGNORED, CancelScope, Event, create_task_group, move_on_after
from anyio.abc import TaskGroup, TaskStatus

from ..errors import CallError
from ..protocol import Spool
from ..settings import ListenerSettings
from .acceptor import Acceptor
from .addresses import OWNER_ONLY, Asked, Listening, listen
from .admission import Admission, Limits
from .connection import Connection
from .conversation import Conversation, Shared
from .keeping import Keep
from .own_process import possible
from .peers import Access, check_reach
from .rare_warnings import RareWarnings
from .secret import read_secret
from .taking import Taker

BACKLOG = 4096  # connections that the system keeps until they are accepted, if it keeps so many
ANYBODY = 0o666  # who may come in is then said by the user of the other end
LAST_ANSWERS = 5.0  # seconds for what is being received when it stops


class Listener:
    """Listens where its settings say. Raises CallError for settings that cannot be.

    `open`, `serve` and `close`; or `listening` for all of it.
    """

    def __init__(self, settings: ListenerSettings) -> None:
        settings.check_listener()
        if not settings.listen:
            raise CallError("nothing says where to listen: give an address, as 127.0.0.1:3031 or unix:PATH")
        self._settings = settings
        self._access = Access(settings)
        self._secret = read_secret(settings.secret_file) if settings.secret_file else b""
        self._listening: list[Listening] = []
        self._taker: Taker | None = None  # while it is served

    @property
    def addresses(self) -> list[str]:
        """Where it listens, for people, with real ports."""
        return [str(listening) for listening in self._listening]

    def open(self) -> None:
        """Take all addresses; who connects waits until it is served. Raises CallError when one cannot be had."""
        mode = ANYBODY if self._settings.allow_user else OWNER_ONLY
        try:
            for where in self._settings.listen:
                listening = listen(Asked(where, "the listener", BACKLOG, mode))
                self._listening.append(listening)
                check_reach(listening.socket, self._settings)
        except BaseException:
            self.close()
            raise

    async def serve(self, spools: Mapping[str, Spool], *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Put what comes into these spools, until cancelled; then what is being received has a moment to come.

        The default spool is the one that is called so, or the first.
        """
        admission = Admission(self._limits())
        self._taker = taker = Taker(spools, self._settings)
        keep = Keep(self._settings.keep)
        shared = Shared(self._settings, self._secret, keep, taker, admission, RareWarnings())
        sockets = [listening.socket for listening in self._listening]
        acceptor = Acceptor(sockets, self._access, admission, self._settings.packet_timeout)
        try:
            async with create_task_group() as group:
                conversations = _Conversations(shared)
                await group.start(conversations.run)
                task_status.started()
                try:
                    await acceptor.keep(conversations.begin)
                finally:
                    self.close()
                    conversations.end()
        finally:
            acceptor.close()

    def use(self, spools: Mapping[str, Spool]) -> None:
        """While it serves: put what comes from now on into these; what is being received goes on into the old ones."""
        if self._taker is not None:
            self._taker.spools = spools

    def _limits(self) -> Limits:
        most = possible(self._settings.max_connections)
        per_peer = self._settings.max_connections_per_peer
        return Limits(most, math.ceil(most / 10) if per_peer is None else per_peer)

    def close(self) -> None:
        """Listen no more; socket files go."""
        while self._listening:
            self._listening.pop().close()


class _Conversations:
    """The connections that have said something, a task for each. They outlive the cancellation for a moment."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._group: TaskGroup
        self._number = 0
        self._changed = Event()
        self._closing = Event()

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Until they are asked to leave, and have left."""
        with CancelScope(shield=True):
            async with create_task_group() as self._group:
                task_status.started()
                await self._closing.wait()
                self._shared.admission.evict_half_open()
                with move_on_after(LAST_ANSWERS):
                    while self._number:
                        await self._changed.wait()
                self._group.cancel_scope.cancel()

    def begin(self, connection: Connection, begun: bytes) -> None:
        """Somebody has said something."""
        self._number += 1
        self._group.start_soon(self._converse, Conversation(self._shared, connection, begun))

    async def _converse(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        finally:
            self._number -= 1
            changed, self._changed = self._changed, Event()
            changed.set()

    def end(self) -> None:
        """Nobody else comes."""
        self._closing.set()


@asynccontextmanager
async def listening(spools: Mapping[str, Spool], settings: ListenerSettings) -> AsyncIterator[Listener]:
    """A listener that serves until the block ends. Raises CallError, and SpoolUnusable for a spool that cannot be."""
    listener = Listener(settings)
    for spool in spools.values():
        await spool.open()
    listener.open()
    failure: Exception | None = None
    async with create_task_group() as group:
        try:
            await group.start(listener.serve, spools)
            yield listener
        except Exception as error:  # raised again outside of the group, which would wrap it
            failure = error
        finally:
            listener.close()
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure
