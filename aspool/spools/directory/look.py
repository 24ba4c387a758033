"""Look: what the spool holds, as far as one worker knows: its places by urgency, the clock, and names held back.

Decisions and memory; scanning, watching and claiming are done by its owner. What is known of one place: sight.py.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from .claim import BROKEN_DISK, BUSY, GONE, LATER, NO_DESCRIPTORS, Candidate, Skip
from .index import LIMIT, moment
from .limits.gate import UNKNOWN_TASK, Reason
from .names import microseconds
from .ranks import ALL, Share
from .scan import Found
from .sight import Errand, Sight
from .tree import Place
from .watch import Appeared

FIRST_WAIT = 0.001  # seconds until a refused lock is tried again, doubled up to the frequency: who puts lets go at once
STRANGE_WAIT = 60.0  # seconds until a file that cannot be claimed is looked at again
PAUSE = 1.0  # seconds without claims when the disk refuses or descriptors ran out
CLOCK_STEP = 1.0  # seconds by which the clock must go back to count as set
TICK = 0.000_001  # seconds: the index knows no shorter time
LEAST = 1000  # names that are kept of each place, however many there are


class Look:
    """All places of a spool, the most urgent first."""

    def __init__(self, frequency: float = 30.0) -> None:
        self.frequency = frequency
        self._sights: list[Sight] = []
        self._by_path: dict[str, Sight] = {}
        self._share = ALL
        self._again: list[tuple[float, str, Place]] = []  # when to look at a name again that was held back
        self._paused_until = 0.0
        self._has_order = False
        self._now = 0.0  # the wall clock when it was last looked at
        self.stirred: set[Reason] = set()  # what parked names wait for, and may be over
        self._heard: set[Reason] = set()  # the same since names were taken, also if none was parked then

    # --- places ----------------------------------------------------------------------------------------------

    def add_place(self, place: Place) -> bool:
        """Know a place, to be scanned; False when it is known already."""
        if self._sight(place) is not None:
            return False
        self._by_path[place.path] = Sight(place, self._share)  # instead of one that was removed and made again
        self._rank_places()
        return True

    def note_watched(self, place: Place) -> None:
        """Events tell of new names in a place."""
        sight = self._sight(place)
        if sight is not None:
            sight.is_watched = True

    def _rank_places(self) -> None:
        self._sights = sorted(self._by_path.values(), key=lambda sight: sight.place.rank)
        for sight in self._sights:
            sight.limit(max(LEAST, LIMIT // len(self._sights)))

    def places(self) -> list[Place]:
        """The places that are known."""
        return [sight.place for sight in self._sights]

    def forget_place(self, place: Place) -> None:
        """A place is gone."""
        if self._sight(place) is not None:
            del self._by_path[place.path]
            self._rank_places()

    def forget_all(self) -> None:
        """The spool directory was replaced."""
        self.stirred.clear()
        self._has_order = False
        self._sights.clear()
        self._by_path.clear()
        self._again.clear()

    def _sight(self, place: Place) -> Sight | None:
        sight = self._by_path.get(place.path)
        return sight if sight is not None and sight.place is place else None

    # --- scans -----------------------------------------------------------------------------------------------

    def next_scan(self) -> Errand | None:
        """A scan that should be made now; call `install` or `scan_failed` after."""
        return next((sight.begin_scan() for sight in self._sights if sight.wants_scan), None)

    @property
    def wants_scan(self) -> bool:
        """Whether `next_scan` would name one."""
        for sight in self._sights:  # noqa: SIM110 - a generator would cost more than the rest, at each claim
            if sight.wants_scan:
                return True
        return False

    @property
    def has_looked(self) -> bool:
        """Whether every known place has been scanned, and nothing due is left to other workers for a moment."""
        until = moment(microseconds(self._now))
        return bool(self._sights) and all(sight.is_known and not sight.has_hesitated(until) for sight in self._sights)

    def install(self, found: Found) -> None:
        """What a scan found replaces what was known of the place, but for what came meanwhile."""
        sight = self._sight(found.place)
        if sight is not None:
            sight.install(found)

    def scan_failed(self, place: Place) -> None:
        """A scan could not be made; the next poll asks for another."""
        sight = self._sight(place)
        if sight is not None:
            sight.scan_failed()

    def want_scans(self, mtimes: dict[str, int]) -> None:
        """The poll: ask for scans of places whose directory changed (mtime in ns), rarely, and of all now and then."""
        for sight in self._sights:
            sight.poll(mtimes.get(sight.place.path), self.frequency)

    def want_all(self) -> None:
        """Events were lost: scan everything again."""
        for sight in self._sights:
            sight.wanted = True

    def divide(self, share: Share) -> bool:
        """The names are divided so among the workers now; whether this is news. Then all are read again."""
        if share == self._share:
            return False
        self._share = share
        for sight in self._sights:
            sight.share = share
        self.want_all()
        return True

    # --- names -----------------------------------------------------------------------------------------------

    def appeared(self, events: Iterable[Appeared], now: float) -> None:
        """Names that the kernel told of."""
        for place, name, _ in events:
            sight = self._sight(place)
            if sight is not None:
                sight.appeared(name, now)

    def take(self, limit: int, now: float) -> list[Candidate]:
        """Up to `limit` due names, the most urgent first; they leave the index."""
        self._notice_clock(now)
        self._heard.clear()
        if now < self._paused_until or not self._knows_order():
            return []
        while self._again and self._again[0][0] <= now:
            _, name, place = heappop(self._again)
            sight = self._sight(place)
            if sight is not None:
                sight.release(name, now)
        until = moment(microseconds(now))
        taken: list[Candidate] = []
        for sight in self._sights:
            taken += sight.take(limit - len(taken), until)
            if len(taken) >= limit:
                break
        return taken

    def _knows_order(self) -> bool:
        """Nothing is taken before every priority has been looked at once: the last would come first."""
        if not self._has_order:
            self._has_order = bool(self._sights) and all(sight.is_known for sight in self._sights)
        return self._has_order

    def _notice_clock(self, now: float) -> None:
        """Waits were reckoned by a clock that has been set back since: they are over."""
        if now < self._now - CLOCK_STEP:
            self._paused_until = 0.0
            self._again = [(now, name, place) for _, name, place in self._again]
        self._now = now

    def hold(self, candidate: Candidate, name: str) -> None:
        """This process has claimed the candidate, which has this name now."""
        sight = self._sight(candidate.place)
        if sight is not None:
            if sight.parked.on_the_way:
                sight.parked.tried(candidate.name)
            sight.hold(name)

    def let_go(self, place: Place, name: str, now: float) -> bool:
        """The name is no longer claimed here; whether there may be another message of that name."""
        sight = self._sight(place)
        return sight is not None and sight.let_go(name, now)

    def seen_again(self, place: Place, name: str, due: float) -> None:
        """A name is still there, due then."""
        sight = self._sight(place)
        if sight is not None:
            sight.seen_again(name, due)

    def skipped(self, candidate: Candidate, skip: Skip, now: float) -> None:
        """A name could not be claimed: hold it back for a while, so that it never blocks the head."""
        place, name = candidate
        if skip.why in (NO_DESCRIPTORS, BROKEN_DISK):
            self._paused_until = now + PAUSE
        sight = self._sight(place)
        if sight is None:
            return
        if skip.why == NO_DESCRIPTORS:
            sight.put_back(name, now)
            return
        sight.parked.tried(name)
        if skip.why == GONE:
            sight.has_gone(name)
        elif skip.reason is not None:
            self._park(sight, name, skip.reason, now)
        elif skip.why == UNKNOWN_TASK:
            if not sight.pass_over(name):
                sight.held_back.add(name)
                heappush(self._again, (skip.due, name, place))
        elif skip.why == LATER:
            sight.seen_again(name, max(skip.due, now + TICK))
        else:
            # When the disk refuses it may be this one file: the others come first after the pause.
            first = {BUSY: FIRST_WAIT, BROKEN_DISK: PAUSE}.get(skip.why)
            wait = sight.hold_back(name, first or STRANGE_WAIT, self.frequency if first else STRANGE_WAIT)
            heappush(self._again, (now + wait, name, place))

    def put_back(self, candidates: Iterable[Candidate], now: float) -> None:
        """Names that were taken but not tried."""
        for place, name in candidates:
            sight = self._sight(place)
            if sight is not None:
                sight.put_back(name, now)

    # --- what may not begin ----------------------------------------------------------------------------------

    def _park(self, sight: Sight, name: str, reason: Reason, now: float) -> None:
        """It waits until somebody stirs it, which may have happened since it was tried."""
        sight.park(name, reason, now)
        if reason in self._heard:
            self.stirred.add(reason)
        else:
            self.stirred.discard(reason)

    def stir(self, reason: Reason) -> bool:
        """What names wait for may be over; whether any do."""
        self._heard.add(reason)
        waits = any(reason in sight.reasons for sight in self._sights)
        if waits:
            self.stirred.add(reason)
        return waits

    def stir_all(self, why: str | None = None) -> None:
        """The same of all that names wait for."""
        for sight in self._sights:
            for reason in sight.reasons:
                if why in (None, reason.why):
                    self.stir(reason)

    def let_in(self, room: Mapping[Reason, int]) -> None:
        """Let so many be tried of the names that wait for these, the most urgent first."""
        for reason, free in room.items():
            left = free
            for sight in self._sights:
                left -= sight.let_in(reason, left)
            if free <= 0 or not any(reason in sight.parked.reasons for sight in self._sights):
                self.stirred.discard(reason)

    def next_due(self) -> float | None:
        """When the next known name is due, or is looked at again; None while nothing may be taken yet."""
        if not self._knows_order():
            return None
        moments = [due for sight in self._sights if (due := sight.next_due()) is not None]
        if self._again:
            moments.append(self._again[0][0])
        if self.stirred:
            moments.append(0.0)
        return max(min(moments), self._paused_until) if moments else None
