"""`aspool status` and `aspool reload`: the programs that work on a spool, as they say themselves."""

import os
import signal
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from ..errors import FAILED
from ..escape import safe
from ..protocol import Board, KeepsNotices, KeepsScoreboards, Spool
from . import output
from .failures import Failure, Misuse
from .looking import json_option
from .output import Column
from .places import app_argument, browsable, spool_option, spools_of

Notice = Mapping[str, Any]
WORKERS = (Column("worker"), Column("state"), Column("since", output.moment), Column("supervisor"))


@click.command()
@app_argument
@spool_option
@json_option
def status(app: str | None, address: str | None, as_json: bool) -> None:
    """Say whether workers live that run the tasks of a spool; for probes, by its exit code.

    0: some worker is ready, or none is needed (--cheap). 1: none is, or they die again and again. 3: the spool cannot
    be used. With APP (module:attribute) all its spools must be well.

    In a pipe: lines that begin with "spool", "supervisor" or "worker", with tabs between what follows.
    """
    standings = [_Standing(browsable(spool)) for spool in spools_of(app, address)]
    if as_json:
        output.print_json([standing.record() for standing in standings])
    else:
        for standing in standings:
            standing.print()
    if not all(standing.is_well for standing in standings):
        click.get_current_context().exit(FAILED)


class _Standing:
    """Who works on one spool."""

    def __init__(self, spool: Any) -> None:
        self.address: str = spool.address
        self.notices = _notices(spool)
        self.boards = _boards(spool)

    @property
    def is_well(self) -> bool:
        return not self.why_not

    @property
    def why_not(self) -> str:
        """Why nobody runs its tasks; empty if somebody does, or would."""
        supervised = {worker["pid"] for notice in self.notices for worker in notice["workers"]}
        alone = [board for board in self.boards if board.pid not in supervised]
        if alone or any(notice.get("state") in ("ready", "reloading", "cheap") for notice in self.notices):
            return ""
        if not self.notices:
            return "no worker lives here"
        notice = self.notices[0]
        failure = notice.get("last_failure")
        return f"the supervisor {notice.get('pid')} is {notice.get('state')}" + (f": {failure}" if failure else "")

    def record(self) -> dict[str, Any]:
        return {
            "spool": self.address,
            "well": self.is_well,
            "reason": self.why_not or None,
            "supervisors": list(self.notices),
            "workers": [
                {"pid": board.pid, "host": board.host, "since": output.at(board.since), "runs": len(board.entries)}
                for board in self.boards
            ],
        }

    def print(self) -> None:
        rows = self._rows()
        said = "well" if self.is_well else self.why_not
        if not output.on_terminal():
            output.print_plain(("spool", self.address, said))
            for notice in self.notices:
                row = [str(notice.get(key)) for key in ("pid", "state", "processes", "restarts", "last_failure")]
                output.print_plain(("supervisor", *row))
            for row_ in rows:
                output.print_plain(("worker", *row_))
            return
        click.echo(f"{safe(self.address)}: {safe(said)}")
        for notice in self.notices:
            click.echo(safe(_sentence(notice)))
        if rows:
            output.print_table(output.count(len(rows), "worker"), WORKERS, rows)

    def _rows(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        known = set()
        for notice in self.notices:
            for worker in notice["workers"]:
                known.add(worker["pid"])
                rows.append((worker["pid"], worker.get("state"), _moment(worker.get("since")), notice["pid"]))
        rows += [
            (board.pid, "ready", output.at(board.since), "") for board in self.boards if board.pid not in known
        ]
        return rows


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        return None


def _sentence(notice: Notice) -> str:
    text = (
        f"supervisor {notice.get('pid')} of {notice.get('app')} is {notice.get('state')}: "
        f"{len(notice.get('workers', ()))} of {notice.get('processes')} workers, {notice.get('restarts')} restarts"
    )
    return text + (f"; last failure: {notice['last_failure']}" if notice.get("last_failure") else "")


def _notices(spool: Any) -> list[Notice]:
    """Those that make sense: a spool's files may be anybody's."""
    found = spool.notices() if isinstance(spool, KeepsNotices) else []
    return [{**notice, "workers": _workers_of(notice)} for notice in found if _is_pid(notice.get("pid"))]


def _workers_of(notice: Notice) -> list[Notice]:
    told = notice.get("workers")
    workers = told if isinstance(told, list) else []
    return [worker for worker in workers if isinstance(worker, dict) and _is_pid(worker.get("pid"))]


def _is_pid(value: object) -> bool:
    """Whether it names one process: -1 would be all that there are."""
    return type(value) is int and value > 0


def _boards(spool: Any) -> list[Board]:
    return list(spool.boards()) if isinstance(spool, KeepsScoreboards) else []


# --- reload ------------------------------------------------------------------------------------------------------


@click.command()
@app_argument
@spool_option
@click.option("--pidfile", metavar="FILE", help="the program that keeps this pid file, instead")
def reload(app: str | None, address: str | None, pidfile: str | None) -> None:
    """Let the programs that work on a spool replace their workers one by one, as SIGHUP does.

    The new worker runs before the old one drains. A worker without a supervisor drains and starts itself again.
    """
    if pidfile is not None:
        if app or address:
            raise Misuse("give --pidfile, or an APP or a spool, not both")
        from ..supervisor.pidfile import process_of

        pids = {process_of(pidfile)}
    else:
        pids = {pid for spool in spools_of(app, address) for pid in _programs(browsable(spool))}
    if not pids:
        raise Failure("there is nobody to reload: no worker of this machine lives here")
    for pid in sorted(pids):
        _hang_up(pid)
        click.echo(f"process {pid} reloads")


def _programs(spool: Spool | Any) -> set[int]:
    """The processes on this machine that a signal is for."""
    here = socket.gethostname()
    notices = [notice for notice in _notices(spool) if notice.get("host") == here]
    supervised = {worker["pid"] for notice in notices for worker in notice["workers"]}
    boards = [board for board in _boards(spool) if board.host == here and _is_pid(board.pid)]
    alone = {board.pid for board in boards if board.pid not in supervised}
    return {notice["pid"] for notice in notices} | alone


def _hang_up(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise Failure(f"process {pid} belongs to another user: reload it as that user, or as root") from None
    except ProcessLookupError:
        raise Failure(f"process {pid} has ended meanwhile") from None


