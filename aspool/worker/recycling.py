"""Recycling: when a worker has lived long enough, by its memory, its age or its runs, and another should follow."""

import os
import random
import resource
import sys
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable
from functools import partial

from ..settings import WorkerSettings

MB = 1024 * 1024
LOOK = 1.0  # seconds between two looks at the memory
SPREAD = 0.1  # of the age, so that workers that began together do not end together


class Recycling:
    """Stops a worker for its settings' max_tasks, max_rss and max_age. `stop` is called with the reason."""

    def __init__(self, settings: WorkerSettings, stop: Callable[[str], None]) -> None:
        self._settings = settings
        self._stop = stop
        self._timer: TimerHandle | None = None
        self._looked_at = 0.0  # the memory, of the monotonic clock

    def begin(self) -> None:
        """The worker begins to live."""
        if (age := self._settings.max_age) is not None:
            seconds = age * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - jitter is no secret
            reason = f"max_age={age:g} s is reached: it has lived for {seconds:.0f} s"
            self._timer = get_running_loop().call_later(seconds, partial(self._stop, reason))

    def close(self) -> None:
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def at_end(self) -> Callable[[], None] | None:
        """What is to be called when a job has ended."""
        return None if self._settings.max_rss is None else self._look_at_memory

    def counted(self, runs: int) -> None:
        """So many have been claimed."""
        most = self._settings.max_tasks
        if most is not None and runs >= most:
            self._stop(f"max_tasks={most} is reached")

    def _look_at_memory(self) -> None:
        now, most = time.monotonic(), self._settings.max_rss
        if now - self._looked_at < LOOK or most is None:
            return
        self._looked_at = now
        if (size := memory()) > most * MB:
            self._stop(f"max_rss={most} MB is reached: its process takes {size / MB:.0f} MB")


def memory() -> int:
    """How many bytes of memory this process takes; where the system does not tell, how many it ever took."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
