"""`aspool status` and `aspool reload`: the programs that work on a spool, as they say themselves."""

import os
import signal
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import click

from ..errors import FAILED
from ..escape import safe
from ..protocol import Board, KeepsNotices, KeepsScoreboards
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
        alone = [board for board in self.boards if board.pid not in supervised and not board.is_leaving]
        if alone or any(notice.get("state") in ("ready", "reloading", "cheap") for notice in self.notices):
            return ""
        if not self.notices:
            return "no worker lives here"
        notice = self.notices[0]
        failure = None if notice.get("state") == "stopping" else notice.get("last_failure")
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
                row = [notice.get(key) for key in ("pid", "state", "processes", "deaths", "last_failure")]
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
        for board in self.boards:
            if board.pid not in known:
                state = "leaving" if board.is_leaving else "ready"
                rows.append((board.pid, state, output.at(board.since), ""))
        return rows


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        return None


def _sentence(notice: Notice) -> str:
    text = (
        f"supervisor {notice.get('pid')} of {notice.get('app')} is {notice.get('state')}: "
        f"{len(notice['workers'])} of {notice.get('processes')} workers, {_deaths(notice)}"
    )
    return text + (f"; last failure: {notice['last_failure']}" if notice.get("last_failure") else "")


def _deaths(notice: Notice) -> str:
    deaths = notice.get("deaths")
    return output.count(deaths, "death") if isinstance(deaths, int) else "-"


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
    return type(value) is int and 0 < value < 1 << 31


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

        programs: dict[int, set[int | None]] = {process_of(pidfile): {None}}
    else:
        programs = _programs([browsable(spool) for spool in spools_of(app, address)])
    if not programs:
        raise Failure("there is nobody to reload: no worker of this machine lives here")
    failures = []
    for pid, claimants in sorted(programs.items()):
        if why_not := _hang_up(pid, claimants):
            failures.append(why_not)
        else:
            click.echo(f"process {pid} reloads")
    if failures:
        *details, last = failures
        raise Failure(last, "\n".join(details))


def _programs(spools: Sequence[Any]) -> dict[int, set[int | None]]:
    """The processes on this machine that a signal is for, and the users who wrote that they work here."""
    here = socket.gethostname()
    found: defaultdict[int, set[int | None]] = defaultdict(set)
    for spool in spools:
        notices = [notice for notice in _notices(spool) if notice.get("host") == here]
        supervised = {(worker["pid"], notice.get("owner")) for notice in notices for worker in notice["workers"]}
        for notice in notices:
            found[notice["pid"]].add(notice.get("owner"))
        for board in _boards(spool):
            if board.host == here and _is_pid(board.pid) and (board.pid, board.owner) not in supervised:
                found[board.pid].add(board.owner)
    return found


def _hang_up(pid: int, claimants: AbstractSet[int | None]) -> str:
    """Signal a process that belongs to one of these users, None being any; a sentence if that cannot be."""
    try:
        if None not in claimants and os.path.exists("/proc/self") and os.stat(f"/proc/{pid}").st_uid not in claimants:
            return f"process {pid} is not signalled: what names it here was written by another user than its own"
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        return f"process {pid} belongs to another user: reload it as that user, or as root"
    except (FileNotFoundError, ProcessLookupError):
        return f"process {pid} has ended meanwhile"
    return ""
