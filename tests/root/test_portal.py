"""The portal: what awaits, for code without an event loop."""

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest

from aspool import CallError, portal


def test_a_call_gives_what_it_returns_and_raises() -> None:
    async def twice(number: int) -> int:
        await anyio.sleep(0)
        if number < 0:
            raise ValueError("no")
        return 2 * number

    assert portal.call(twice, 4) == 8
    with pytest.raises(ValueError, match="no"):
        portal.call(twice, -1)


async def _numbers(log: list[str]) -> AsyncIterator[int]:
    try:
        for number in range(3):
            yield number
    finally:
        log.append("closed")


def test_items_come_one_by_one_and_the_rest_is_closed() -> None:
    log: list[str] = []
    assert list(portal.iterate(lambda: _numbers(log))) == [0, 1, 2]
    assert log == ["closed"]
    items = portal.iterate(lambda: _numbers(log))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert log == ["closed", "closed"]


@pytest.mark.anyio
async def test_an_event_loop_is_not_stopped_and_the_form_for_it_is_named() -> None:
    awaited = "would stop this thread's event loop: write `await ….sleep"
    with pytest.raises(CallError, match=awaited):
        portal.call(anyio.sleep, 0)
    with pytest.raises(CallError, match=awaited):
        portal.call(partial(anyio.sleep, 0))
    log: list[str] = []
    with pytest.raises(CallError, match=r"write `async for … in …._numbers\(…\)` here, without sync"):
        next(portal.iterate(partial(_numbers, log)))
    with pytest.raises(CallError, match="write `await …` here"):
        portal.call(lambda: anyio.sleep(0))
    assert log == []


def waits_for_answer(thread: int) -> bool:
    """Whether a thread does nothing but wait for its answer from the portal: the call has begun there."""
    frames: list[str] = []
    frame: Any = sys._current_frames()[thread]
    while frame is not None and len(frames) < 3:
        frames.append(frame.f_code.co_name)
        frame = frame.f_back
    return frames == ["wait", "result", "_answer"]


@pytest.mark.parametrize("form", ["call", "iterate"])
def test_ctrl_c_ends_what_nobody_waits_for_any_more(form: str) -> None:
    """Also while another thread has the portal: it would never be closed otherwise."""
    ended: list[str] = []

    async def waits() -> AsyncIterator[int]:
        try:
            while not waits_for_answer(main):
                await anyio.sleep(0.001)
            signal.pthread_kill(main, signal.SIGUSR1)
            await anyio.sleep_forever()
            yield 1
        finally:
            ended.append("ended")

    async def wait() -> None:
        async for _ in waits():
            raise AssertionError("it gives nothing")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with portal._portal():  # as another thread would
            with pytest.raises(KeyboardInterrupt):
                portal.call(wait) if form == "call" else list(portal.iterate(waits))
            while not ended:  # or the test's time-out ends it
                portal.call(anyio.sleep, 0.001)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_a_portal_of_its_own() -> None:
    async def seven() -> int:
        return 7

    with portal._portal():  # as another thread of the parent would, which the child does not have
        child = os.fork()
        if not child:
            signal.alarm(10)
            os._exit(portal.call(seven))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
