"""Leaving: a worker ends its process, though jobs still run in it. All that it has is settled on disk before.

From any thread: where the event loop is blocked, it is the watchdog's.
"""

import threading
from _thread import start_new_thread
from collections.abc import Callable, Sequence

from ..failures import Failure
from ..message import Message
from ..outcomes import HandedBack, Outcome
from ..protocol import Leaves
from .lanes import Lanes, LastWord
from .own_process import OwnProcess
from .report import logger
from .run import Run

LONGEST = 0.8  # seconds for everything: a disk that hangs must not keep the process

FiredLast = Callable[[Sequence[tuple[object, Message, Outcome, float]]], None]


class Leaving:
    """How one worker leaves, once. `charges`: the runs for which it does, and what each is charged with."""

    lanes: list[Lanes]

    def __init__(self, process: OwnProcess, fired_last: FiredLast) -> None:
        self.charges: dict[Run, Failure] = {}
        self.lanes = []
        self._process = process
        self._fired_last = fired_last
        self._begins = threading.Lock()

    def charge(self, run: Run, failure: Failure) -> None:
        """A run does not stop."""
        self.charges[run] = failure
        for lanes in self.lanes:
            if lanes.spool is run.side.spool:
                lanes.charge(run, failure)

    def leave(self, reason: str, charge: Callable[[], None] = lambda: None) -> None:
        """Settle everything and end the process, unless another thread is about to. It does not return, then.

        `charge` is called first, if somebody has still to be charged.
        """
        if not self._begins.acquire(blocking=False):
            return
        is_done = threading.Event()
        try:
            start_new_thread(self._leave_later, (is_done, reason))
        except RuntimeError:
            pass  # there are as many threads as may be: then nobody hurries us
        for step in (charge, self._settle):  # one that fails must not keep the other from being done
            try:
                step()
            except Exception:
                logger.exception("the worker leaves, but could not settle everything")
        is_done.set()
        self._process.leave(reason, self._exit_code)

    def _leave_later(self, is_done: threading.Event, reason: str) -> None:
        if not is_done.wait(LONGEST):
            self._process.leave(reason, self._exit_code)

    @property
    def _exit_code(self) -> int:
        return 1 if self.charges else 0

    def _settle_in(self, lanes: Lanes) -> list[tuple[Lanes, LastWord]]:
        words = lanes.last_words(self.charges)
        if isinstance(lanes.spool, Leaves):
            lanes.spool.leave([(word.claim, word.outcome) for word in words])
        return [(lanes, word) for word in words]

    def _settle(self) -> None:
        words: list[tuple[Lanes, LastWord]] = []
        for lanes in self.lanes:
            try:
                words += self._settle_in(lanes)
            except Exception:  # the other spools are settled all the same
                logger.exception("the worker leaves, but could not settle what it has of %s", lanes.spool.address)
        ends = [(lanes, word.run, word.outcome) for lanes, word in words if word.run is not None]
        for lanes, run, outcome in ends:  # what may wait for others comes after what must be done
            lanes.report_last(run, outcome, self.charges.get(run))
        if back := [word.claim.message.id for _, word in words if isinstance(word.outcome, HandedBack)]:
            logger.info("handed back, as the worker leaves: %s", ", ".join(back))
        if ends:
            self._fired_last([(lanes.spool, run.claim.message, outcome, run.started) for lanes, run, outcome in ends])
