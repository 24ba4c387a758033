"""Serving: one worker's side of the directory spool. It looks, claims and finishes, and owns the threads for that.

Claims share one thread with the finishes of a slow disk; scans have another.
"""

import errno
import logging
import os
import time
from asyncio import Event as LoopEvent
from asyncio import get_running_loop
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, Event, sleep, to_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ...errors import SpoolUnusable
from ...outcomes import Buried, HandedBack, Outcome, PutOff
from ...protocol import Claim
from . import marks
from .claim import Candidate, Claimer, FileClaim, Skip
from .finish import Finisher
from .look import Look
from .pace import Pace
from .publish import GROUP
from .ranks import Ranks
from .scan import scan
from .sweep import INTERVAL, sweep
from .tree import Place, Tree
from .trips import trip
from .watch import start_watching

QUICK = 0.002  # seconds that a claim or a finish may take on the event loop
QUICK_GROUP = 16  # files that are claimed on the event loop in one go
logger = logging.getLogger("aspool.directory")
UNSETTLED_WAIT = 1.0  # seconds until a finish that the disk refused is tried again, doubled up to a minute
LONGEST_UNSETTLED_WAIT = 60.0

Settled = tuple[Claim, Outcome]
Answer = tuple[FileClaim, Outcome, OSError | None]
Refused = tuple[FileClaim, Outcome, OSError]


class _Unsettled:
    """A finished job whose end the disk refused to write: done, but not acknowledged."""

    def __init__(self, claim: FileClaim, outcome: Outcome) -> None:
        self.claim = claim
        self.outcome = outcome
        self._wait = UNSETTLED_WAIT
        self.again = time.monotonic() + self._wait

    def postpone(self) -> None:
        self._wait = min(LONGEST_UNSETTLED_WAIT, 2 * self._wait)
        self.again = time.monotonic() + self._wait


