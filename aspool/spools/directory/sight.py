"""Sight: what one worker knows of one place: the names in it, which of them to try next, and when to scan it again.

With several workers, each tries its own share of the names first (see ranks.py). A name of another's share counts as
due a little later, so that its worker can have it; and the knowledge of such names grows old, as others finish them.
"""

import time
from typing import NamedTuple

from .claim import Candidate
from .index import LATER, NEVER, Index, due_of, key_of, moment, name_of
from .limits.gate import Reason
from .limits.parked import Parked
from .names import PREFIX, glance, microseconds
from .ranks import Share
from .scan import NONE_PASSED, Found, Passed
from .tree import Place

RARELY = 20  # a scan may take one part in so many of the time
SELDOM = 100  # and if events tell of new names, a scan because the directory has changed: by ourselves, mostly
SWEEP = 1000  # and the slow sweep, which finds what `touch` changed, one part in so many
HESITATION = 0.005  # seconds that the names of others are left to them when this worker has none of its own
PATIENCE = 1.0  # seconds, in due moments, that they stand back behind its own
MANY = 100  # names that were gone when they were tried, for which a scan may be worth its cost,
PART = 32  # if they are more than one part in so many of what it reads
SOON = 5  # and such a scan may take one part in so many of the time


class Errand(NamedTuple):
    """A scan to be made: the arguments of `scan`."""

    place: Place
    limit: int
    later: int
    skip: frozenset[str]
    share: Share
    passed: Passed = NONE_PASSED


