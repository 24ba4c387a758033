"""Look: what the spool holds, as far as one worker knows. Index, names held back, and which places to scan when.

Decisions and memory; scanning, watching and claiming are done by its owner.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from .claim import BROKEN_DISK, BUSY, GONE, LATER, NO_DESCRIPTORS, Candidate, Skip
from .index import LIMIT, Entry, Index
from .names import PREFIX, glance, microseconds
from .scan import Found
from .tree import Place
from .watch import Appeared

FIRST_WAIT = 0.01  # seconds until a refused lock is tried again, doubled up to the frequency
STRANGE_WAIT = 60.0  # seconds until a file that cannot be claimed is looked at again
PAUSE = 1.0  # seconds without claims when the disk refuses or descriptors ran out
RARELY = 20  # a scan may take one part in so many of the time
SWEEP = 1000  # and the slow sweep, which finds what `touch` changed, one part in so many
CLOCK_STEP = 1.0  # seconds by which the clock must go back to count as set


@dataclass(slots=True)
class _Sight:
    """One place as it was seen last. Moments of the monotonic clock."""

    place: Place
    index: Index
    wanted: bool = True
    scanning: bool = False
    scanned: float = -1e9
    duration: float = 0.0
    mtime: int = 0
    arrived: list[Entry] = field(default_factory=list)  # during a scan, which may have missed them


class Look:
    """All places of a spool, the most urgent first."""

    def __init__(self, frequency: float = 30.0) -> None:
        self.frequency = frequency
        self._sights: list[_Sight] = []
        self._held: set[tuple[str, str]] = set()  # (place, name) of what this process has claimed
        self._waits: dict[tuple[str, str], float] = {}  # held back: how long the last wait was
        self._again: list[tuple[float, str, Place]] = []  # when to look at a name again
        self._held_back: set[tuple[str, str]] = set()  # the names of `_again`
        self._paused_until = 0.0
        self._has_order = False
        self._now = 0.0  # the wall clock when it was last looked at

    # --- places ----------------------------------------------------------------------------------------------

    def add_place(self, place: Place) -> bool:
        """Know a place, to be scanned; False when it is known already."""
        if any(sight.place is place for sight in self._sights):
            return False
        self._sights = [sight for sight in self._sights if sight.place.path != place.path]  # removed and made again
        self._sights.append(_Sight(place, Index()))
        self._sights.sort(key=lambda sight: sight.place.rank)
        for sight in self._sights:
            sight.index = self._smaller(sight.index)
        return True

    def _smaller(self, index: Index) -> Index:
        """Together the places keep about LIMIT names."""
        smaller = Index(max(1000, LIMIT // len(self._sights)))
        smaller.replace(index.entries(), index.horizon)
        return smaller

    def places(self) -> list[Place]:
        """The places that are known."""
        return [sight.place for sight in self._sights]

    def forget_place(self, place: Place) -> None:
        """A place is gone."""
        self._sights = [sight for sight in self._sights if sight.place is not place]

    def forget_all(self) -> None:
        """The spool directory was replaced."""
        self._has_order = False
        self._sights.clear()
        self._waits.clear()
        self._again.clear()
        self._held_back.clear()

    # --- scans -----------------------------------------------------------------------------------------------

    def next_scan(self) -> tuple[Place, int] | None:
        """A place that should be scanned now, and how many names to keep; call `install` or `scan_failed` after."""
        for sight in self._sights:
            if not sight.scanning and (sight.wanted or sight.index.is_low):
                sight.scanning, sight.wanted = True, False
                return sight.place, sight.index.limit
        return None

    @property
    def wants_scan(self) -> bool:
        """Whether `next_scan` would name a place."""
        return any(not sight.scanning and (sight.wanted or sight.index.is_low) for sight in self._sights)

    @property
    def has_looked(self) -> bool:
        """Whether every known place has been scanned."""
        return bool(self._sights) and not any(sight.wanted or sight.scanning for sight in self._sights)

    def install(self, found: Found) -> None:
        """What a scan found replaces what was known of the place, but for what came meanwhile."""
        sight = self._sight(found.place)
        if sight is None:
            return
        skipped = self._held_back | self._held
        path = found.place.path
        kept = [entry for entry in found.entries if (path, entry[1]) not in skipped] if skipped else found.entries
        sight.index.replace(kept, found.horizon)
        for due, name in sight.arrived:
            sight.index.add(due, name)
        sight.arrived.clear()
        sight.scanning = False
        sight.scanned, sight.duration, sight.mtime = time.monotonic(), found.duration, found.mtime

    def skipped_in(self, place: Place) -> frozenset[str]:
        """The names of a place that a scan need not bring: they are claimed here, or held back."""
        return frozenset(name for path, name in self._held_back | self._held if path == place.path)

    def scan_failed(self, place: Place) -> None:
        """A scan could not be made; the next poll asks for another."""
        sight = self._sight(place)
        if sight is not None:
            sight.scanning, sight.mtime = False, -1

    def want_scans(self, mtimes: dict[str, int]) -> None:
        """The poll: ask for scans of places whose directory changed (mtime in ns), rarely, and of all now and then."""
        now = time.monotonic()
        for sight in self._sights:
            age = now - sight.scanned
            changed = mtimes.get(sight.place.path, sight.mtime) != sight.mtime
            sweep = age > max(10 * self.frequency, SWEEP * sight.duration)
            if sweep or (changed and age > RARELY * sight.duration):
                sight.wanted = True

    def want_all(self) -> None:
        """Events were lost: scan everything again."""
        for sight in self._sights:
            sight.wanted = True

    def _sight(self, place: Place) -> _Sight | None:
        return next((sight for sight in self._sights if sight.place is place), None)

    # --- names -----------------------------------------------------------------------------------------------

    def appeared(self, events: Iterable[Appeared], now: float) -> None:
        """Names that the kernel told of; those of uWSGI say nothing of when they are due, so they are tried."""
        sights = {id(sight.place): sight for sight in self._sights}
        for event in events:
            sight = sights.get(id(event.place))
            if sight is None or not event.name.startswith(PREFIX) or (event.place.path, event.name) in self._held:
                continue
            due = glance(event.name)
            entry = (microseconds(now) if due is None else due, event.name)
            sight.index.add(*entry)
            if sight.scanning:
                sight.arrived.append(entry)

    def take(self, limit: int, now: float) -> list[Candidate]:
        """Up to `limit` due names, the most urgent first; they leave the index."""
        self._notice_clock(now)
        if now < self._paused_until or not self._knows_order():
            return []
        self._release(now)
        taken: list[Candidate] = []
        now_us = microseconds(now)
        for sight in self._sights:
            while len(taken) < limit and (name := sight.index.take(now_us)) is not None:
                if (sight.place.path, name) not in self._held:
                    taken.append(Candidate(sight.place, name))
        return taken

    def _knows_order(self) -> bool:
        """Nothing is taken before every priority has been looked at once: the last would come first."""
        self._has_order = self._has_order or self.has_looked
        return self._has_order

    def _notice_clock(self, now: float) -> None:
        """Waits were reckoned by a clock that has been set back since: they are over."""
        if now < self._now - CLOCK_STEP:
            self._paused_until = 0.0
            self._again = [(now, name, place) for _, name, place in self._again]
        self._now = now

    def _release(self, now: float) -> None:
        while self._again and self._again[0][0] <= now:
            _, name, place = heappop(self._again)
            self._held_back.discard((place.path, name))
            sight = self._sight(place)
            if sight is not None:
                sight.index.insert(microseconds(now), name)

    def hold(self, place: Place, name: str) -> None:
        """This process has claimed the name."""
        self._held.add((place.path, name))
        self._waits.pop((place.path, name), None)

    def let_go(self, place: Place, name: str) -> None:
        """The name is no longer claimed here."""
        self._held.discard((place.path, name))
        self._waits.pop((place.path, name), None)

    def seen_again(self, place: Place, name: str, due: float) -> None:
        """A name is still there, due then."""
        sight = self._sight(place)
        if sight is not None:
            sight.index.add(microseconds(due), name)

    def skipped(self, candidate: Candidate, skip: Skip, now: float) -> None:
        """A name could not be claimed: hold it back for a while, so that it never blocks the head."""
        key = (candidate.place.path, candidate.name)
        if skip.why == GONE:
            self._waits.pop(key, None)
            return
        if skip.why in (NO_DESCRIPTORS, BROKEN_DISK):
            self._paused_until = now + PAUSE
        if skip.why == NO_DESCRIPTORS:
            self.put_back([candidate], now)
            return
        if skip.why == LATER:
            self.seen_again(candidate.place, candidate.name, skip.due)
            return
        # When the disk refuses it may be this one file: the others come first after the pause.
        first = {BUSY: FIRST_WAIT, BROKEN_DISK: PAUSE}.get(skip.why)
        wait = STRANGE_WAIT if first is None else min(2 * self._waits.get(key, first / 2), self.frequency)
        self._waits[key] = wait
        self._held_back.add(key)
        heappush(self._again, (now + wait, candidate.name, candidate.place))

    def put_back(self, candidates: Iterable[Candidate], now: float) -> None:
        """Names that were taken but not tried."""
        for candidate in candidates:
            sight = self._sight(candidate.place)
            if sight is not None:
                sight.index.insert(glance(candidate.name) or microseconds(now), candidate.name)

    def next_due(self) -> float | None:
        """When the next known name is due, or is looked at again; None while nothing may be taken yet."""
        if not self._knows_order():
            return None
        moments = [due / 1_000_000 for sight in self._sights if (due := sight.index.first_due()) is not None]
        if self._again:
            moments.append(self._again[0][0])
        return max(min(moments), self._paused_until) if moments else None
