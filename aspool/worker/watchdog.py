"""The watchdog: a thread that sees whether the event loop answers, when that matters. It decides nothing."""

import math
import time
from _thread import start_new_thread
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .report import logger

PATIENCE = 0.7  # seconds that the event loop has to answer
LATE = 0.3  # seconds: if this thread itself woke up so late, the machine had no time for anybody, or was stopped
AGAIN = 0.2  # seconds until it asks again
LONGEST_WAIT = 3600.0


class Watchdog:
    """Waits for moments at which the event loop must have done something, and asks it then whether it lives.

    `moment`: the next of them, of the monotonic clock; `blocked` is called in the thread of the watchdog when one has
    passed and the loop does not answer. The thread exists once a moment was expected.
    """

    def __init__(self, loop: AbstractEventLoop, moment: Callable[[], float], blocked: Callable[[], None]) -> None:
        self._loop = loop
        self._moment = moment
        self._blocked = blocked
        self._news: SimpleQueue[None] = SimpleQueue()
        self._runs = False
        self._is_over = False

    def look(self) -> None:
        """There may be an earlier moment. From any thread, also from a signal handler: nothing here takes a lock."""
        if self._runs:
            self._news.put(None)
        elif not self._is_over and self._moment() < math.inf:
            self._runs = True
            start_new_thread(self._keep_watching, ())

    def close(self) -> None:
        """Nothing matters any more."""
        self._is_over = True
        self._news.put(None)

    def _keep_watching(self) -> None:
        while not self._is_over:
            wait = self._moment() - time.monotonic()
            if wait > 0:
                self._sleep(min(LONGEST_WAIT, wait))
            else:
                self._ask()
                self._sleep(AGAIN)  # the loop does what is to be done, and then the moment is another

    def _ask(self) -> None:
        try:
            if self._is_blocked() and not self._is_over:
                self._blocked()
        except Exception:
            logger.exception("the watchdog of the worker failed")

    def _sleep(self, seconds: float) -> None:
        try:
            self._news.get(timeout=seconds)
        except Empty:
            pass

    def _is_blocked(self) -> bool:
        """Whether the loop has time to answer, but does not."""
        answer: SimpleQueue[None] = SimpleQueue()
        asked = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(answer.put, None)
            answer.get(timeout=PATIENCE)
        except Empty:
            return time.monotonic() - asked < PATIENCE + LATE
        except RuntimeError:  # the loop is closed
            self._is_over = True
        return False
