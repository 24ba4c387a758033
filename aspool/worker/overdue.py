"""Overdue jobs: those that do not stop after their harakiri and its grace are reported, once each.

A timer stands only while some job may become overdue.
"""

import math
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Collection

from ..events import Event, JobOverdue
from .run import Run


class OverdueReports:
    """Reports the overdue among the running jobs of a worker."""

    def __init__(self, running: Collection[Run], report: Callable[[Event], None]) -> None:
        self._running = running
        self._report = report
        self._timer: TimerHandle | None = None
        self._next = math.inf  # of the loop's clock: when it looks

    def expect(self, moment: float) -> None:
        """A job is overdue from this moment of the loop's clock on. Cheap; mostly it looks sooner anyway."""
        if moment < self._next:
            self.close()
            self._next = moment
            self._timer = get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        self.close()
        now = get_running_loop().time()
        for run in [run for run in self._running if run.overdue_at <= now and not run.is_overdue]:
            run.is_overdue = True
            self._report(JobOverdue(run.job.id, run.task.name, run.stack()))
        # What was extended meanwhile has moved, and what has ended is no longer here.
        self.expect(min((run.overdue_at for run in self._running if not run.is_overdue), default=math.inf))

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._next = None, math.inf
