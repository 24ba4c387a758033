"""The processes of a program in uWSGI's words: its workers, and the master that reloads and stops them."""

import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import AspoolError
from ...protocol import Board, KeepsNotices, KeepsScoreboards, Spool
from ...spooler import DEFAULT
from ..program import Program

logger = logging.getLogger("aspool.uwsgi")


class Masters:
    """Of one Program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def masterpid(self) -> int:
        """The pid of the parent; never 0, which programs take for "not under uWSGI"."""
        return self._program.role.master

    def workers(self) -> tuple[dict[str, Any], ...]:
        """The workers of the first spool that live, as uWSGI's stats have them; this process if there are none."""
        boards = sorted(self._boards(), key=lambda board: board.since)
        found = [(board.pid, board.since, bool(board.entries)) for board in boards]
        return tuple(_worker(number, *each) for number, each in enumerate(found or [_this_process()], 1))

    def reload(self) -> bool | None:
        """Let the workers begin anew, their code too (SIGHUP); None where nobody can."""
        return self._tell_master(signal.SIGHUP)

    def stop(self) -> bool | None:
        """Let the workers end (SIGTERM); None where nobody can."""
        return self._tell_master(signal.SIGTERM)

    def _tell_master(self, number: signal.Signals) -> bool | None:
        pid = self._master()
        if pid is None:
            logger.warning("uwsgi.reload and stop are for processes of aspool worker: this one is another program's")
            return None
        os.kill(pid, number)
        return True

    def _master(self) -> int | None:
        """The supervisor, if there is one; a worker without one obeys the same signals itself. Never a stranger."""
        if self._program.role.kind == "worker":
            return None
        own = {os.getpid(), self._program.role.master}  # of a mule the parent is the worker
        for notice in _notices(self._program.spooler.spools[DEFAULT]):
            workers = {worker.get("pid") for worker in notice.get("workers", ())}
            if notice.get("owner") == os.geteuid() and own & {notice["pid"], *workers}:
                return int(notice["pid"])
        alone = {board.pid for board in self._boards() if board.owner == os.geteuid()}
        return next(iter(own & alone), None)

    def _boards(self) -> list[Board]:
        spool = self._program.spooler.spools[DEFAULT]
        try:
            return list(spool.boards()) if isinstance(spool, KeepsScoreboards) else []
        except (AspoolError, OSError):  # the spool is not there yet
            return []


def _notices(spool: Spool) -> Sequence[Mapping[str, Any]]:
    try:
        return spool.notices() if isinstance(spool, KeepsNotices) else ()
    except (AspoolError, OSError):
        return ()


def _this_process() -> tuple[int, float, bool]:
    return os.getpid(), time.time(), True


def _worker(number: int, pid: int, since: float, busy: bool) -> dict[str, Any]:
    """As py_uwsgi_workers; what nobody counts is 0."""
    nothing = ("requests", "delta_requests", "signals", "exceptions")
    return {
        "id": number,
        "pid": pid,
        **dict.fromkeys(nothing, 0),
        "status": b"busy" if busy else b"idle",
        **dict.fromkeys(("rss", "vsz", "running_time"), 0),
        "last_spawn": int(since),
        "respawn_count": 1,
        **dict.fromkeys(("tx", "avg_rt"), 0),
        "apps": (),
    }
