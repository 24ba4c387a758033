"""The supervisor: keeps as many workers running as are wanted, replaces them one by one, and stops them."""

import logging
import math
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import CancelScope, Event, create_task_group, move_on_after

from ..errors import MISUSED, UNUSABLE
from ..observe.metrics import left_by, nothing
from ..settings import Settings
from .backoff import Backoff
from .order import Order
from .place import Place
from .process import WorkerProcess

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

logger = logging.getLogger("aspool.supervisor")
Start = Callable[[Order, Callable[[WorkerProcess], None]], WorkerProcess]


class Supervisor:
    """Runs workers of an application until it is stopped. `start` starts a process."""

    def __init__(self, app: str, settings: Settings, start: Start = WorkerProcess) -> None:
        self.app = app
        self.settings = settings
        self.processes: list[WorkerProcess] = []  # all that live, also those that are leaving
        self.ended_counts = nothing()  # what the workers did that have ended
        self.places = [
            Place(number, Backoff(settings.restart_wait, settings.longest_restart_wait))
            for number in range(1, settings.processes + 1)
        ]
        self.wanted = settings.processes
        self.deaths = 0  # of workers, in all
        self.reloads = 0
        self.exit_code = 0
        self.is_reloading = False
        self._start_process = start
        self._group: TaskGroup
        self._was_ready = False
        self._changed = Event()
        self._stop = Event()
        self._hurry = Event()
        self._reload_wanted = Event()

    # --- what it can be asked --------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Let the workers drain, then end; a second time: let them hand back what runs."""
        if self._stop.is_set():
            logger.info("stopping at once (%s): what runs is handed back", reason)
            self._hurry.set()
            return
        logger.info("stopping (%s)", reason)
        self._stop.set()
        self._wake()

    def reload(self, reason: str) -> None:
        """Replace the workers one by one, the new one running before the old one drains."""
        if not self._stop.is_set():
            logger.info("reloading (%s)", reason)
            self._reload_wanted.set()
            self._wake()

    def want(self, number: int) -> None:
        """From now on so many workers are started; whoever wants fewer stops some."""
        self.wanted = number
        self._wake()

    def dismiss(self, process: WorkerProcess) -> None:
        """Let a worker drain that is not needed any more; its place is empty from now on."""
        self.places[process.number - 1].vacate(process)
        process.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether it starts no more workers."""
        return self._stop.is_set()

    @property
    def claiming(self) -> list[WorkerProcess]:
        """The workers that are ready and not about to leave."""
        return [process for process in self.processes if process.is_claiming]

    async def changed(self) -> None:
        """Until a worker starts, ends or says something."""
        await self._changed.wait()

    # --- its life --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until it is stopped, or until all bursts are over; then `exit_code` is that of the program."""
        async with create_task_group() as self._group:
            self._group.start_soon(self._keep_reloading)
            await self._keep_up()
            await self._end_all()
            self._group.cancel_scope.cancel()

    def _wake(self) -> None:
        changed, self._changed = self._changed, Event()
        changed.set()

    def _heard(self, process: WorkerProcess) -> None:
        if process.is_claiming:
            self._was_ready = True
        state = process.state
        if state.leaving is not None and state.exit_code is None and not self.settings.burst:
            self.places[process.number - 1].vacate(process)
        self._wake()

    async def _keep_up(self) -> None:
        while not self.is_stopping:
            changed = self._changed
            now = time.monotonic()
            for place in [place for place in self.places if place.is_open(now)]:
                if self._filled() < (self.wanted if self._was_ready else 1):  # if one cannot begin, none can
                    self._fill(place)
            if all(place.is_done for place in self.places):
                return
            waits = (place.not_before for place in self.places if place.worker is None)
            with move_on_after(min((at - now for at in waits if at > now), default=math.inf)):
                await changed.wait()

    def _filled(self) -> int:
        return sum(place.worker is not None for place in self.places)

    def _fill(self, place: Place) -> WorkerProcess | None:
        """Start a worker in a place; None if that cannot be now."""
        order = Order(self.app, self.settings.as_record(), place.number, os.getpid(), sys.path)
        try:
            process = self._start_process(order, self._heard)
        except OSError as error:
            wait = place.died(f"no process could be started: {error.strerror}", 0.0)
            logger.error("worker %d: %s; trying again in %.1f s", place.number, place.last_failure, wait)
            return None
        place.worker = process
        self.processes.append(process)
        self._group.start_soon(self._attend, process)
        return process

    async def _attend(self, process: WorkerProcess) -> None:
        await process.run()
        self.processes.remove(process)
        if process.state.counts:
            self.ended_counts = left_by([self.ended_counts, process.state.counts])
        self._note_end(process)
        self._wake()

    def _note_end(self, process: WorkerProcess) -> None:
        place = self.places[process.number - 1]
        wait = place.ended(process, burst=self.settings.burst)
        if wait is None or self.is_stopping:
            return
        if place.is_replaced:
            return  # it never claimed, and the one that it was to replace goes on
        self.deaths += 1
        if not self._was_ready and process.state.exit_code in (MISUSED, UNUSABLE):
            if not self.settings.reload:  # it said why: trying again would not help
                self.exit_code = process.state.exit_code
                self.stop(f"worker {process.number} cannot begin")
                return
            place.not_before = math.inf
            logger.error("worker %d cannot begin: waiting until a file changes", process.number)
            return
        logger.error("worker %d: %s; the next one is started in %.1f s", process.number, place.last_failure, wait)

    # --- replacing -------------------------------------------------------------------------------------------

    async def _keep_reloading(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted = Event()
            self.is_reloading = True
            self._wake()
            had_workers = any(place.worker is not None for place in self.places)
            if await self._reload_all():
                self.reloads += 1
                if had_workers:
                    logger.info("reloaded")
            self.is_reloading = False
            self._wake()

    async def _reload_all(self) -> bool:
        for place in self.places:
            place.open_at_once()
            self._wake()
            old = place.worker
            if self.is_stopping or (old is not None and not await self._replace(place, old)):
                return False
        return True

    async def _replace(self, place: Place, old: WorkerProcess) -> bool:
        """Start the successor of a worker; when that claims, let the old one drain. False when it cannot begin."""
        place.is_replaced = True
        new = self._fill(place)
        if new is not None:
            await self._begins(new)
        place.is_replaced = False
        if new is None or new.state.ready is None:
            if place.worker in (new, None) and not old.is_leaving:
                place.worker, place.not_before = old, -math.inf
            if not self.is_stopping:
                text = "the new worker %d cannot begin (%s): the old ones go on"
                logger.error(text, place.number, place.last_failure)
            return False
        old.stop()
        while old.state.exit_code is None:
            await old.heard.wait()
        return True

    async def _begins(self, new: WorkerProcess) -> None:
        """Until it claims, or will never. Another reload need not wait for it: something has changed again."""
        while not (new.is_claiming or new.is_leaving):
            heard, again = new.heard, self._reload_wanted
            async with create_task_group() as group:
                group.start_soon(_first_of, heard, group.cancel_scope)
                group.start_soon(_first_of, again, group.cancel_scope)
            if again.is_set():
                new.kill()
                while new.state.exit_code is None:
                    await new.heard.wait()

    # --- ending ----------------------------------------------------------------------------------------------

    async def _end_all(self) -> None:
        """Each of them is killed if it does not end in time."""
        for process in self.processes:
            process.stop()
        async with create_task_group() as group:
            group.start_soon(self._hurry_up)
            while self.processes:
                await self.changed()
            group.cancel_scope.cancel()

    async def _hurry_up(self) -> None:
        await self._hurry.wait()
        for process in self.processes:
            process.stop_now()


async def _first_of(event: Event, scope: CancelScope) -> None:
    await event.wait()
    scope.cancel()