class Serving:
    """Looks at a spool and claims from it, from `start` to `stop`, in one event loop."""

    def __init__(self, tree: Tree, finisher: Finisher, frequency: Callable[[], float]) -> None:
        self._tree = tree
        self._claimer = Claimer(tree)
        self._finisher = finisher
        self._pid = os.getpid()
        self._frequency = frequency
        self._look = Look(frequency())
        self._disk = CapacityLimiter(1)
        self._pace = Pace(QUICK)
        self._scans = CapacityLimiter(1)
        self._watch = start_watching()
        self._ranks = Ranks()
        self._news = LoopEvent()
        self._scan_wanted = Event()
        self._unsettled: list[_Unsettled] = []
        self._reported: dict[str, float] = {}

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
        self._ranks.enter(self._tree.area(""))
        self._know(self._tree.top)
        self._divide()

    def stop(self) -> None:
        """Let go of what was never settled: it runs again, as the disk could not be told that it is done."""
        for item in self._unsettled:
            self._finisher.let_go(item.claim)
        self._ranks.leave()
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
        self._read_events()
        self._news.set()

    def _read_events(self) -> bool:
        """Whether there were any."""
        events = self._watch.read() if self._watch is not None else []
        if events is None:  # the kernel's queue was full
            self._look.want_all()
            self._scan_wanted.set()
            return True
        self._look.appeared(events, time.time())
        for event in events:
            if event.is_directory and event.name.isdecimal() and event.name.isascii():
                self._find_place(event.place.named(event.name))
        return bool(events)

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
                    await to_thread.run_sync(sweep, self._tree, limiter=self._scans)
                self._look.frequency = self._frequency()
                await sleep(self._look.frequency)
                await self._poll()
            except SpoolUnusable as error:  # it is gone, and stays so: look again next time
                self._report(str(error))
            self._scan_wanted.set()
            self._news.set()

    async def _poll(self) -> None:
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
        """Up to `limit` due messages, the most urgent first."""
        if self._unsettled:
            await self._settle_again()
        self._divide()
        claims: list[FileClaim] = []
        while len(claims) < limit:
            quick = self._pace.is_quick
            wanted = min(limit - len(claims), QUICK_GROUP if quick else GROUP)
            candidates = self._look.take(wanted, now)
            if candidates:
                claims += await self._claim_all(candidates, now, quick)
            if len(candidates) < wanted and (claims or not self._read_events()):  # the loop reads them too, later
                break
        if self._look.wants_scan:
            self._scan_wanted.set()
        return claims

    def _divide(self) -> None:
        """Workers come and go: see which share of the names is this one's."""
        if self._look.divide(self._ranks.share()):
            self._scan_wanted.set()

    async def _claim_all(self, candidates: Sequence[Candidate], now: float, quick: bool) -> list[FileClaim]:
        if quick:
            answers = self._pace.measured(len(candidates), self._claimer.claim_all, candidates, now)
            await self._pace.pause()
        else:
            answers = await trip(self._disk, self._claimer.claim_all, candidates, now)
        claims: list[FileClaim] = []
        for candidate, answer in zip(candidates, answers, strict=False):
            if isinstance(answer, Skip):
                if answer.text:
                    self._report(answer.text)
                self._look.skipped(candidate, answer, now)
            else:
                answer.held = answer.name
                self._look.hold(answer.place, answer.name)
                claims.append(answer)
        if len(answers) < len(candidates):
            self._look.put_back(candidates[len(answers) :], now)
        return claims

    async def finish(self, settled: Sequence[Settled]) -> None:
        """Do what each outcome says; what the disk refuses is tried again later, and held until then."""
        for start in range(0, len(settled), GROUP):
            for claim, outcome, error in await self._settle(settled[start : start + GROUP]):
                text = f"the end of {claim.name} cannot be written ({error.strerror}): it is held, and not run again"
                logger.error("%s: %s", self._tree.path, text)
                self._unsettled.append(_Unsettled(claim, outcome))

    async def _settle_again(self) -> None:
        now = time.monotonic()
        ready = [item for item in self._unsettled if item.again <= now]
        if not ready:
            return
        refused = [claim for claim, _, _ in await self._settle([(item.claim, item.outcome) for item in ready])]
        for item in ready:
            if item.claim in refused:
                item.postpone()
            else:
                self._unsettled.remove(item)

    async def _settle(self, group: Sequence[Settled]) -> list[Refused]:
        """Settle in one trip to the disk, or here while the disk is quick; what was refused."""
        if self._pace.is_quick and Buried not in [type(outcome) for _, outcome in group]:
            answers = self._pace.measured(len(group), _finish_all, self._finisher, group)
        else:
            answers = await trip(self._disk, _finish_all, self._finisher, group)
        refused = []
        for claim, outcome, error in answers:
            if error is None:
                self._forget(claim, outcome)
            else:
                refused.append((claim, outcome, error))
        return refused

    def _forget(self, claim: FileClaim, outcome: Outcome) -> None:
        """It is no longer held; where no event tells of its new name, it must be remembered."""
        self._look.let_go(claim.place, claim.held)
        if isinstance(outcome, PutOff) and (self._watch is None or claim.name == claim.held):
            self._look.seen_again(claim.place, claim.name, outcome.due)
        elif isinstance(outcome, HandedBack):
            self._look.seen_again(claim.place, claim.name, claim.message.due)

    def abandon(self, claim: Claim) -> None:
        """Keep a file locked until this process ends, and do not charge its end to it."""
        try:
            marks.write_mark(_file_claim(claim).fd, marks.Mark.PUT_OFF)
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
        return self._look.has_looked

    def next_due(self) -> float | None:
        """When the next known message is due, or a refused finish is tried again."""
        now, monotonic = time.time(), time.monotonic()
        moments = [now + max(0.0, item.again - monotonic) for item in self._unsettled]
        due = self._look.next_due()
        return min(moments if due is None else [*moments, due], default=None)


def _file_claim(claim: Claim) -> FileClaim:
    assert isinstance(claim, FileClaim), "a claim of another spool"
    return claim


def _finish_all(finisher: Finisher, group: Sequence[Settled]) -> list[Answer]:
    return [_finish_one(finisher, _file_claim(claim), outcome) for claim, outcome in group]


def _finish_one(finisher: Finisher, claim: FileClaim, outcome: Outcome) -> Answer:
    try:
        finisher.finish(claim, outcome)
    except OSError as error:
        return claim, outcome, error
    except SpoolUnusable as error:  # the directory is gone: hold it, in case it was only moved
        return claim, outcome, OSError(errno.ENOENT, str(error))
    return claim, outcome, None
