"""Bugs that were found once and must not come back: jobs that took their worker apart, runs lost or doubled."""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import Body, DirectorySpool, Spooler
from aspool.protocol import WorkerSide
from aspool.spools.memory import MemorySpool
from aspool.worker import running
from aspool.worker.run import ThreadCall

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(tmp_path: Path) -> Spooler:
    return Spooler(tmp_path / "spool")


async def settled(spooler: Spooler) -> None:
    """Until nothing waits or runs."""
    spool = spooler.spools["default"]
    assert isinstance(spool, DirectorySpool)
    with anyio.fail_after(10):
        while spool.browse(frozenset({"waiting", "running", "retrying"})):
            await anyio.sleep(0.01)


async def test_a_job_that_cancels_itself_and_returns_ends_alone(spooler: Spooler) -> None:
    ran = anyio.Event()

    @spooler.task(name="cancels")
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    @spooler.task(name="next")
    async def follows() -> None:
        ran.set()

    async with running(spooler):
        await cancels.spool()
        await settled(spooler)
        await follows.spool()
        await settled(spooler)
    assert ran.is_set()


async def test_a_job_that_takes_its_body_apart_ends_alone(spooler: Spooler) -> None:
    ran = anyio.Event()

    @spooler.task(name="detaches")
    def detaches(body: Body) -> None:
        body.file.detach()  # type: ignore[attr-defined]

    @spooler.task(name="next")
    async def follows() -> None:
        ran.set()

    async with running(spooler):
        await detaches.spool(Body(b"x"))
        await settled(spooler)
        await follows.spool()
        await settled(spooler)
    assert ran.is_set()


async def test_an_async_function_behind_a_plain_decorator_runs(spooler: Spooler) -> None:
    ran = anyio.Event()

    def plain(function: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        @functools.wraps(function)
        def wrapper() -> Coroutine[Any, Any, None]:
            return function()

        return wrapper

    @spooler.task(name="wrapped")
    @plain
    async def wrapped() -> None:
        await anyio.sleep(0)
        ran.set()

    async with running(spooler):
        await wrapped.spool()
        await settled(spooler)
    assert ran.is_set()


async def test_a_thread_that_was_stopped_before_it_began_never_begins(
    spooler: Spooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, goes_on, ended = threading.Event(), threading.Event(), threading.Event()
    run = ThreadCall.run

    def preempted(self: ThreadCall) -> Any:
        goes_on.wait(10)
        result = run(self)
        ended.set()
        return result

    monkeypatch.setattr(ThreadCall, "run", preempted)

    @spooler.task(name="slow", harakiri=0.05, retries=0)
    def slow() -> None:
        ran.set()

    async with running(spooler):
        await slow.spool()
        await settled(spooler)  # harakiri has buried it, before its thread came to its first line
        goes_on.set()
        assert await anyio.to_thread.run_sync(ended.wait, 10)
    assert not ran.is_set()


async def test_an_outcome_survives_the_end_of_the_worker() -> None:
    spool = MemorySpool()
    spooler = Spooler(spool)
    started = anyio.Event()

    @spooler.task(name="stubborn", retries=10, backoff=0)
    async def stubborn() -> None:
        started.set()
        try:
            await anyio.sleep(60)
        except asyncio.CancelledError:
            pass
        raise ValueError("again")

    async with running(spooler, grace=0):
        await stubborn.spool()
        await started.wait()
    async with spool.serving(WorkerSide(lambda: 1.0)):
        assert [claim.message.attempt for claim in await spool.claim(5, time.time() + 1)] == [1]
