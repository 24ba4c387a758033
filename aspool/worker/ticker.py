"""Ticker: fires the schedules of a Spooler when their moments come, and sleeps in between.

Every worker has one. They agree by the records that the spools keep: each moment is fired by whoever is first.
What takes time (turns, looks at files) runs beside the ticker, so that no spool or disk that hangs stops the others.
"""

import logging
import math
import os
from asyncio import Event, get_running_loop, sleep
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

from anyio import create_task_group
from anyio.abc import TaskGroup

from .. import clock, firing, schedule_record
from ..cron import Cron
from ..errors import SpoolError, Uncertain
from ..firing import adopting, deciding
from ..message import Message
from ..outcomes import Done, Outcome, PutOff
from ..protocol import PutsBlocking, Spool
from ..schedule_record import Record
from ..scheduled import ScheduledTask, keeping
from ..schedules import FileMonitor, Schedule, Timer
from ..spooler import Spooler
from ..turn import Decide, KeepsSchedules, Taken
from .ends import Ends
from .entry import BUSY, Entry, Seen
from .file_looks import FileLooks
from .report import safe
from .upkeep import keep_up

UPKEEP = 3600.0  # seconds between two signs of life of the schedules that this worker knows
SHORTEST_SLEEP = 0.001  # seconds: the clock may stand still, as that of a test does
MANY = 50  # records that are read in one go, before others get their turn
SETTLED = 0.05  # seconds until the message of a run that has ended is gone
logger = logging.getLogger("aspool.schedules")
Key = tuple[int, str]  # the id() of a spool, and the name of a schedule


