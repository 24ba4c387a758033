"""Serving: one worker's side of the directory spool. It looks, claims and finishes, and owns the threads for that.

Claims share one thread with the finishes of a slow disk; scans have another.
"""

import os
import time
from asyncio import Event as LoopEvent
from asyncio import get_running_loop
from collections.abc import Sequence

from anyio import CapacityLimiter, Event, sleep, to_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ...errors import SpoolUnusable
from ...outcomes import HandedBack, Outcome, PutOff
from ...protocol import Claim, WorkerSide
from . import marks, schedules
from .claim import Claimer, FileClaim
from .claiming import Claiming
from .finish import Finisher
from .following import orders
from .limits import paused, slots
from .limits.gate import PAUSED, Gate
from .limits.slots import TURN
from .look import Look
from .pace import Pace
from .ranks import Ranks
from .scan import scan
from .settling import Settling, file_claim, logger
from .sweep import INTERVAL, sweep
from .tree import PRIVATE, Place, Tree
from .trips import trip
from .watch import start_watching

QUICK = 0.002  # seconds that a claim or a finish may take on the event loop
WATCHED = (slots.AREA, paused.AREA, orders.AREA, schedules.AREA)  # private directories


class Serving:
    """Looks at a spool and claims from it, from `start` to `stop`, in one event loop."""

    def __init__(
        self, tree: Tree, finisher: Finisher, side: WorkerSide, known: schedules.Schedules, *, ordered: bool = False
    ) -> None:
        self._tree = tree
        self._ordered = ordered
        self._pid = os.getpid()
        self._side = side
        self._schedules = known
        self._look = Look(side.frequency())
        self._disk = CapacityLimiter(1)
        self._pace = Pace(QUICK)
        self._scans = CapacityLimiter(1)
        self._sweeps = CapacityLimiter(1)
        self._watch = start_watching()
        self._ranks = Ranks()
        self._news = LoopEvent()
        self._scan_wanted = Event()
        self._reported: dict[str, float] = {}
        self._settling = Settling(finisher, self._pace, self._disk, tree.path, self._forget)
        self._gate = Gate(tree, side.limit)
        self._orders = orders.OrderBook(tree, side.cancel)
        self._results = finisher.results
        self._claiming = Claiming(
            self._look,
            Claimer(tree, self._gate, finisher.held),
            self._gate,
            self._pace,
            self._disk,
            self._read_events,
            self._report,
        )

    def start(self, group: TaskGroup) -> None:
        """Begin to look at the spool, in the background."""
        if self._watch is None:
            logger.warning("%s: no inotify to be had, new tasks are found by polling", self._tree.path)
        else:
            # A callback, as a task that waits again and again would cost each new message some turns of the loop.
            get_running_loop().add_reader(self._watch.fd, self._heard)
        self._enter()
        group.start_soon(self._keep_scanning)
        group.start_soon(self._keep_polling)

    def _enter(self) -> None:
        for name in WATCHED:
            self._watch_area(name)
        if not self._ordered:  # else all names are everybody's
            self._ranks.enter(self._tree.area(""))
        self._know(self._tree.top)
        self._divide()

    def _watch_area(self, name: str) -> None:
        if self._watch is not None:
            try:
                self._watch.add_area(Place(f"{PRIVATE}/{name}", self._tree.area(name)))
            except OSError as error:
                self._report(f"{PRIVATE}/{name} cannot be watched ({error.strerror}), it is polled")

    def stop(self) -> None:
        """Let go of what was never settled: it runs again, as the disk could not be told that it is done."""
        self._settling.let_go()
        self._ranks.leave()
        self._gate.leave()
        if self._watch is not None:
            get_running_loop().remove_reader(self._watch.fd)
            self._watch.close()

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this process, and not to one that this was forked from."""
        return self._pid == os.getpid()

    # --- looking ---------------------------------------------------------------------------------------------

    def _know(self, place: Place) -> None:
        """Watch a place, then scan it: in this order nothing is missed."""
        if not self._look.add_place(place):
            return
        if self._watch is not None:
            try:
                self._watch.add(place)
                self._look.note_watched(place)
            except OSError as error:
                self._report(f"{place.path or 'the spool'} cannot be watched ({error.strerror}), it is polled")
        self._scan_wanted.set()

    def _heard(self) -> None:
        if self._read_events():
            self._news.set()

    def _read_events(self) -> bool:
        """Whether there was anything new for this worker."""
        events = self._watch.read() if self._watch is not None else []
        if events is None:  # the kernel's queue was full
            self._look.want_all()
            self._scan_wanted.set()
            self._stir_all()
            self._orders.install(self._orders.listed())
            return True
        self._look.appeared(events, time.time())
        is_new = False
        for event in events:
            if event.place.path.startswith(PRIVATE):
                is_new |= self._stir(event.place.path.removeprefix(f"{PRIVATE}/"), event.name)
                continue
            is_new = True
            if event.is_directory and event.name.isdecimal() and event.name.isascii():
                self._find_place(event.place.named(event.name))
        return is_new

    def _stir(self, area: str, name: str) -> bool:
        """Something has changed in a private directory; whether it lets this worker begin something, perhaps."""
        if area == paused.AREA:
            self._gate.must_look = True
            return True
        if area == orders.AREA:
            self._orders.came(name)
            return False
        if area == schedules.AREA:
            self._side.schedules_changed(self._schedules.name_of(name))
            return False
        if name == TURN:
            waited, self._gate.waits_for_turn = self._gate.waits_for_turn, False
            return waited
        reason = self._gate.reason_of(name)
        return reason is not None and self._look.stir(reason)

    def _stir_all(self) -> None:
        """Anything may have changed there."""
        self._gate.must_look, self._gate.waits_for_turn = True, False
        self._look.stir_all()
        self._side.schedules_changed(None)

    def _find_place(self, path: str) -> None:
        try:
            self._know(self._tree.place_now(path))
        except OSError as error:
            self._report(f"the priority directory {path} cannot be opened: {error.strerror}")
        except SpoolUnusable as error:
            self._report(str(error))

    async def _keep_scanning(self) -> None:
        while True:
            errand = self._look.next_scan()
            if errand is None:
                await self._scan_wanted.wait()
                self._scan_wanted = Event()
                continue
            try:
                found = await to_thread.run_sync(scan, *errand, limiter=self._scans)
            except OSError as error:
                self._scan_failed(errand.place, error)
                continue
            self._look.install(found)
            for name in found.directories:
                self._find_place(found.place.named(name))
            self._news.set()

    def _scan_failed(self, place: Place, error: OSError) -> None:
        self._look.scan_failed(place)
        if isinstance(error, FileNotFoundError) and place.path:  # the priority directory was removed
            self._tree.drop(place)
            self._forget_place(place)
        else:
            self._report(f"{place.path or 'the spool'} cannot be read: {error.strerror}")
        self._news.set()  # whoever waits for the first look

    def _forget_place(self, place: Place) -> None:
        self._look.forget_place(place)
        if self._watch is not None:
            self._watch.forget(place)

    async def _keep_polling(self) -> None:
        """Events may be lost, and some file systems have none: look at the directories themselves now and then."""
        swept = -INTERVAL
        while True:
            try:
                if time.monotonic() - swept >= INTERVAL:
                    swept = time.monotonic()
                    await to_thread.run_sync(sweep, self._tree, limiter=self._sweeps)
                elif self._results.wants_sweep():
                    await to_thread.run_sync(self._results.sweep, limiter=self._sweeps)
                self._orders.install(await to_thread.run_sync(self._orders.listed, limiter=self._scans))
                self._look.frequency = self._side.frequency()
                await sleep(self._look.frequency)
                await self._poll()
            except SpoolUnusable as error:  # it is gone, and stays so: look again next time
                self._report(str(error))
            self._scan_wanted.set()
            self._news.set()

    async def _poll(self) -> None:
        self._stir_all()
        if await to_thread.run_sync(self._is_elsewhere, limiter=self._scans):
            self._reopen()
            return
        for place in await to_thread.run_sync(self._tree.drop_removed, limiter=self._scans):
            self._forget_place(place)
        self._look.want_scans(await to_thread.run_sync(self._tree.mtimes, limiter=self._scans))

    def _is_elsewhere(self) -> bool:
        """Whether the directory that we look at is not the one at the path; a publisher may have seen it first."""
        known = self._look.places()
        return not self._tree.is_open or self._tree.is_gone() or self._tree.top not in known

    def _reopen(self) -> None:
        self._look.forget_all()
        if self._watch is not None:
            self._watch.forget_all()
        self._tree.reopen()
        self._gate.leave()  # after it: a claim under way would open the slots of the old directory again
        logger.warning("%s was replaced by another directory: the new one is used now", self._tree.path)
        self._enter()

    def _report(self, text: str) -> None:
        """Say it, but the same thing at most once a minute."""
        now = time.monotonic()
        if now - self._reported.get(text, -1e9) < 60.0:
            return
        if len(self._reported) > 1000:
            self._reported.clear()
        self._reported[text] = now
        logger.warning("%s: %s", self._tree.path, text.encode(errors="backslashreplace").decode())

    # --- claiming and finishing ------------------------------------------------------------------------------

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first; one at a time if they are ordered."""
        if self._settling.unsettled:
            await self._settling.again()
        if self._gate.must_look:
            await self._look_what_is_paused()
        if self._gate.is_shut:
            return []
        if self._ordered:
            claims = await self._claiming.next_in_order(now)
        else:
            self._divide()
            claims = await self._claiming.many(limit, now)
        if self._orders.open:
            self._orders.claimed(claims)
        if self._look.wants_scan:
            self._scan_wanted.set()
        return claims

    def _divide(self) -> None:
        """Workers come and go: see which share of the names is this one's."""
        if self._look.divide(self._ranks.share()):
            self._scan_wanted.set()

    async def _look_what_is_paused(self) -> None:
        before = self._gate.paused
        try:
            await trip(self._disk, self._gate.look)
        except SpoolUnusable as error:
            self._report(str(error))
        if self._gate.paused != before:
            self._look.stir_all(PAUSED)

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says; what the disk refuses is tried again later, and held until then."""
        await self._settling.finish(settled)

    @property
    def unsettled(self) -> list[tuple[Claim, Outcome]]:
        """What the disk has refused until now."""
        return [(item.claim, item.outcome) for item in list(self._settling.unsettled)]

    def _forget(self, claim: FileClaim, outcome: Outcome) -> None:
        """It is no longer held; where no event tells of its new name, it must be remembered."""
        if self._look.let_go(claim.place, claim.held, time.time()):
            self._news.set()
        if claim.slots:
            for slot in claim.slots:
                if self._stir(slots.AREA, slot.name):
                    self._news.set()
        if isinstance(outcome, PutOff) and (self._watch is None or claim.name == claim.held):
            self._look.seen_again(claim.place, claim.name, outcome.due)
        elif isinstance(outcome, HandedBack):
            self._look.seen_again(claim.place, claim.name, claim.message.due)

    def abandon(self, claim: Claim) -> None:
        """Keep a file locked until this process ends, and do not charge its end to it."""
        try:
            marks.write_mark(file_claim(claim).fd, marks.Mark.PUT_OFF)
        except OSError:
            pass  # then it counts as a crash

    # --- waiting ---------------------------------------------------------------------------------------------

    async def wait(self, timeout: float) -> None:
        """Return when a name appeared or a scan found some, at the latest after `timeout` seconds."""
        if timeout <= 0:
            await checkpoint()
        else:
            timer = get_running_loop().call_later(timeout, self._news.set)
            try:
                await self._news.wait()
            finally:
                timer.cancel()
        self._news.clear()

    @property
    def has_looked(self) -> bool:
        """Whether every known place has been scanned."""
        return self._gate.is_shut or self._look.has_looked

    def next_due(self) -> float | None:
        """When the next known message is due, or a refused finish is tried again."""
        moments = self._settling.moments()
        due = self._look.next_due() if self._may_claim else None
        return min(moments if due is None else [*moments, due], default=None)

    @property
    def _may_claim(self) -> bool:
        """Whether a claim could have anything now. If not, there will be news: of a pause, the turn, or a scan."""
        if self._gate.is_shut or self._gate.waits_for_turn:
            return False
        return not self._ordered or self._look.has_looked