class Sight:
    """One place as it was seen last. Moments are of the monotonic clock, but for those called now."""

    def __init__(self, place: Place, share: Share) -> None:
        self.place = place
        self.share = share
        self.is_watched = False
        self.wanted = True
        self.scanning = False
        self.held: set[str] = set()  # names that this process has claimed
        self.held_back: set[str] = set()  # names that wait before they are tried again
        self.parked = Parked()
        self._waits: dict[str, float] = {}  # how long the last wait of a name was
        self._appeared: set[str] = set()  # names that appeared while they were held: another message has them now
        self._settled: set[str] = set()  # names that ended while a scan was under way, which may have seen them
        self._arrived: list[str] = []  # keys of names that came meanwhile, which it may have missed
        self._mine = Index()
        self._others = Index()
        self._later = LATER
        self._low = self._low_mine = 0  # so many names left are few
        self._gone = 0  # names that were gone, since the last scan
        self._many = MANY
        self._passed = NONE_PASSED
        self._wait_passed: set[Reason] = set()  # what those names wait for
        self._others_rest = 0.0  # until then the names of others are left alone
        self._scanned = -1e9
        self._duration = 0.0
        self._mtime = 0

    def limit(self, names: int) -> None:
        """Keep about so many names."""
        for index in (self._mine, self._others):
            index.limit = names

    # --- scans -----------------------------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether it has been scanned, and is not about to be."""
        return not (self.wanted or self.scanning)

    @property
    def wants_scan(self) -> bool:
        """Whether it should be scanned now."""
        return not self.scanning and (self.wanted or (self._mine.horizon < NEVER and self._is_low()))

    def _is_low(self) -> bool:
        """Whether what a cut scan brought is nearly used up."""
        if len(self._mine) > self._low_mine:
            return False
        return self._low_mine > MANY or len(self._mine) + len(self._others) <= self._low or self._is_scanned_rarely()

    def _is_scanned_rarely(self) -> bool:
        return time.monotonic() - self._scanned > RARELY * self._duration

    def begin_scan(self) -> Errand:
        """What to scan now; call `install` or `scan_failed` after."""
        if not self.wanted and not self._is_scanned_rarely():  # used up too soon: as names fell due, most likely
            self._later = min(2 * self._later, self._mine.limit)
        self.scanning, self.wanted = True, False
        self._settled.clear()
        skip = frozenset(self.held.union(self.held_back, self.parked.names))
        return Errand(self.place, self._mine.limit, self._later, skip, self.share, self._passed)

    def install(self, found: Found) -> None:
        """What a scan found replaces what was known, but for what came meanwhile."""
        if self._passed != NONE_PASSED:  # it did not look there
            known = [*self._mine.keys(), *self._others.keys()]
            self._arrived += [key for key in known if self._passed.has(key)]
        self._mine.replace(found.mine, found.horizon)
        self._others.replace(found.others, found.horizon)
        if found.horizon == NEVER:
            self._later = LATER
        self._mine.later = self._others.later = self._later
        for key in self._arrived:
            self._add(key)
        self._arrived.clear()
        self._low, self._low_mine = (len(self._mine) + len(self._others)) // 10, len(self._mine) // 10
        self._gone, self._many, self._others_rest = 0, max(MANY, found.read // PART), 0.0
        self.scanning = False
        self._scanned, self._duration, self._mtime = time.monotonic(), found.duration, found.mtime

    def scan_failed(self) -> None:
        """A scan could not be made; the next poll asks for another."""
        self.scanning, self._mtime = False, -1

    def poll(self, mtime: int | None, frequency: float) -> None:
        """Ask for a scan if the directory changed (mtime in ns), rarely, and in any case now and then."""
        age = time.monotonic() - self._scanned
        changed = mtime is not None and mtime != self._mtime
        part = SELDOM if self.is_watched else RARELY
        if age > max(10 * frequency, SWEEP * self._duration) or (changed and age > part * self._duration):
            self.wanted = True
            if age > 10 * frequency:
                self._forget_passed()

    # --- names -----------------------------------------------------------------------------------------------

    def _add(self, key: str) -> None:
        (self._mine if self.share.has(name_of(key)) else self._others).add(key)

    def appeared(self, name: str, now: float) -> None:
        """News of a name; one of uWSGI's says nothing of when it is due, so it is tried."""
        if not name.startswith(PREFIX) or name in self.parked:
            return
        if name in self.held:
            self._appeared.add(name)
            return
        key = name if glance(name) is not None else key_of(name, microseconds(now))
        self._settled.discard(name)
        self.held_back.discard(name)
        self._add(key)
        self._note_arrival(key)

    def seen_again(self, name: str, due: float) -> None:
        """A name is still there, due then."""
        key = key_of(name, microseconds(due))
        self._settled.discard(name)
        self._mine.add(key)
        self._note_arrival(key)

    def insert(self, name: str, due: int) -> None:
        """A name that must be tried, at a moment (in microseconds)."""
        key = key_of(name, due)
        self._mine.insert(key)
        self._note_arrival(key)

    def _note_arrival(self, key: str) -> None:
        if self.scanning:
            self._arrived.append(key)

    def take(self, count: int, until: str) -> list[Candidate]:
        """Up to so many names that are due then, as `moment` says it; they leave the index."""
        taken: list[Candidate] = []
        while len(taken) < count and (first := self.parked.first()) < NEVER:
            self._take(self._mine, taken, count, min(first, until))
            taken += [Candidate(self.place, name) for name in self.parked.take(count - len(taken), first)]
        self._take_others(taken, count, until)
        self._take(self._mine, taken, count, until)
        self._take_others(taken, count, until)
        return taken

    def _take_others(self, taken: list[Candidate], count: int, until: str) -> None:
        if len(taken) < count and self._others and self._may_try_others():
            self._take(self._others, taken, count, self._patience(until))

    def _take(self, index: Index, taken: list[Candidate], count: int, until: str) -> None:
        while len(taken) < count and (keys := index.take(count - len(taken), until)):
            parked = self.parked if len(self.parked) else ()
            for key in keys:
                name = name_of(key)
                if not (name in self.held or name in self.held_back or name in self._settled or name in parked):
                    taken.append(Candidate(self.place, name))

    def _patience(self, until: str) -> str:
        """What is to be tried of the names of others: they come after the own, so long as these are about as old."""
        first = self._mine.first()
        latest = due_of(until) - microseconds(HESITATION)
        return moment(min(latest, due_of(first) - microseconds(PATIENCE)) if first <= until else latest)

    def _may_try_others(self) -> bool:
        """Whether to try the names of others. When many had gone, their workers live: rather wait for a scan."""
        now = time.monotonic()
        if self._gone > self._many and not self.scanning and now >= self._others_rest:
            wait = self._scanned + SOON * self._duration - now
            self.wanted = self.wanted or wait <= 0
            if not 0 < wait < PATIENCE:  # then try some more
                wait, self._gone = PATIENCE, 0
            self._others_rest = now + wait
        return now >= self._others_rest

    def has_hesitated(self, until: str) -> bool:
        """Whether there are due names of others that have not been tried yet."""
        return bool(self._others) and self._others.first() <= until

    def next_due(self) -> float | None:
        """When there is something to be tried, as far as is known."""
        moments = [0.0] if self.parked.first() < NEVER else []
        if self._mine:
            moments.append(due_of(self._mine.first()) / 1_000_000)
        if self._others:
            rest = self._others_rest - time.monotonic()
            moments.append(max(due_of(self._others.first()) / 1_000_000 + HESITATION, time.time() + rest))
        return min(moments, default=None)

    # --- what became of them ---------------------------------------------------------------------------------

    def hold(self, name: str) -> None:
        """This process has claimed the name."""
        self.held.add(name)
        if self._waits:
            self._waits.pop(name, None)

    def park(self, name: str, reason: Reason, now: float) -> None:
        """Do not try the name until what it waits for may be over."""
        self._waits.pop(name, None)
        if self.pass_over(name):
            self._wait_passed.add(reason)
        else:
            self.parked.add(name, glance(name) or microseconds(now), reason)

    def pass_over(self, name: str) -> bool:
        """Leave a name out, and all between it and others that were, if no more can be remembered: whether it is so."""
        is_full = len(self.parked) + len(self.held_back) >= self._mine.limit and glance(name) is not None
        if is_full:
            self._passed = self._passed.with_key(name)
        return is_full

    @property
    def reasons(self) -> set[Reason]:
        """What names wait for."""
        return self._wait_passed.union(self.parked.reasons)

    def let_in(self, reason: Reason, room: int) -> int:
        """Let names be tried that wait for this; how many are on their way then. Passed names are looked for again."""
        if room > 0 and reason in self._wait_passed and reason not in self.parked.reasons:
            self._forget_passed()
            self.wanted = True
        return self.parked.let_in(reason, room)

    def _forget_passed(self) -> None:
        self._passed = NONE_PASSED
        self._wait_passed.clear()

    def put_back(self, name: str, now: float) -> None:
        """It was taken, but not tried."""
        due = glance(name) or microseconds(now)
        if name in self.parked:
            self.parked.put_back(name, due)
        else:
            self.insert(name, due)

    def let_go(self, name: str, now: float) -> bool:
        """The name is no longer claimed here; whether there may be another message of that name."""
        self.held.discard(name)
        if self.scanning:
            self._settled.add(name)
        if name not in self._appeared:
            return False
        self._appeared.discard(name)
        self.appeared(name, now)
        return True

    def has_gone(self, name: str) -> None:
        """There was no such file when it was tried."""
        self._gone += 1
        self._waits.pop(name, None)

    def hold_back(self, name: str, first: float, longest: float) -> float:
        """Do not take the name for a while, each time for twice as long; the seconds."""
        wait = self._waits[name] = min(2 * self._waits.get(name, first / 2), longest)
        self.held_back.add(name)
        return wait

    def release(self, name: str, now: float) -> None:
        """The wait of a name is over."""
        self.held_back.discard(name)
        self.insert(name, microseconds(now))
