"""Counting in the background."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from aspool.errors import SpoolUnusable
from aspool.observe import backlog
from aspool.observe.backlog import Backlog
from aspool.testing.clock import Clock

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def counting(made: Backlog[int]) -> AsyncIterator[None]:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(made.run)
            yield
            group.cancel_scope.cancel()


async def test_it_counts_when_somebody_asks(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 10.0)
    counts = iter(range(10))
    made = Backlog(lambda _: next(counts))
    async with counting(made):
        await anyio.wait_all_tasks_blocked()
        assert made.counted is None
        assert await made.ask() == 0
        assert made.counted == clock.timestamp()
        assert await made.ask() == 0  # it is fresh
        monkeypatch.setattr(made, "_next", 0.0)
        assert await made.ask() == 1


async def test_many_who_ask_share_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 10.0)
    counts = iter(range(10))
    made = Backlog(lambda _: next(counts))
    found = []

    async def ask() -> None:
        found.append(await made.ask())

    async with counting(made), anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert found == [0] * 5


async def test_nobody_waits_for_a_long_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 0.0)
    may_end = threading.Event()

    def count(_: Callable[[], bool]) -> int:
        may_end.wait(20)
        return 7

    made = Backlog(count)
    async with counting(made):
        assert await made.ask() is None
        may_end.set()
        while (found := await made.ask()) is None:
            await anyio.sleep(0.001)
        assert found == 7


async def test_the_longer_it_takes_the_longer_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 10.0)
    monkeypatch.setattr(backlog, "FRESH", 0.0)
    moments = iter([100.0, 100.0, 103.0])
    made = Backlog(lambda _: 1)
    async with counting(made):
        monkeypatch.setattr(backlog, "monotonic", lambda: next(moments))
        await made.ask()
    assert made._next == 133.0


async def test_what_cannot_be_counted_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 10.0)
    monkeypatch.setattr(backlog, "FRESH", 0.0)
    monkeypatch.setattr(backlog, "REST", 0)

    def fail(_: Callable[[], bool]) -> int:
        raise SpoolUnusable("it is gone")

    made = Backlog(fail)
    async with counting(made):
        assert await made.ask() is None
        assert made.error == "it is gone"
        monkeypatch.setattr(made, "_count", lambda _: 3)
        assert await made.ask() == 3
        assert made.error == ""


async def test_a_count_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 0.0)
    begun, unwanted = threading.Event(), threading.Event()

    def count(is_wanted: Callable[[], bool]) -> int:
        begun.set()
        while is_wanted():
            unwanted.wait(0.001)
        unwanted.set()
        return 0

    made = Backlog(count)
    async with counting(made):
        await made.ask()
        while not begun.is_set():
            await anyio.sleep(0.001)
    assert unwanted.wait(20)
