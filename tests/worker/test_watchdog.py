"""The watchdog: it asks the event loop when it matters, and trusts nothing when it had no time itself."""

import asyncio
import math
import threading
import time

import anyio
import pytest

from aspool.worker import watchdog
from aspool.worker.watchdog import Watchdog

pytestmark = pytest.mark.anyio


class Watched:
    """An event loop with a watchdog, and how often it found it blocked."""

    def __init__(self) -> None:
        self.moment = math.inf
        self.blocked: list[float] = []
        self.found = threading.Event()
        self.watchdog = Watchdog(asyncio.get_running_loop(), lambda: self.moment, self._note)

    def _note(self) -> None:
        self.blocked.append(time.monotonic())
        self.moment = math.inf
        self.found.set()

    def expect(self, seconds: float) -> None:
        self.moment = time.monotonic() + seconds
        self.watchdog.look()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PATIENCE", 0.1)
    monkeypatch.setattr(watchdog, "LATE", 5.0)  # a slow machine is no excuse here
    monkeypatch.setattr(watchdog, "AGAIN", 0.01)


async def test_there_is_no_thread_until_something_is_expected() -> None:
    watched = Watched()
    watched.watchdog.look()
    assert not watched.watchdog._runs
    watched.expect(100)
    assert watched.watchdog._runs
    watched.watchdog.close()


async def test_a_loop_that_answers_is_left_alone() -> None:
    watched = Watched()
    watched.expect(0.0)
    await anyio.sleep(0.3)
    assert watched.blocked == []
    watched.watchdog.close()


async def test_a_loop_that_is_blocked_is_found() -> None:
    watched = Watched()
    watched.expect(100)
    watched.expect(0.05)  # sooner
    assert watched.found.wait(20), "the loop waits here, and does not answer"
    watched.watchdog.close()


async def test_a_machine_that_had_no_time_for_the_watchdog_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP: everything has waited too long."""
    monkeypatch.setattr(watchdog, "LATE", -1.0)
    watched = Watched()
    watched.expect(0.0)
    assert not watched.found.wait(0.5)
    watched.watchdog.close()


async def test_a_closed_watchdog_says_nothing_more() -> None:
    watched = Watched()
    watched.expect(0.1)
    watched.watchdog.close()
    assert not watched.found.wait(0.5)
    watched.watchdog.look()


async def test_a_closed_loop_ends_it() -> None:
    loop = asyncio.new_event_loop()
    dog = Watchdog(loop, lambda: 0.0, lambda: None)
    loop.close()
    assert not dog._is_blocked()
    assert dog._is_over
