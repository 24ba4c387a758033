"""Ends: how the runs for schedules ended, noted in the records of these, for people to see."""

import logging

from anyio import create_task_group, move_on_after
from anyio.abc import TaskGroup

from .. import clock, firing
from ..errors import AspoolError
from ..escape import safe
from ..firing import deciding
from ..message import Firing
from ..outcomes import Buried, Cancelled, Done, Outcome, PutOff
from ..schedule_record import End
from ..scheduled import take_turn
from ..turn import KeepsSchedules
from .entry import Key

LAST_NOTES = 2.0  # seconds at the end of the worker for what is not noted yet
_STATES = {Done: "done", Cancelled: "cancelled", Buried: "dead", PutOff: "retrying"}
logger = logging.getLogger("aspool.schedules")


class Ends:
    """The ends that are not noted yet: of each schedule the latest."""

    def __init__(self) -> None:
        self._ends: dict[Key, tuple[KeepsSchedules, End]] = {}
        self._noting: set[Key] = set()

    def add(self, spool: KeepsSchedules, said: Firing, outcome: Outcome, started: float) -> None:
        """A run has ended that began at `started`, a UNIX timestamp."""
        now = clock.now()
        reason = "" if isinstance(outcome, Done) else outcome.reason
        state = _STATES.get(type(outcome), "waiting")
        end = End(state, said.moment, now, max(0.0, now - started), reason[:1000])
        self._ends[id(spool), said.schedule] = spool, end

    @property
    def are_left(self) -> bool:
        """Whether some are not noted yet."""
        return bool(self._ends)

    def note(self, group: TaskGroup) -> None:
        """Begin to note them."""
        for key in self._ends.keys() - self._noting:
            self._noting.add(key)
            group.start_soon(self._note, key)

    async def note_rest(self) -> None:
        """At the end, also what was being noted and was cancelled."""
        self._noting.clear()
        with move_on_after(LAST_NOTES):
            async with create_task_group() as group:
                self.note(group)

    async def _note(self, key: Key) -> None:
        while key in self._ends:
            spool, end = self._ends[key]
            try:
                await take_turn(spool, key[1], deciding(firing.note_end(end)))
            except AspoolError as error:
                logger.warning("how the schedule %s ended cannot be noted: %s", safe(key[1]), error)
            if self._ends[key][1] is end:  # and no later one has come meanwhile
                del self._ends[key]
        self._noting.discard(key)
