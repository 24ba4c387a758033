"""`run`: a supervisor as a program: its signals, and all that stands beside it (health, the listener, systemd, …)."""

import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.metadata import version
from signal import SIG_IGN, SIG_UNBLOCK, SIGHUP, SIGINT, SIGTERM, Signals, getsignal, pthread_sigmask

import anyio
from anyio.abc import TaskGroup

from ..net.addresses import Asked, Listening, listen
from ..net.listener import Listener
from ..observe.health import BACKLOG, check_health, serve_health
from ..observe.logs import set_up_logs
from ..observe.systemd import Notifier
from ..placing import named_spools, placed
from ..settings import Settings
from . import pidfile
from .cheap import Cheap
from .listening import keep_listening
from .orphans import keep_reaping
from .outlook import Outlook
from .standard import have_standard_streams, say
from .supervisor import Supervisor
from .terminal import Terminal
from .titles import set_title
from .touch import check_code_watcher, keep_watching_code, keep_watching_touched

logger = logging.getLogger("aspool.supervisor")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What whoever started this program gave it. Nothing here reads the environment; the command line does.

    `notifier` tells systemd how we are, every `watchdog` seconds at least; `sockets` are open already, for health.
    """

    notifier: Notifier = field(default_factory=lambda: Notifier(None))
    watchdog: float | None = None
    sockets: tuple[socket.socket, ...] = ()


def run(app: str, settings: Settings | None = None, surroundings: Surroundings | None = None) -> int:
    """Run workers of an application, `module:attribute`, until a signal stops them: the exit code for the program.

    Raises CallError before anything is started when a pid file or an address to listen on cannot be had.
    """
    have_standard_streams()
    settings, surroundings = placed(settings or Settings()), surroundings or Surroundings()
    set_up_logs(settings)
    if settings.reload:
        check_code_watcher()
    with pidfile.held(settings.pidfile):
        health, listener = _open_both(settings, surroundings)
        set_title(f"supervisor of {app}")
        return anyio.run(_Program(Supervisor(app, settings), surroundings, health, listener).run)


def _open_both(settings: Settings, surroundings: Surroundings) -> tuple[Listening | None, Listener | None]:
    """What there is to listen with; all of it, or no socket file stays."""
    health = _open_health(settings, surroundings)
    try:
        return health, _open_listener(settings)
    except BaseException:
        if health is not None:
            health.close()
        raise


def _open_health(settings: Settings, surroundings: Surroundings) -> Listening | None:
    if not surroundings.sockets and settings.health is None:
        return None
    check_health()
    if surroundings.sockets:
        return Listening(surroundings.sockets[0])
    return listen(Asked(settings.health or "", "health", BACKLOG))


def _open_listener(settings: Settings) -> Listener | None:
    if not settings.listen:
        return None
    named_spools(settings)  # what cannot be is told now
    listener = Listener(settings)
    listener.open()
    return listener


class _Program:
    def __init__(
        self, supervisor: Supervisor, surroundings: Surroundings, health: Listening | None, listener: Listener | None
    ) -> None:
        self._supervisor = supervisor
        self._settings = supervisor.settings
        self._notifier = surroundings.notifier
        self._watchdog = surroundings.watchdog
        self._health = health
        self._listener = listener
        self._terminal = Terminal()

    async def run(self) -> int:
        obeyed = [SIGTERM, *(number for number in (SIGINT, SIGHUP) if getsignal(number) is not SIG_IGN)]
        with anyio.open_signal_receiver(*obeyed) as signals:
            pthread_sigmask(SIG_UNBLOCK, [SIGHUP])  # blocked by a worker that became this program
            async with anyio.create_task_group() as group:
                group.start_soon(self._obey, signals)
                await self._start_beside(group)
                await self._supervisor.run()
                group.cancel_scope.cancel()
        return self._supervisor.exit_code

    async def _start_beside(self, group: TaskGroup) -> None:
        settings, supervisor = self._settings, self._supervisor
        outlook = Outlook(supervisor, self._tell_of)
        group.start_soon(outlook.keep_posting)
        group.start_soon(keep_reaping, lambda: [process.pid for process in supervisor.processes])
        group.start_soon(self._keep_notifying)
        if self._watchdog is not None:
            group.start_soon(self._keep_alive, self._watchdog)
        if self._health is not None:
            await group.start(serve_health, self._health, outlook)
            logger.info("health answers on %s", self._health)
        if self._listener is not None:
            group.start_soon(keep_listening, self._listener, supervisor)
        if settings.cheap:
            group.start_soon(Cheap(supervisor).keep_deciding)
        if settings.touch_reload:
            group.start_soon(keep_watching_touched, settings.touch_reload, settings.frequency, supervisor.reload)
        if settings.reload:
            group.start_soon(keep_watching_code, settings.chdir or os.getcwd(), supervisor.reload)

    def _tell_of(self, address: str) -> None:
        say(f"aspool {version('aspool')}: {self._supervisor.app} works on {address}")

    async def _obey(self, signals: AsyncIterator[Signals]) -> None:
        async for number in signals:
            if number != SIGHUP:
                self._supervisor.stop(number.name)
            elif self._terminal.is_closed:
                self._supervisor.stop("its terminal was closed")
            else:
                self._supervisor.reload(number.name)

    # --- systemd ---------------------------------------------------------------------------------------------

    async def _keep_notifying(self) -> None:
        """Say how it stands whenever that is another: told once, as systemd writes a line for each."""
        supervisor, notifier = self._supervisor, self._notifier
        was_ready, was_reloading, told = False, False, ""
        while not supervisor.is_stopping:
            if not was_ready and len(supervisor.claiming) >= supervisor.wanted:
                was_ready = True
                notifier.ready(self._status())
            elif was_ready and supervisor.is_reloading != was_reloading:
                was_reloading = supervisor.is_reloading
                (notifier.reloading if was_reloading else notifier.ready)()
            if self._status() != told:
                told = self._status()
                notifier.status(told)
            await supervisor.changed()
        notifier.stopping(self._status())

    def _status(self) -> str:
        claiming, wanted = len(self._supervisor.claiming), self._supervisor.wanted
        return f"{claiming} of {wanted} workers of {self._supervisor.app} run; deaths: {self._supervisor.deaths}"

    async def _keep_alive(self, interval: float) -> None:
        while True:
            self._notifier.watchdog()
            await anyio.sleep(interval)
