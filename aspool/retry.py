"""When a failed job runs again: (attempt, failure) -> a wait in seconds, or give up. A decision; nothing is done here."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .outcomes import Failure

LONGEST_BACKOFF = 3600.0  # seconds

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
            return max(0.0, failure.delay)
        if callable(self.backoff):
            return max(0.0, float(self.backoff(attempt)))
        # Full jitter, so that what failed together does not come back together.
        longest = min(self.longest, self.backoff * 2.0 ** min(attempt - 1, 60))
        return random.uniform(0.0, longest)  # noqa: S311 - jitter is no secret


def crash_wait(crashes: int) -> float:
    """The seconds that a suspect (a message whose worker died `crashes` times) waits before it runs alone: 1, 5, 25 …"""
    return float(min(LONGEST_BACKOFF, 5.0 ** max(0, crashes - 2)))
