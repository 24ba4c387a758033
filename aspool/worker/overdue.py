"""Overdue jobs: those that do not stop after their harakiri and its grace are reported, once each.

A timer stands only while some job may become overdue.
"""

import math
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Collection

from ..events import Event, JobOverdue
from . import stacks
from .run import Run

LATE = 0.3  # seconds
SETTLED = 0.25  # seconds after the end of a job until what was expected of it is forgotten
MERCY = 1.0  # seconds more, after a look that was so late that jobs may have been stopped just now


class OverdueReports:
    """Reports the overdue among the running jobs of a worker.

    `found` is called with each that is beyond its harakiri, and the text of the report; `armed` with the moment of the
    next look, of the loop's clock, whenever that changes.
    """

    def __init__(
        self,
        running: Collection[Run],
        report: Callable[[Event], None],
        found: Callable[[Run, str], None] = lambda *_: None,
        armed: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._running = running
        self._report = report
        self._found = found
        self._armed = armed
        self._timer: TimerHandle | None = None
        self._had_mercy = False  # at its last look
        self._is_forgetting = False
        self._next = math.inf  # of the loop's clock: when it looks

    def expect(self, moment: float) -> None:
        """A job is overdue from this moment of the loop's clock on. Cheap; mostly it looks sooner anyway."""
        if moment < self._next:
            self._arm(moment)
            self._armed(moment)

    def ended(self) -> None:
        """A job has ended that might have become overdue: soon nothing is expected of it any more."""
        if not self._is_forgetting and self._next < math.inf:
            self._is_forgetting = True
            get_running_loop().call_later(SETTLED, self._forget)

    def _forget(self) -> None:
        self._is_forgetting = False
        moment = self._earliest()
        if moment > self._next and not self._had_mercy:
            self._arm(moment)
            self._armed(moment)

    def _earliest(self) -> float:
        return min((run.overdue_at for run in self._running if not run.is_overdue), default=math.inf)

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = moment
        self._timer = None if moment == math.inf else get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        now = get_running_loop().time()
        is_late, self._had_mercy = now - self._next > LATE and not self._had_mercy, False
        if is_late and any(run.overdue_at <= now and not run.is_overdue for run in self._running):
            # The loop was blocked, or the process stopped: what should have been stopped long ago hears of it now.
            self._had_mercy = True
            self._arm(now + MERCY)
        else:
            for run in [run for run in self._running if run.overdue_at <= now and not run.is_overdue]:
                self._tell(run)
            # What was extended meanwhile has moved, and what has ended is no longer here.
            self._arm(self._earliest())
        self._armed(self._next)

    def _tell(self, run: Run) -> None:
        text = report_of(run, f"{run.task.name} {run.job.id} does not stop")
        self._report(JobOverdue(run.job.id, run.task.name, text))
        if run.is_beyond_harakiri(get_running_loop().time()):
            run.is_overdue = True
            self._found(run, text)
        else:  # its caller wanted it to stop, which ends no worker; its harakiri may still
            run.is_overdue = run.harakiri is None
            run.overdue_at = run.harakiri_ends + run.side.harakiri_grace

    def close(self) -> None:
        """Look no more."""
        self._arm(math.inf)
        self._armed(math.inf)


def report_of(run: Run, what: str) -> str:
    """Where a run hangs, and below that where everything else in this process is. From any thread."""
    own = run.where if run.in_process and run.where else run.stack()  # of what runs elsewhere, when it was stopped
    return stacks.of_all(run.side.loop, run.side.loop_thread, f"{what} (most recent call last):\n{own}")
