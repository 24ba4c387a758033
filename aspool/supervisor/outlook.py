"""What a supervisor can tell of itself, its workers and their spools: for its notices, for HTTP and for Prometheus."""

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from anyio import create_task_group, move_on_after

from .. import schedule_record
from ..addresses import spool_at
from ..errors import AspoolError, SpoolUnusable
from ..observe.backlog import Backlog
from ..observe.metrics import merged
from ..protocol import KeepsNotices, KeepsScoreboards, Notice, Spool
from ..spools.tally import Tally, tally
from ..turn import KeepsSchedules
from .process import WorkerProcess
from .supervisor import Supervisor

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ..observe.prometheus import ScheduleView

logger = logging.getLogger("aspool.supervisor")
OFTEN = 30.0  # seconds


class Outlook:
    """Looks at a supervisor, and at the spools that its workers named. It is the Source of `observe.health`.

    `found` is called with the address of each of these.
    """

    def __init__(self, supervisor: Supervisor, found: Callable[[str], None] = lambda _: None) -> None:
        self._supervisor = supervisor
        self._found = found
        self._since = time.time()
        self._spools: dict[str, Spool] = {}
        self._backlogs: dict[str, Backlog[Tally]] = {}
        self._notices: list[Notice] = []

    # --- notices ---------------------------------------------------------------------------------------------

    async def keep_posting(self) -> None:
        """Say in each spool how it stands, whenever that has changed, until cancelled."""
        try:
            async with create_task_group() as group:
                while True:
                    self._know_spools(group)
                    posted = self.record()
                    for notice in self._notices:
                        notice.write(posted)
                    with move_on_after(OFTEN):  # its spool may have been removed, and made again
                        while self.record() == posted:
                            await self._supervisor.changed()
        finally:
            for notice in self._notices:
                notice.close()

    def _know_spools(self, group: "TaskGroup") -> None:
        named = {address for process in self._supervisor.claiming for address in _spools_of(process)}
        for address in sorted(named - self._spools.keys()):
            self._found(address)
            spool = self._spools[address] = spool_at(address)
            self._backlogs[address] = Backlog(_counting(spool))
            group.start_soon(self._backlogs[address].run)
            self._post(spool)

    def _post(self, spool: Spool) -> None:
        if isinstance(spool, KeepsNotices):
            try:
                self._notices.append(spool.post())
            except SpoolUnusable as error:  # it went while its worker began
                logger.warning("nothing is said there of this supervisor: %s", error)

    def record(self) -> dict[str, Any]:
        """The supervisor and its workers, as JSON can have it."""
        supervisor = self._supervisor
        failures = [place.last_failure for place in supervisor.places if place.last_failure]
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "app": supervisor.app,
            "since": _iso(self._since),
            "processes": len(supervisor.places),
            "wanted": supervisor.wanted,
            "state": self._state(),
            "workers": [_worker_record(process) for process in supervisor.processes],
            "deaths": supervisor.deaths,
            "reloads": supervisor.reloads,
            "last_failure": failures[-1] if failures else None,
            "cheap": supervisor.settings.cheap,
        }

    def _state(self) -> str:
        supervisor = self._supervisor
        if supervisor.is_stopping:
            return "stopping"
        if supervisor.is_reloading:
            return "reloading"
        if supervisor.claiming:
            return "ready"
        if supervisor.wanted == 0:
            return "cheap"
        return "failing" if any(place.backoff.deaths for place in supervisor.places) else "starting"

    # --- health ----------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """It answers, so its loop goes on."""
        return True

    def ready(self) -> tuple[bool, str]:
        """Whether a worker claims; a cheap one that sleeps is as good."""
        state = self._state()
        reasons = {
            "stopping": "it is stopping",
            "failing": f"its workers die: {self.record()['last_failure']}",
            "starting": "no worker has begun yet",
        }
        return state not in reasons, reasons.get(state, "")

    async def status(self) -> dict[str, Any]:
        """All of it: the supervisor, its workers, what waits in the spools, and their schedules."""
        spools = []
        for address, backlog in self._backlogs.items():
            counted = await backlog.ask()
            counts, oldest = (counted.counts, counted.oldest) if counted else ({}, None)
            spools.append({
                "address": address,
                "counts": dict(counts),
                "oldest_waiting": _iso(oldest),
                "error": backlog.error or None,
            })  # fmt: skip
        schedules = [
            {"name": each.name, "spool": each.spool, "state": each.state, "runs": each.runs, "next": _iso(each.next),
             "last": _iso(each.last)} for each in await self._schedules()
        ]  # fmt: skip
        return {**self.record(), "spools": spools, "schedules": schedules}

    async def metrics(self) -> bytes:
        """All of it, for Prometheus."""
        from ..observe.prometheus import SpoolView, View, exposition

        supervisor = self._supervisor
        views = []
        for address, backlog in self._backlogs.items():
            if (counted := await backlog.ask()) is not None:
                views.append(SpoolView(address, counted.counts, counted.oldest, backlog.counted))
        living = [process.state.counts for process in supervisor.processes if process.state.counts]
        return exposition(
            View(
                time.time(),
                merged([supervisor.ended_counts, *living]),
                Counter(_worker_state(process) for process in supervisor.processes),
                supervisor.deaths,
                tuple(views),
                tuple(await self._schedules()),
            )
        )

    async def _schedules(self) -> "list[ScheduleView]":
        from ..observe.prometheus import ScheduleView

        found = []
        now = time.time()
        for address, spool in self._spools.items():
            for name, record in await _records_of(spool):
                moment = record.next_moment(now) if record.is_on else None
                found.append(ScheduleView(name, address, record.state, record.runs, moment, record.last))
        return found


def _spools_of(process: WorkerProcess) -> list[str]:
    return process.state.ready.spools if process.state.ready else []


def _worker_record(process: WorkerProcess) -> dict[str, Any]:
    state = process.state
    return {
        "number": process.number,
        "pid": process.pid,
        "state": _worker_state(process),
        "since": _iso(process.since),
        "reason": state.leaving.reason if state.leaving else None,
    }


def _worker_state(process: WorkerProcess) -> str:
    if process.is_leaving:
        return "leaving"
    return "starting" if process.state.ready is None else "ready"


def _counting(spool: Spool) -> Callable[[Callable[[], bool]], Tally]:
    def count(is_wanted: Callable[[], bool]) -> Tally:
        boards = spool.boards() if isinstance(spool, KeepsScoreboards) else ()
        return tally(spool, frozenset(entry.id for board in boards for entry in board.entries), is_wanted)

    return count


async def _records_of(spool: Spool) -> list[tuple[str, schedule_record.Record]]:
    if not isinstance(spool, KeepsSchedules):
        return []
    try:
        kept = await spool.records()
    except (AspoolError, OSError):  # it is gone for now
        return []
    found = ((name, schedule_record.read(each.record)) for name, each in sorted(kept.items()))
    return [(name, record) for name, record in found if record is not None]


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
