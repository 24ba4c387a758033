"""What `aspool worker` does: one worker in this process, or a supervisor of several. It reads what systemd says."""

import os
import sys
from importlib.metadata import version

import click

from ..observe.systemd import Notifier, listen_fds, watchdog_interval
from ..settings import Settings
from ..supervisor.beginning import begin
from ..supervisor.program import Surroundings, run
from ..supervisor.terminal import Terminal
from ..worker.process import Hooks, run_worker

SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def serve(app: str, settings: Settings) -> int:
    """Work until a signal comes; the exit code. Raises AspoolError and OSError when it cannot begin."""
    given = {name: os.environ.get(name) for name in SYSTEMD}
    if settings.wants_supervisor or (settings.supervisor is None and (given["NOTIFY_SOCKET"] or given["LISTEN_FDS"])):
        for name in SYSTEMD:
            os.environ.pop(name, None)  # they are for this process alone
        return run(app, settings, _surroundings(given))
    return _work(app, settings)


def _surroundings(given: dict[str, str | None]) -> Surroundings:
    pid = os.getpid()
    return Surroundings(
        Notifier(given["NOTIFY_SOCKET"]),
        watchdog_interval(given["WATCHDOG_USEC"], given["WATCHDOG_PID"], pid),
        tuple(listen_fds(given["LISTEN_FDS"], given["LISTEN_PID"], pid)),
    )


def _work(app: str, settings: Settings) -> int:
    terminal, begun = Terminal(), begin(app, settings)
    if settings.supervisor is None and any(task.options.harakiri for task in begun.spooler.tasks.values()):
        _start_again("--supervisor")  # only a parent can replace what does not stop; it must not hold the application
    for spool in begun.spooler.spools.values():
        click.echo(f"aspool {version('aspool')}: {app} works on {spool.address}")
    sys.stdout.flush()
    worker = run_worker(begun.spooler, begun.settings, Hooks(begin_child=begun.logs))
    if worker.stop_reason == "SIGHUP" and not terminal.is_closed:
        _start_again()
    return 0


def _start_again(*more: str) -> None:
    """Become a new process with the same number, that reads everything anew."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *more])  # noqa: S606 - ourselves, without a shell
