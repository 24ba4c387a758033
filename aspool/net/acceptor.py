"""Accepts connections, and waits with those that say nothing: all in one task, so that thousands of them cost little.

Whoever speaks is handed on, with the first bytes. Who may come in is said by `peers`, how many by `admission`.
"""

import errno
import os
import selectors
import socket
from collections.abc import Callable, Sequence

from anyio import CancelScope, current_time, sleep, wait_readable

from ..exchange import PING_MODIFIER, SIGNAL_MODIFIER
from ..wire import SPOOL_MODIFIER
from .admission import Admission
from .connection import Connection
from .peers import Access
from .rare_warnings import RareWarnings
from .requests import is_http
from .stream import hang_up

FIRST = 4096  # bytes: enough for most requests, and little for thousands of them
BATCH = 1024  # connections that are accepted before anybody is listened to: the system keeps not many more
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RELIEF = 0.05  # seconds without another accept, where there are no descriptors
UNSET = 0  # what a web server sends whose modifier1 nobody has set: it is told
_MODIFIERS = frozenset((SPOOL_MODIFIER, PING_MODIFIER, SIGNAL_MODIFIER, UNSET))
Heard = Callable[[Connection, bytes], None]


class Acceptor:
    """Of all the sockets that listen. `timeout` seconds are given for a request."""

    def __init__(self, sockets: Sequence[socket.socket], access: Access, admission: Admission, timeout: float) -> None:
        self._access = access
        self._admission = admission
        self._timeout = timeout
        self._batch = max(1, min(BATCH, admission.most // 4))  # who has just come is heard before he may have to go
        self._warnings = RareWarnings()
        self._silent: dict[Connection, None] = {}  # in the order of their deadlines
        self._selector = selectors.DefaultSelector()
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._is_exhausted = False
        for listening in sockets:
            listening.setblocking(False)
            self._selector.register(listening, selectors.EVENT_READ)

    async def keep(self, heard: Heard) -> None:
        """Call `heard` for each connection that speaks, until cancelled."""
        while True:
            await self._something_happens()
            ready = [key for key, _ in self._selector.select(0)]
            for key in ready:
                if key.data is not None and key.data in self._silent:
                    self._listen_to(key.data, heard)
            for key in ready:
                if key.data is None:
                    self._accept_some(key.fileobj)  # type: ignore[arg-type]  # a socket was registered
            self._dismiss_late()
            if self._is_exhausted:
                self._is_exhausted = False
                await sleep(RELIEF)

    async def _something_happens(self) -> None:
        oldest = next(iter(self._silent), None)
        with CancelScope() as scope:
            if oldest is not None:
                scope.deadline = oldest.until
            await wait_readable(self._selector.fileno())

    def _listen_to(self, connection: Connection, heard: Heard) -> None:
        try:
            begun = connection.sock.recv(FIRST)
        except BlockingIOError:
            return
        except OSError:
            begun = b""
        if not begun or not (is_http(begun) or begun[0] in _MODIFIERS):  # who takes this for a web server is told
            if begun:
                what = f"{connection.peer.name} speaks something else than uwsgi"
                self._warnings.note("a connection is closed", what)
            self.dismiss(connection)
            return
        self._forget(connection)
        heard(connection, begun)

    # --- accepting -----------------------------------------------------------------------------------------------

    def _accept_some(self, listening: socket.socket) -> None:
        for _ in range(self._batch):
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._relieve(listening, error)
                    return
                continue  # it has gone before it was accepted
            sock.setblocking(False)
            self._admit(sock, address)

    def _admit(self, sock: socket.socket, address: object) -> None:
        try:
            peer = self._access.peer_of(sock, address)
        except OSError:
            sock.close()
            return
        if isinstance(peer, str):
            self._warnings.note("a connection is refused", peer)
            hang_up(sock)
            return
        now = current_time()
        connection = Connection(sock, peer, now + self._timeout, self.dismiss)
        verdict = self._admission.admit(connection, now)
        if verdict == "closed":
            self._warnings.note("there are too many connections", f"one from {peer.name} is closed")
            hang_up(sock)
            return
        connection.verdict = verdict
        self._silent[connection] = None
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _relieve(self, listening: socket.socket, error: OSError) -> None:
        """No descriptor is left. Give one back: of somebody who is silent, or else of the one who waits."""
        self._warnings.note("a connection cannot be accepted", error.strerror)
        silent = len(self._silent)
        self._admission.make_room(current_time())
        if len(self._silent) < silent:
            return
        self._is_exhausted = True
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        try:
            listening.accept()[0].close()
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # tried again next time

    # --- ending --------------------------------------------------------------------------------------------------

    def dismiss(self, connection: Connection) -> None:
        """Close a silent one."""
        self._forget(connection)
        connection.hang_up()
        self._admission.leave(connection)

    def _forget(self, connection: Connection) -> None:
        del self._silent[connection]
        self._selector.unregister(connection.sock)

    def _dismiss_late(self) -> None:
        now = current_time()
        while (oldest := next(iter(self._silent), None)) is not None and oldest.until <= now:
            self.dismiss(oldest)

    def close(self) -> None:
        """Nobody comes in any more; the sockets are whose they are."""
        for connection in list(self._silent):
            self.dismiss(connection)
        self._selector.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
