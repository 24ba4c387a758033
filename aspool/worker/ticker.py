"""Ticker: fires the schedules of a Spooler when their moments come, and sleeps in between.

Every worker has one. They agree by the records that the spools keep: each moment is fired by whoever is first.
What takes time (turns, looks at files) runs beside the ticker, so that no spool or disk that hangs stops the others.
"""

import logging
import math
import threading
from asyncio import Event, get_running_loop
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
from anyio import create_task_group
from anyio.abc import TaskGroup

from .. import clock, firing
from ..errors import SpoolError, Uncertain
from ..escape import safe
from ..firing import deciding
from ..message import Message
from ..outcomes import Done, Outcome
from ..protocol import PutsBlocking, Spool
from ..schedules import FileMonitor
from ..spooler import Spooler
from ..turn import Decide, KeepsSchedules, Taken
from .ends import Ends
from .entries import Entries
from .entry import Entry, Seen
from .file_looks import FileLooks
from .here import Here

UPKEEP = 3600.0  # seconds between two signs of life of the schedules that this worker knows
SHORTEST_SLEEP = 0.001  # seconds: the clock may stand still, as that of a test does
LAST_NOTES = 0.3  # seconds for the notes of a worker whose process ends
SETTLED = 0.05  # seconds until the message of a run that has ended is gone
logger = logging.getLogger("aspool.schedules")


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
        self._frequency = frequency
        self._fires = fires
        self._is_first = seen is None
        self._news = Event()
        self._here = Here(here)
        self._entries = Entries(spooler, self._learned, self._news.set, seen)
        self._files = FileLooks(self._entries, self._turn, self._news.set)
        self._ends = Ends()
        self._upkeep_at = self._poll_at = math.inf  # of the loop's clock

    # --- beginning and ending --------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Learn what there is. Raises Unsupported for a schedule whose spool keeps none, SpoolUnusable."""
        if not self._fires:
            return
        self._upkeep_at = get_running_loop().time() + UPKEEP
        self._poll_at = get_running_loop().time() + self._frequency()
        await self._entries.begin()
        self._files.begin(first=self._is_first)

    async def end(self) -> None:
        """Note what ended since the last tick, and watch nothing any more."""
        self._files.close()
        self._entries.end()
        await self._ends.note_rest()

    # --- news ------------------------------------------------------------------------------------------------

    def changed(self, spool: Spool, name: str | None) -> None:
        """The record of a schedule has changed, or (None) any may have. On the event loop."""
        if self._fires and isinstance(spool, KeepsSchedules):
            self._entries.look_again(spool, name)

    def _learned(self, entry: Entry, moments: list[float]) -> None:
        self._here.run(entry, moments)
        trigger = entry.record.trigger
        if isinstance(trigger, FileMonitor) and entry.record.seen is None:
            self._files.touch(trigger.path)

    def fired(self, spool: object, message: Message, outcome: Outcome, started: float) -> None:
        """A run for a schedule has ended. On the event loop."""
        entry = self._note_end(spool, message, outcome, started)
        if entry is not None and isinstance(entry.record.trigger, FileMonitor):
            # A change that was passed over meanwhile is found now, once the message is gone.
            get_running_loop().call_later(SETTLED, self._files.touch, entry.record.trigger.path)

    def fired_last(self, ends: Sequence[tuple[object, Message, Outcome, float]]) -> None:
        """Runs have ended with this process, which is about to: note that for people, if it can be done in a moment.

        Blocking, from any thread.
        """
        for spool, message, outcome, started in ends:
            if message.firing is not None:
                self._note_end(spool, message, outcome, started)
        if self._ends.are_left:  # the event loop of the worker runs no more
            noting = threading.Thread(target=partial(anyio.run, self._ends.note_rest), daemon=True)
            noting.start()
            noting.join(LAST_NOTES)

    def _note_end(self, spool: object, message: Message, outcome: Outcome, started: float) -> Entry | None:
        said = message.firing
        assert said is not None
        if spool is self._here.spool:
            entry = self._here.ended(message, outcome)
            is_worth_noting = not isinstance(outcome, Done)  # of what was done each worker would note the same
            keeper: object = entry.spool if entry is not None and is_worth_noting else None
        else:
            entry, keeper = self._entries.get(spool, said.schedule), spool
        if isinstance(keeper, KeepsSchedules):
            self._ends.add(keeper, said, outcome, started)
            self._news.set()
        return entry

    # --- what is to come -------------------------------------------------------------------------------------

    def next_moment(self) -> float | None:
        """When the next schedule fires, a UNIX timestamp; None if that takes an event, or none does."""
        now = clock.now()
        return min((at for entry in self._entries if (at := entry.next_moment(now)) is not None), default=None)

    @property
    def must_stay(self) -> bool:
        """Whether some schedule is for a living worker: it watches a file, or runs in every worker."""
        return any(
            entry.record.is_on and (entry.is_for_workers or isinstance(entry.record.trigger, FileMonitor))
            for entry in self._entries
        )

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
            self._entries.reload(group)
        async with create_task_group() as group:
            self._begin(group)
        return self._next()

    def _begin(self, group: TaskGroup) -> float | None:
        """Begin whatever is to be done now. When to come again."""
        self._ends.note(group)
        if not self._fires:
            return None
        self._poll()
        self._entries.reload(group)
        self._files.look(group)
        now = clock.now()
        for entry in self._entries:
            at = entry.next_moment(now)
            if at is not None and at <= now:
                entry.is_taken = True
                group.start_soon(self._fire, entry, now)
        if get_running_loop().time() >= self._upkeep_at:
            self._upkeep_at = get_running_loop().time() + UPKEEP
            group.start_soon(self._entries.keep_up)
        return self._next()

    def _next(self) -> float | None:
        now = clock.now()
        moments = [entry.next_moment(now) for entry in self._entries]
        if self._polls():
            moments.append(now + max(0.0, self._poll_at - get_running_loop().time()))
        return min((moment for moment in moments if moment is not None), default=None)

    def _polls(self) -> bool:
        """Whether anything may change of which it would hear nothing."""
        return bool(self._fires and (self._entries.external() or self._files.paths()))

    def _poll(self) -> None:
        """Now and then look at what may have changed without an event."""
        now = get_running_loop().time()
        if now < self._poll_at:
            return
        self._poll_at = now + self._frequency()
        self._files.touch_all()
        for spool in self._entries.external():
            self._entries.look_again(spool, None)

    # --- turns -----------------------------------------------------------------------------------------------

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
        self._entries.learn(entry.name, entry.spool, taken.record)


def _has_failed(name: str, taken: Taken) -> bool:
    failed = [answer for answer in taken.answers if isinstance(answer, Exception)]
    for answer in failed:
        logger.warning("the schedule %s: %s", safe(name), answer)
    return any(not isinstance(answer, Uncertain) for answer in failed)