class Ticker:
    """The schedules of one worker. `here` is the spool in its memory, for what is to run in every worker.

    With `fires` false it only notes how those end that run here. With `seen` it goes on where the last one ended that
    had it, as if it were the same worker.
    """

    def __init__(
        self,
        spooler: Spooler[Any],
        here: PutsBlocking,
        frequency: Callable[[], float],
        *,
        fires: bool = True,
        seen: Seen | None = None,
    ) -> None:
        self._spooler = spooler
        self._here = here
        self._frequency = frequency
        self._fires = fires
        self._seen = seen
        self._worker = os.urandom(4).hex()
        self._entries: dict[Key, Entry] = {}
        self._to_adopt: set[Key] = set()  # schedules of the code that the spool could not be told of yet
        self._stale: dict[KeepsSchedules, set[str] | None] = {}  # records that may have changed, None: any
        self._told: set[str] = set()
        self._news = Event()
        self._ends = Ends()
        self._files = FileLooks(self._entries.values, self._turn, self._news.set)
        self._upkeep_at = self._poll_at = math.inf  # of the loop's clock

    # --- beginning and ending --------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Learn what there is. Raises Unsupported for a schedule whose spool keeps none, SpoolUnusable."""
        if not self._fires:
            return
        self._upkeep_at = get_running_loop().time() + UPKEEP
        self._poll_at = get_running_loop().time() + self._frequency()
        for spool in self._spools():
            for schedule in self._own(spool).values():
                await self._adopt(spool, schedule)
            await self._load(spool, None)
            await spool.keep_alive(self._known(spool))
        self._files.begin(first=self._seen is None)

    def _spools(self) -> list[KeepsSchedules]:
        """The spools that keep schedules, and those that must; of external ones only these."""
        spools: list[KeepsSchedules] = []
        own = [spool for spool in self._spooler.spools.values() if not spool.external]
        spools += (spool for spool in own if isinstance(spool, KeepsSchedules))
        spools += [keeping(task.scheduled.spool) for task in self._scheduled_tasks()]
        return list({id(spool): spool for spool in spools}.values())

    def _scheduled_tasks(self) -> list[ScheduledTask[..., Any, Any]]:
        return [task for task in self._spooler.tasks.values() if isinstance(task, ScheduledTask)]

    def _own(self, spool: KeepsSchedules) -> dict[str, Schedule]:
        """The schedules of the code that a spool keeps."""
        return {task.name: task.schedule for task in self._scheduled_tasks() if keeping(task.scheduled.spool) is spool}

    async def end(self) -> None:
        """Note what ended since the last tick, and watch nothing any more."""
        self._files.close()
        if self._seen is not None:
            self._seen.update((key, entry.runs) for key, entry in self._entries.items())
        await self._ends.note_rest()

    # --- news ------------------------------------------------------------------------------------------------

    def changed(self, spool: Spool, name: str | None) -> None:
        """The record of a schedule has changed, or (None) any may have. On the event loop."""
        if self._fires and isinstance(spool, KeepsSchedules):
            self._look_again(spool, name)
            self._news.set()

    def _look_again(self, spool: KeepsSchedules, name: str | None) -> None:
        known = self._stale.setdefault(spool, set())
        if name is None or known is None:
            self._stale[spool] = None
        else:
            known.add(name)

    def fired(self, spool: object, message: Message, outcome: Outcome, started: float) -> None:
        """A run for a schedule has ended. On the event loop."""
        said = message.firing
        assert said is not None
        if spool is not self._here:
            entries = [self._entries.get((id(spool), said.schedule))]
        else:
            entries = [entry for entry in self._entries.values() if message.id in entry.running]
        for entry in entries:
            if entry is not None:
                self._ended(entry, message, outcome)
        keeper = spool
        if spool is self._here:  # of what was done each worker would note the same
            keeper = entries[0].spool if entries and entries[0] and not isinstance(outcome, Done) else None
        if isinstance(keeper, KeepsSchedules):
            self._ends.add(keeper, said, outcome, started)
            self._news.set()

    def _ended(self, entry: Entry, message: Message, outcome: Outcome) -> None:
        if not isinstance(outcome, PutOff):
            entry.running.discard(message.id)
        trigger = entry.record.trigger
        if isinstance(trigger, FileMonitor):  # a change that was passed over meanwhile is found now, once it is settled
            get_running_loop().call_later(SETTLED, self._files.touch, trigger.path)

    # --- ticking ---------------------------------------------------------------------------------------------

    async def keep_ticking(self) -> None:
        """Fire what is due, and sleep until something will be, for ever."""
        async with create_task_group() as group:
            while True:
                try:
                    due = self._begin(group)
                except Exception:  # a bug must not end the worker and all its jobs
                    logger.exception("the schedules cannot be looked at, which is tried again in a while")
                    due = clock.now() + self._frequency()
                await self._sleep(due)

    async def _sleep(self, until: float | None) -> None:
        """Until then, or news; and not too long, as the clock may be set meanwhile."""
        timer = None
        if until is not None:
            delay = max(SHORTEST_SLEEP, min(until - clock.now(), self._frequency()))
            timer = get_running_loop().call_later(delay, self._news.set)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._news.clear()

    async def catch_up(self) -> None:
        """Fire all that is due now, however much it is."""
        until = clock.now()
        while (due := await self.tick()) is not None and due <= until:
            pass

    async def tick(self) -> float | None:
        """Fire what is due, and wait for that. When to come again, a UNIX timestamp; None: when there is news."""
        async with create_task_group() as group:
            self._reload(group)
        async with create_task_group() as group:
            self._begin(group)
        return self._next()

    def _begin(self, group: TaskGroup) -> float | None:
        """Begin whatever is to be done now. When to come again."""
        self._ends.note(group)
        if not self._fires:
            return None
        self._poll()
        self._reload(group)
        self._files.look(group)
        now = clock.now()
        for entry in list(self._entries.values()):
            at = entry.next_moment(now)
            if at is not None and at <= now:
                entry.is_taken = True
                group.start_soon(self._fire, entry, now)
        if get_running_loop().time() >= self._upkeep_at:
            self._upkeep_at = get_running_loop().time() + UPKEEP
            group.start_soon(self._safely, self._keep_up)
        return self._next()

    def _next(self) -> float | None:
        now = clock.now()
        moments = [entry.next_moment(now) for entry in self._entries.values()]
        if self._polls():
            moments.append(now + max(0.0, self._poll_at - get_running_loop().time()))
        return min((moment for moment in moments if moment is not None), default=None)

    async def _safely(self, what: Callable[..., Awaitable[None]], *args: Any) -> None:
        """A bug must not end the worker and all its jobs."""
        try:
            await what(*args)
        except Exception:
            logger.exception("the schedules cannot be looked after")

    async def _fire(self, entry: Entry, now: float) -> None:
        try:
            await self._turn(entry, deciding(firing.fire(now)), now)
        finally:
            entry.is_taken = False
            self._news.set()

    async def _turn(self, entry: Entry, decide: Decide, now: float) -> None:
        """One turn, unless another worker has it. Its record is known after; what cannot be had is tried again."""
        try:
            self._took(entry, await entry.spool.turn(entry.name, decide), now)
        except SpoolError as error:
            logger.warning("the schedule %s cannot fire, which is tried again in a while: %s", safe(entry.name), error)
            entry.put_off(now)
        except Exception:  # a bug, or a record that is forged: the other schedules fire
            logger.exception("the schedule %s cannot fire, which is tried again in a while", safe(entry.name))
            entry.put_off(now)

    def _took(self, entry: Entry, taken: Taken | None, now: float) -> None:
        if taken is None:
            entry.put_off(now, busy=True)
            return
        if _has_failed(entry.name, taken):
            entry.put_off(now)
        else:
            entry.succeeded()
        self._learn(entry.name, entry.spool, taken.record)

    def _run_here(self, entry: Entry, moments: list[float]) -> None:
        """What is to run in every worker runs in this one, for these moments."""
        schedule, trigger, now = entry.record.schedule, entry.record.trigger, clock.now()
        if schedule.options.overlap == "skip":
            moments = [] if entry.running else moments[-1:]
        for moment in moments:
            jitter = firing.jitter_of(schedule, moment, self._worker) if isinstance(trigger, Timer | Cron) else 0.0
            message = firing.message_for(schedule, moment, now, firing.zone(trigger), jitter)
            entry.running.add(message.id)
            self._here.put_blocking([replace(message, unique=False)])

    # --- records ---------------------------------------------------------------------------------------------

    def _reload(self, group: TaskGroup) -> None:
        stale, self._stale = self._stale, {}
        for spool, names in stale.items():
            group.start_soon(self._safely, self._load_again, spool, names)

    async def _load_again(self, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        try:
            await self._load(spool, names)
        except SpoolError as error:
            logger.warning("the schedules cannot be read, which is tried again in a while: %s", error)
            get_running_loop().call_later(min(1.0, self._frequency()), self._retry, spool, names)
        self._files.watch()
        self._news.set()

    def _retry(self, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        for name in [None] if names is None else names:
            self._look_again(spool, name)
        self._news.set()

    async def _load(self, spool: KeepsSchedules, names: Collection[str] | None) -> None:
        records = await spool.records(names)
        own = self._own(spool)
        wanted = self._known(spool).union(own, records) if names is None else names
        for number, name in enumerate(wanted, 1):
            kept = records.get(name)
            data = None if kept is None else kept.record
            if name in own and (self._is_to_adopt(spool, name) or data is None or schedule_record.read(data) is None):
                # It was removed, or is broken: it begins anew.
                await self._adopt(spool, own[name])
            else:
                self._learn(name, spool, data)
            if number % MANY == 0:
                await sleep(0)

    def _known(self, spool: KeepsSchedules) -> set[str]:
        return {entry.name for entry in self._entries.values() if entry.spool is spool}

    def _is_to_adopt(self, spool: KeepsSchedules, name: str) -> bool:
        return (id(spool), name) in self._to_adopt

    async def _adopt(self, spool: KeepsSchedules, schedule: Schedule) -> None:
        """Let the spool know a schedule of the code."""
        taken = await spool.turn(schedule.name, adopting(schedule, clock.now()))
        if taken is None:
            self._to_adopt.add((id(spool), schedule.name))
            get_running_loop().call_later(BUSY, self._retry, spool, [schedule.name])
        else:
            self._to_adopt.discard((id(spool), schedule.name))
            self._learn(schedule.name, spool, taken.record)

    def _learn(self, name: str, spool: KeepsSchedules, data: bytes | None) -> None:
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
        self._run_here(entry, entry.learn(record, data, clock.now()))
        if isinstance(record.trigger, FileMonitor) and record.seen is None:
            self._files.touch(record.trigger.path)

    def _tell_unknown(self, record: Record) -> None:
        """Say once that this worker does not fire what a program made: its task may be another program's, or gone."""
        schedule = record.schedule
        if schedule.runtime and record.is_on and schedule.task not in self._spooler.tasks:
            said = f"the schedule {schedule.name} is for the task {schedule.task}, which this worker does not know"
            if said not in self._told:
                self._told.add(said)
                logger.warning("%s", safe(said))

    def _is_ours(self, record: Record, spool: KeepsSchedules) -> bool:
        task = self._spooler.tasks.get(record.schedule.task)
        if record.schedule.runtime:
            return task is not None
        if not isinstance(task, ScheduledTask) or task.name != record.schedule.name:
            return False
        return keeping(task.scheduled.spool) is spool

    async def _keep_up(self) -> None:
        for spool in self._spools():
            try:
                for name in await keep_up(spool, self._known(spool)):
                    logger.info("the schedule %s was unknown to all workers for long: it was removed", safe(name))
            except SpoolError as error:
                logger.warning("the schedules cannot be kept up: %s", error)

    # --- what tells of no change -----------------------------------------------------------------------------

    def _external(self) -> list[KeepsSchedules]:
        """Spools that this worker does not serve, and so hears nothing of."""
        spools = {id(entry.spool): entry.spool for entry in self._entries.values()}
        return [spool for spool in spools.values() if getattr(spool, "external", False)]

    def _polls(self) -> bool:
        return bool(self._fires and (self._external() or self._files.paths()))

    def _poll(self) -> None:
        """Now and then look at what may have changed without an event."""
        now = get_running_loop().time()
        if now < self._poll_at:
            return
        self._poll_at = now + self._frequency()
        self._files.touch_all()
        for spool in self._external():
            self._look_again(spool, None)


def _has_failed(name: str, taken: Taken) -> bool:
    failed = [answer for answer in taken.answers if isinstance(answer, Exception)]
    for answer in failed:
        logger.warning("the schedule %s: %s", safe(name), answer)
    return any(not isinstance(answer, Uncertain) for answer in failed)
