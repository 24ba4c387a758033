"""Cheap: no worker while there is nothing to do, one when something arrives or becomes due, more under load."""

import logging
import math
import time
from dataclasses import dataclass

from anyio import create_task_group, move_on_after
from anyio.abc import TaskGroup

from ..addresses import spool_at
from ..errors import SpoolUnusable
from ..protocol import Announces
from .process import WorkerProcess
from .supervisor import Supervisor

logger = logging.getLogger("aspool.supervisor")
RECENT = 1.0  # seconds in which a worker has certainly heard of what has arrived
EARLY = 1.0  # seconds before a known moment that a worker is started, so that it is there in time
LONGEST = 60.0  # seconds between two looks at the clock on the wall, which may be set


@dataclass(slots=True)
class Quiet:
    """What the last worker left behind: what arrived after `since` (of the monotonic clock) it may not have seen, and
    nothing that it knew of is due before `next_moment` (UNIX).
    """

    since: float = -math.inf
    next_moment: float | None = None


class Cheap:
    """Says how many workers a supervisor wants."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._frequency = supervisor.settings.frequency
        self._known: set[str] = set()  # addresses of the spools that are listened to
        self._must_stay = False  # one worker, for its schedules
        self._is_deaf = False  # some spool does not tell of arrivals
        self._reloads = 0
        self._arrived_at = -math.inf  # of the monotonic clock
        self._quiet = Quiet()
        supervisor.want(1)  # it says which spools there are

    async def keep_deciding(self) -> None:
        """Decide whenever something has changed, until cancelled."""
        async with create_task_group() as group:
            while True:
                self._decide(group)
                with move_on_after(self._seconds_to_next()):
                    await self._supervisor.changed()

    def _decide(self, group: TaskGroup) -> None:
        supervisor, claiming = self._supervisor, self._supervisor.claiming
        for process in claiming:
            self._know(process, group)
        for process in claiming:
            if self._may_leave(process):
                supervisor.want(supervisor.wanted - 1)
                supervisor.dismiss(process)
        if supervisor.wanted == 0 and self._has_work():
            supervisor.want(1)
        elif self._wants_more():
            supervisor.want(supervisor.wanted + 1)
        self._reloads = supervisor.reloads

    def _know(self, process: WorkerProcess, group: TaskGroup) -> None:
        ready = process.state.ready
        assert ready is not None
        self._must_stay = ready.must_stay
        for address in set(ready.spools) - self._known:
            self._known.add(address)
            group.start_soon(self._listen, address)

    async def _listen(self, address: str) -> None:
        spool = spool_at(address)
        if not isinstance(spool, Announces):
            self._is_deaf = True
            return
        try:
            await spool.announce(self._frequency, self._note_arrival, self._note_change)
        except SpoolUnusable as error:
            logger.warning("one worker stays, as nobody else would hear of new tasks: %s", error)
            self._is_deaf = True

    def _note_arrival(self) -> None:
        self._arrived_at = time.monotonic()
        if self._supervisor.wanted == 0:
            self._supervisor.want(1)

    def _note_change(self) -> None:
        """A pause or a schedule is another; while workers live it is they who see it, and mostly make it."""
        if not self._supervisor.processes:
            self._note_arrival()

    # --- fewer -----------------------------------------------------------------------------------------------

    def _may_leave(self, process: WorkerProcess) -> bool:
        idle, process.state.idle = process.state.idle, None  # it says it again, if it stays
        if idle is None or not process.is_claiming or self._arrived_at > time.monotonic() - RECENT:
            return False
        if self._supervisor.wanted > 1:
            return True
        self._quiet = Quiet(time.monotonic() - RECENT, idle.next_moment)
        is_soon = self._seconds_to(idle.next_moment) <= self._supervisor.settings.cheap_idle
        return not (self._must_stay or self._is_deaf or is_soon)

    # --- more ------------------------------------------------------------------------------------------------

    def _has_work(self) -> bool:
        """Something came, is due soon, or may be: after a reload only a worker knows which schedules there are."""
        is_new = self._supervisor.reloads != self._reloads
        return is_new or self._arrived_at > self._quiet.since or self._seconds_to(self._quiet.next_moment) <= 0

    def _seconds_to_next(self) -> float:
        return math.inf if self._supervisor.wanted else min(LONGEST, self._seconds_to(self._quiet.next_moment))

    def _seconds_to(self, moment: float | None) -> float:
        """Until a worker must be started for a moment."""
        return math.inf if moment is None else max(0.0, moment - EARLY - time.time())

    def _wants_more(self) -> bool:
        """All that there are have as much as they can do, and none is on its way."""
        supervisor = self._supervisor
        working = [process for process in supervisor.processes if not process.is_leaving]
        is_full = bool(working) and all(process.state.saturated for process in working)
        return is_full and len(working) == supervisor.wanted < len(supervisor.places)
