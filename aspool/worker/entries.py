"""Entries: the schedules that a worker knows, and how it learns of them: from its code and the spools' records."""

import logging
from asyncio import get_running_loop, sleep
from collections.abc import Callable, Collection, Iterator
from typing import Any

from anyio.abc import TaskGroup

from .. import clock, schedule_record
from ..errors import SpoolError
from ..escape import safe
from ..firing import adopting
from ..schedule_record import Record
from ..scheduled import BUSY, ScheduledTask, keeping
from ..schedules import Schedule
from ..spooler import Spooler
from ..turn import KeepsSchedules
from .entry import Entry, Key, Seen
from .upkeep import keep_up

MANY = 50  # records that are read in one go, before others get their turn
RETRY = 1.0  # seconds until records that cannot be read are tried again
logger = logging.getLogger("aspool.schedules")


class Entries:
    """The schedules of one worker.

    `learned` is called with an entry whose record is new, and the moments for which something is to run in this worker;
    `news` when there are entries to be looked at. With `seen` the worker goes on where the last one ended that had it.
    """

    def __init__(
        self,
        spooler: Spooler[Any],
        learned: Callable[[Entry, list[float]], None],
        news: Callable[[], None],
        seen: Seen | None,
    ) -> None:
        self._spooler = spooler
        self._learned = learned
        self._news = news
        self._seen = seen
        self._entries: dict[Key, Entry] = {}
        self._to_adopt: set[Key] = set()  # schedules of the code that the spool could not be told of yet
        self._stale: dict[KeepsSchedules, set[str] | None] = {}  # records that may have changed, None: any
        self._told: set[str] = set()

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))  # one may be learned or forgotten meanwhile

    def get(self, spool: object, name: str) -> Entry | None:
        """The entry of that name, if this worker knows it."""
        return self._entries.get((id(spool), name))

    async def begin(self) -> None:
        """Learn what there is. Raises Unsupported for a schedule whose spool keeps none, SpoolUnusable."""
        for spool in self._spools():
            for schedule in self._own(spool).values():
                await self._adopt(spool, schedule)
            await self._load(spool, None)
            await spool.keep_alive(self._known(spool))

    def end(self) -> None:
        """Leave behind what another may go on with."""
        if self._seen is not None:
            self._seen.update((key, entry.runs) for key, entry in self._entries.items())

    # --- what there is ---------------------------------------------------------------------------------------

    def _spools(self) -> list[KeepsSchedules]:
        """The spools that keep schedules, and those that must; of external ones only these."""
        spools: list[KeepsSchedules] = []
        own = [spool for spool in self._spooler.spools.values() if not spool.external]
        spools += (spool for spool in own if isinstance(spool, KeepsSchedules))
        spools += [keeping(task.scheduled.spool) for task in self._scheduled_tasks()]
        return list({id(spool): spool for spool in spools}.values())

    def external(self) -> list[KeepsSchedules]:
        """Spools of its schedules that this worker does not serve, and so hears nothing of."""
        spools = {id(entry.spool): entry.spool for entry in self._entries.values()}
        return [spool for spool in spools.values() if getattr(spool, "external", False)]

    def _scheduled_tasks(self) -> list[ScheduledTask[..., Any, Any]]:
        return [task for task in self._spooler.tasks.values() if isinstance(task, ScheduledTask)]

    def _own(self, spool: KeepsSchedules) -> dict[str, Schedule]:
        """The schedules of the code that a spool keeps."""
        return {task.name: task.schedule for task in self._scheduled_tasks() if keeping(task.scheduled.spool) is spool}

    def _known(self, spool: KeepsSchedules) -> set[str]:
        return {entry.name for entry in self._entries.values() if entry.spool is spool}

    def _is_ours(self, record: Record, spool: KeepsSchedules) -> bool:
        task = self._spooler.tasks.get(record.schedule.task)
        if record.schedule.runtime:
            return task is not None
        if not isinstance(task, ScheduledTask) or task.name != record.schedule.name:
            return False
        return keeping(task.scheduled.spool) is spool

    # --- learning --------------------------------------------------------------------------------------------

    def look_again(self, spool: KeepsSchedules, name: str | None) -> None:
        """The record of a schedule has changed, or (None) any may have."""
        known = self._stale.setdefault(spool, set())
        if name is None or known is None:
            self._stale[spool] = None
        else:
            known.add(name)
        self._news()

    def reload(self, group: TaskGroup) -> None:
        """Begin to read the records that may have changed."""
        stale, self._stale = self._stale, {}
        for spool, names in stale.items():
            group.start_soon(self._load_again, spool, names)

    async def _load_again(self, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        try:
            await self._load(spool, names)
        except SpoolError as error:
            logger.warning("the schedules cannot be read, which is tried again in a while: %s", error)
            self._load_later(RETRY, spool, names)
        except Exception:  # a bug must not end the worker and all its jobs
            logger.exception("the schedules cannot be read")
        self._news()

    def _load_later(self, seconds: float, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        for name in [None] if names is None else names:
            get_running_loop().call_later(seconds, self.look_again, spool, name)

    async def _load(self, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        records = await spool.records(names)
        own = self._own(spool)
        wanted = self._known(spool).union(own, records) if names is None else names
        for number, name in enumerate(wanted, 1):
            data = records[name].record if name in records else None
            if name in own and self._is_to_adopt(spool, name, data):
                await self._adopt(spool, own[name])
            else:
                self.learn(name, spool, data)
            if number % MANY == 0:
                await sleep(0)

    def _is_to_adopt(self, spool: KeepsSchedules, name: str, data: bytes | None) -> bool:
        """Whether a schedule of the code is to be made known: its record is gone, or broken, or somebody had it."""
        return (id(spool), name) in self._to_adopt or data is None or schedule_record.read(data) is None

    async def _adopt(self, spool: KeepsSchedules, schedule: Schedule) -> None:
        """Let the spool know a schedule of the code."""
        taken = await spool.turn(schedule.name, adopting(schedule, clock.now()))
        if taken is None:
            self._to_adopt.add((id(spool), schedule.name))
            self._load_later(BUSY, spool, [schedule.name])
        else:
            self._to_adopt.discard((id(spool), schedule.name))
            self.learn(schedule.name, spool, taken.record)

    def learn(self, name: str, spool: KeepsSchedules, data: bytes | None) -> None:
        """What a record says now; one that is none of this worker's business is left alone."""
        entry = self._entries.get((id(spool), name))
        if entry is not None and entry.data == data:
            return
        record = None if data is None else schedule_record.read(data)
        if data is None or record is None or record.schedule.name != name or not self._is_ours(record, spool):
            self._entries.pop((id(spool), name), None)
            if record is not None:
                self._tell_unknown(record)
            return
        if entry is None:
            entry = self._entries[id(spool), name] = Entry(name, spool, record, data)
            if self._seen is not None:
                entry.runs = self._seen.get((id(spool), name), 0)
        self._learned(entry, entry.learn(record, data, clock.now()))

    def _tell_unknown(self, record: Record) -> None:
        """Say once that this worker does not fire what a program made: its task may be another program's, or gone."""
        schedule = record.schedule
        if schedule.runtime and record.is_on and schedule.task not in self._spooler.tasks:
            said = f"the schedule {schedule.name} is for the task {schedule.task}, which this worker does not know"
            if said not in self._told:
                self._told.add(said)
                logger.warning("%s", safe(said))

    # --- upkeep ----------------------------------------------------------------------------------------------

    async def keep_up(self) -> None:
        """A sign of life for what this worker knows; what nobody has known for long goes."""
        for spool in self._spools():
            try:
                for name in await keep_up(spool, self._known(spool)):
                    logger.info("the schedule %s was unknown to all workers for long: it was removed", safe(name))
            except SpoolError as error:
                logger.warning("the schedules cannot be kept up: %s", error)
            except Exception:  # a bug must not end the worker and all its jobs
                logger.exception("the schedules cannot be kept up")
