"""One of the places that a supervisor keeps filled: which worker is in it, and when the next may be started."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from .backoff import Backoff
from .process import WorkerProcess


@dataclass(slots=True, eq=False)
class Place:
    """A place, by its number from 1. Moments are of the monotonic clock."""

    number: int
    backoff: Backoff
    worker: WorkerProcess | None = None
    not_before: float = -math.inf  # when the next worker may be started
    is_done: bool = False  # the burst of its worker is over
    is_replaced: bool = False  # its worker is the successor of one that still runs, and not ready yet
    last_failure: str = ""

    def is_open(self, now: float) -> bool:
        """Whether a worker may be started in it."""
        return self.worker is None and not self.is_done and now >= self.not_before

    def vacate(self, worker: WorkerProcess) -> None:
        """Its worker leaves, and another one may come at once."""
        if self.worker is worker:
            self.worker = None

    def ended(self, worker: WorkerProcess, *, burst: bool) -> float | None:
        """Its worker has ended. How long the place stays empty, if that was not wanted."""
        was_here = self.worker is worker
        self.vacate(worker)
        state = worker.state
        if state.was_asked or (state.leaving is not None and state.leaving.wants_successor):
            return None
        if state.exit_code == 0 and state.leaving is not None:
            self.is_done = burst
            return None
        # Without a word, even if its exit code is 0: a job, or the application, has ended the process.
        wait = self.died(f"process {worker.pid} {_words(state.exit_code)} after {worker.lived:.1f} s", worker.lived)
        return wait if was_here else None

    def died(self, failure: str, lived: float) -> float:
        """Its worker has died, or could not be started: how long the place stays empty."""
        self.last_failure = f"{failure} ({datetime.now(UTC).isoformat(timespec='seconds')})"
        wait = self.backoff.died(lived)
        self.not_before = time.monotonic() + wait
        return wait

    def open_at_once(self) -> None:
        """Forget its waits: something was changed that may help."""
        self.backoff.forget()
        self.not_before, self.last_failure = -math.inf, ""


def _words(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"left with exit code {exit_code}"
    return f"was killed by signal {-exit_code}"
