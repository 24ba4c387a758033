"""What `aspool worker` does: one worker in this process, or a supervisor of several. It reads what systemd says."""

import os
import sys
from importlib.metadata import version

from ..observe.systemd import Notifier, listen_fds, watchdog_interval
from ..settings import Settings
from ..supervisor.beginning import begin
from ..supervisor.program import Surroundings, run
from ..supervisor.standard import say
from ..supervisor.terminal import Terminal
from ..worker.process import Hooks, run_worker

SUPERVISED = "ASPOOL_SUPERVISOR"
SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def serve(app: str, settings: Settings) -> int:
    """Work until a signal comes; the exit code. Raises AspoolError and OSError when it cannot begin."""
    given = {name: os.environ.get(name) for name in SYSTEMD}
    if settings.wants_supervisor or (settings.supervisor is None and _is_service(given)):
        for name in (*SYSTEMD, SUPERVISED):
            os.environ.pop(name, None)  # they are for this process alone
        return run(app, settings, _surroundings(given))
    return _work(app, settings)


def _is_service(given: dict[str, str | None]) -> bool:
    """Whether systemd wants to hear of us, or this is all that a container runs, and so the parent of all orphans."""
    return bool(given["NOTIFY_SOCKET"] or given["LISTEN_FDS"]) or os.getpid() == 1


def _surroundings(given: dict[str, str | None]) -> Surroundings:
    pid = os.getpid()
    return Surroundings(
        Notifier(given["NOTIFY_SOCKET"]),
        watchdog_interval(given["WATCHDOG_USEC"], given["WATCHDOG_PID"], pid),
        tuple(listen_fds(given["LISTEN_FDS"], given["LISTEN_PID"], pid)),
    )


def _work(app: str, settings: Settings) -> int:
    again, terminal = _Again(), Terminal()
    begun = begin(app, settings)
    if settings.supervisor is None and any(task.options.harakiri for task in begun.spooler.tasks.values()):
        again.start(supervised=True)  # only a parent can replace what does not stop; it must not hold the application
    for spool in begun.spooler.spools.values():
        say(f"aspool {version('aspool')}: {app} works on {spool.address}")
    ended = run_worker(begun.spooler, begun.settings, Hooks(begin_child=begun.logs, prepare_child=begun.prepare_child))
    if ended.was_hung_up and not settings.burst and not terminal.is_closed:
        again.start()
    return 0


class _Again:
    """Lets this process become a new one with the same number, that reads everything anew, from where it began."""

    def __init__(self) -> None:
        self._directory = os.getcwd()

    def start(self, *, supervised: bool = False) -> None:
        """It does not return. Raises OSError when Python is not there any more."""
        if supervised:
            os.environ[SUPERVISED] = "true"
        os.chdir(self._directory)
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves, without a shell
