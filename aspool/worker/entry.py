"""Entry: one schedule as one worker knows it: its record, and what of it has run in this worker. No I/O."""

from ..firing import moments_here
from ..schedule_record import Record
from ..scheduled import BUSY
from ..turn import KeepsSchedules

FAILED = 1.0  # seconds until a schedule that could not be fired is tried again; doubled each time
LONGEST = 60.0
MOST_RUNS = 1000  # of one schedule that this worker makes up for
Key = tuple[int, str]  # the id() of a spool, and the name of a schedule
Seen = dict[Key, int]  # how many runs of a schedule one worker has seen


class Entry:
    """One schedule. Moments are UNIX timestamps. `data` is what its record was read from."""

    def __init__(self, name: str, spool: KeepsSchedules, record: Record, data: bytes) -> None:
        self.name = name
        self.spool = spool
        self.record = record
        self.data = data
        self.is_taken = False  # a turn of this worker is under way
        self.running: set[str] = set()  # ids of what waits or runs in this worker's memory
        self.passed_over: list[float] = []  # moments of a change for which a run is to come after the present one
        self.runs = record.runs  # so many are over in this worker, or were before it began
        self._following = record.following  # reckoned once: a cron takes its time
        self._again = 0.0  # nothing is done before
        self._wait = 0.0

    @property
    def is_for_workers(self) -> bool:
        """Whether it runs in every worker, and is not spooled."""
        return self.record.schedule.options.target == "workers"

    def learn(self, record: Record, data: bytes, now: float) -> list[float]:
        """A newer record; the moments for which something is to run in this worker."""
        before, self.record, self.data = self.record, record, data
        self._following = record.following
        count, self.runs = record.runs - self.runs, record.runs
        if not self.is_for_workers or count <= 0:
            return []
        return moments_here(before, record, min(count, MOST_RUNS), now)

    # --- when ------------------------------------------------------------------------------------------------

    def next_moment(self, now: float) -> float | None:
        """When something is to be done; None: nobody knows, or it is being done."""
        if self.is_taken or not self.record.is_on:
            return None
        moment = now if self.record.was_set_back(now) else self._following
        rest = self.rest(now)
        return max(moment, now + rest) if rest and moment is not None else moment

    # --- what could not be done ------------------------------------------------------------------------------

    def put_off(self, now: float, *, busy: bool = False) -> None:
        """It could not be fired now: try again in a while."""
        self._wait = min(LONGEST, max(BUSY if busy else FAILED, 2 * self._wait))
        self._again = now + (min(1.0, self._wait) if busy else self._wait)

    def rest(self, now: float) -> float:
        """For how many seconds nothing more is to be tried."""
        rest = self._again - now
        return rest if 0 < rest <= LONGEST else 0.0  # if it is longer, the clock was set back meanwhile

    def succeeded(self) -> None:
        """It could."""
        self._again = self._wait = 0.0
