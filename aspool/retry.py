"""When a failed job runs again: (attempt, failure) -> a wait in seconds, or give up. A decision, no deed."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .failures import Failure

LONGEST_BACKOFF = 3600.0  # seconds
LONGEST_DELAY = 3_155_760_000.0  # seconds: a hundred years, so that a due moment stays a file name's 16 digits

Backoff = float | Callable[[int], float]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries` runs after the first; `backoff` seconds before the first of them, doubled each time with full jitter.

    A callable `backoff` is given the number of the failed attempt (1, 2, …) and answers the seconds.
    """

    retries: int = 3
    backoff: Backoff = 1.0
    longest: float = LONGEST_BACKOFF

    def wait(self, attempt: int, failure: Failure) -> float | None:
        """The seconds until the next run after `attempt` charged runs, or None to give up."""
        allowed = self.retries if failure.count is None else failure.count
        if not failure.retriable or attempt > allowed:
            return None
        if failure.delay is not None:
            return _bounded(failure.delay)
        if callable(self.backoff):
            return _bounded(self.backoff(attempt))
        # Full jitter, so that what failed together does not come back together.
        longest = min(self.longest, _bounded(self.backoff) * 2.0 ** min(attempt - 1, 60))
        return random.uniform(0.0, longest)  # noqa: S311 - jitter is no secret


def _bounded(seconds: float) -> float:
    """A wait that may be added to any moment; NaN is none. Raises TypeError for what is no number."""
    return float(max(0.0, min(LONGEST_DELAY, seconds))) if seconds == seconds else 0.0


def crash_wait(crashes: int) -> float:
    """Seconds that a suspect, whose worker died `crashes` times, waits before it runs alone: 1, 5, 25 …"""
    return float(min(LONGEST_BACKOFF, 5.0 ** min(max(0, crashes - 2), 10)))
