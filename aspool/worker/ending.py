"""Ending: when a worker that has a process of its own must be gone, who sees to that, and who is to blame.

While the event loop runs, its timers do; where it is blocked, the watchdog; whoever keeps the process is told when to
look. Without a process of its own nothing here happens.
"""

import asyncio
import math
import time
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable, Collection, Mapping

from ..failures import Failure
from ..job import job_of
from .lanes import Lanes
from .leaving import Leaving
from .overdue import report_of
from .own_process import OwnProcess
from .report import logger
from .run import Run
from .watchdog import Watchdog

LAST_WAIT = 1.0  # seconds for the neighbours of a job that does not stop
CLEANING = 0.4  # seconds for what is cancelled at the end
DOES_NOT_STOP, BLOCKS = "does not stop", "blocks the event loop"


class Ending:
    """The end of one worker's process. Moments are of the monotonic clock, as those of the event loop.

    `stopped` is called with the reason when harakiri ends the worker; from any thread.
    """

    def __init__(
        self, process: OwnProcess, leaving: Leaving, running: Collection[Run], stopped: Callable[[str], None]
    ) -> None:
        self._process = process
        self._leaving = leaving
        self._running = running
        self._stopped = stopped
        self._loop: AbstractEventLoop | None = None
        self._watchdog: Watchdog | None = None
        self._overdue_at = math.inf  # when the loop looks at overdue jobs
        self._end_at = math.inf  # when the process must begin to end
        self._armed_for = math.inf  # the end for which the timer stands
        self._timer: TimerHandle | None = None
        self._told: float | None = None
        self._reason = ""

    def serve(self, lanes: Lanes) -> None:
        """Jobs run in these."""
        self._leaving.lanes.append(lanes)

    def begin(self) -> None:
        """The worker runs, in this event loop."""
        self._loop = get_running_loop()
        self._watchdog = Watchdog(self._loop, lambda: min(self._overdue_at, self._end_at), self._blocked)
        if self._end_at < math.inf:  # it was asked to stop before
            self._arm()
            self._watchdog.look()

    def relax(self) -> None:
        """No job runs any more: what is left to be closed may take its time."""
        if not self._running:
            self._end_at = self._armed_for = math.inf
            if self._timer is not None:
                self._timer.cancel()
            self._tell()

    def close(self) -> None:
        """It has ended by itself."""
        self._overdue_at = self._end_at = math.inf
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self._watchdog is not None:
            self._watchdog.close()
        self._tell()

    # --- moments ---------------------------------------------------------------------------------------------

    def look_at(self, moment: float) -> None:
        """The event loop looks at overdue jobs then; inf: there are none."""
        self._overdue_at = moment
        self._tell()

    def within(self, seconds: float, reason: str) -> None:
        """Whatever runs then, the process ends so many seconds from now, and a moment. On the event loop."""
        self.warn(seconds, reason)
        self._arm()

    def warn(self, seconds: float, reason: str) -> None:
        """The same, for the case that the event loop is blocked then. From any thread, also from a signal handler."""
        moment = time.monotonic() + seconds
        if moment < self._end_at:
            self._end_at, self._reason = moment, self._reason or reason
            self._tell()

    def _arm(self) -> None:
        if self._loop is None or self._end_at == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = self._end_at
        self._timer = self._loop.call_at(self._end_at + CLEANING, self._leave)

    def _tell(self) -> None:
        moment = min(self._overdue_at, self._end_at)
        told = None if moment == math.inf else moment
        if told == self._told:
            return
        self._told = told
        self._process.tell_deadline(told)
        if self._watchdog is not None:
            self._watchdog.look()

    def _leave(self) -> None:
        if self._loop is not None:
            self._leaving.leave(self._reason)

    # --- jobs that do not stop -------------------------------------------------------------------------------

    def charge(self, run: Run, text: str) -> None:
        """A run does not stop: its worker ends, soon. On the event loop."""
        self._leaving.charge(run, _failure(run, DOES_NOT_STOP, text))
        self._stopped(_why(run, DOES_NOT_STOP))

    @property
    def is_waited_for(self) -> int:
        """How many runs that do not stop are here still."""
        return sum(run in self._running for run in self._leaving.charges)

    def leave_if_charged(self) -> None:
        """Everything else has ended."""
        if self.is_waited_for:
            self._leave()

    # --- an event loop that is blocked -----------------------------------------------------------------------

    def _blocked(self) -> None:
        """The event loop does not answer, at a moment when it should. In the thread of the watchdog."""
        now = time.monotonic()
        guilty = self._guilty(now)
        if guilty or now >= self._end_at:
            reason = next((_why(run, what) for run, what in guilty.items()), self._reason)
            self._leaving.leave(reason, lambda: self._charge_all(guilty))
        elif overdue := self._overdue(now):
            self._leave_to_the_marks(overdue[0])
        else:  # what was expected has ended, and who blocks the loop may do so
            self.look_at(min((run.overdue_at for run in list(self._running)), default=math.inf))

    def _leave_to_the_marks(self, victim: Run) -> None:
        """Nobody can tell who it is: as if the worker had died, which is counted until that one runs alone."""
        reason = f"harakiri: something blocks the event loop, and {victim.task.name} {victim.job.id} cannot be stopped"
        self._stopped(reason)
        logger.error("%s", report_of(victim, reason))
        self._process.leave(reason, 1)

    def _overdue(self, now: float) -> list[Run]:
        """Those beyond their harakiri, the oldest first."""
        found = [run for run in list(self._running) if run.is_beyond_harakiri(now)]
        return sorted(found, key=lambda run: run.overdue_at)

    def _charge_all(self, guilty: Mapping[Run, str]) -> None:
        for run, what in guilty.items():
            if run not in self._leaving.charges:
                self._stopped(_why(run, what))
                self._leaving.charge(run, _failure(run, what, report_of(run, _why(run, what))))

    def _guilty(self, now: float) -> dict[Run, str]:
        """Whom that is to be charged to: overdue jobs that were told to stop, or the one that kept them from that."""
        overdue = self._overdue(now)
        current = self._current()
        guilty = {run: DOES_NOT_STOP for run in overdue if run.was_told_to_stop}
        if current is not None and (current in overdue or (overdue and not guilty)):
            guilty = {current: BLOCKS} | guilty
        return guilty

    def _current(self) -> Run | None:
        """The run that the event loop is in, as far as that can be told: itself, or a task that it has started."""
        try:
            task = asyncio.current_task(self._loop)
        except RuntimeError:
            return None
        if task is None:
            return None
        job = job_of(task)
        runs = list(self._running)
        return next((run for run in runs if run.loop_task is task or (job is not None and run.job is job)), None)


def _why(run: Run, what: str) -> str:
    return f"harakiri: {run.task.name} {run.job.id} {what}"


def _failure(run: Run, what: str, text: str) -> Failure:
    after, grace = "" if run.harakiri is None else f" after {run.harakiri:g} s", run.side.harakiri_grace
    done = "it blocked the event loop" if what == BLOCKS else f"it was stopped{after}, did not end within {grace:g} s"
    return Failure(f"harakiri: {done} and was ended with its process", text)
