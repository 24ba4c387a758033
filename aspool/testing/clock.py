"""The wall clock of a test: it can be moved and set, and stands still from then on. Nobody waits by it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from .. import clock as wall_clock
from ..errors import MomentRefused
from ..moments import timestamp

DIGITS = 6  # of a second: so exact are the moments of timers, one of which must be over when the clock was moved to it
STEP = 10.0**-DIGITS


class Clock:
    """The moment by which messages are due, retried and expired, while a Spooler is under test.

    It goes with the real one until it is first stopped, moved or set; then it stands still until it is moved or set
    again. While `drain` runs it stands still in any case.
    Sleeps, time-outs and harakiri are real, and so is `time.time()` of the application itself.
    It wakes no worker: `drain` runs what has become due.
    """

    def __init__(self, real: Callable[[], float] = wall_clock.now) -> None:
        self._real = real
        self._stands_at: float | None = None
        self._held_at: float | None = None
        self._holds = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        how = "goes" if self._stands_at is None else "stands"
        return f"<Clock {how} at {self.now.isoformat()}>"

    def timestamp(self) -> float:
        """The moment as a UNIX timestamp."""
        for standing in (self._stands_at, self._held_at):
            if standing is not None:
                return standing
        return self._real()

    @property
    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def stop(self) -> None:
        """Stand still, now."""
        self.move(0)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stand still as long as the block lasts; a clock that went before goes on then."""
        with self._lock:
            self._holds += 1
            if self._held_at is None:
                self._held_at = not_before(self._real())
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                if not self._holds:
                    self._held_at = None

    def move(self, by: timedelta | float) -> None:
        """Move on by so many seconds, or by a timedelta. Raises MomentRefused for a moment out of range."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        with self._lock:
            goes = self._stands_at is self._held_at is None
            moment = not_before(self._real()) if goes else self.timestamp()
            self._stands_at = round(timestamp(moment + seconds, "the clock"), DIGITS)

    def set(self, moment: datetime | float) -> None:
        """Stand still at an aware datetime, or at a UNIX timestamp; also in the past. Raises MomentRefused."""
        if isinstance(moment, timedelta):
            raise MomentRefused("a clock is set to a moment; clock.move(…) takes a timedelta")
        with self._lock:
            self._stands_at = round(timestamp(moment, "the clock"), DIGITS)


def not_before(moment: float) -> float:
    """A moment in whole microseconds, rounded up: by a clock that stands there, all that was due before is due."""
    rounded = round(moment, DIGITS)
    return rounded if rounded >= moment else round(rounded + STEP, DIGITS)


class _Shared:
    """The one clock of all blocks that use one at the same time: there is one wall clock in a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._clock = Clock()
        self._before = wall_clock.now

    def enter(self) -> Clock:
        with self._lock:
            if not self._blocks:
                self._clock = Clock(wall_clock.now)
                self._before, wall_clock.now = wall_clock.now, self._clock.timestamp
            self._blocks += 1
            return self._clock

    def leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                wall_clock.now = self._before


_shared = _Shared()


@contextmanager
def virtual_clock() -> Iterator[Clock]:
    """A clock in place of the wall clock, as long as the block lasts; blocks at the same time share one."""
    clock = _shared.enter()
    try:
        yield clock
    finally:
        _shared.leave()
