"""Arrivals: whoever runs none itself is told that a message may have come."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool
from aspool.errors import SpoolUnusable
from aspool.spools.directory import arrivals
from aspool.spools.directory.tree import Place
from aspool.spools.directory.watch import Appeared
from aspool.testing.conformance import message
from aspool.turn import Turn

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def announced(
    spool: DirectorySpool, frequency: float = 1000.0, changed: Callable[[], None] = lambda: None
) -> AsyncIterator[Callable[[int], anyio.Event]]:
    """An event that is set once so many arrivals were told."""
    told: list[anyio.Event] = []
    count = 0

    def after(number: int) -> anyio.Event:
        told.append(anyio.Event())
        wanted[told[-1]] = number
        tell()
        return told[-1]

    def tell() -> None:
        for event, number in wanted.items():
            if count >= number:
                event.set()

    def arrived() -> None:
        nonlocal count
        count += 1
        tell()

    wanted: dict[anyio.Event, int] = {}
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(spool.announce, frequency, arrived, changed)
            await after(1).wait()
            yield after
            group.cancel_scope.cancel()


async def until_watched(spool: DirectorySpool, arrived: Callable[[int], anyio.Event]) -> int:
    """It has been told of a message, for which it needs a moment at first; how many arrivals were told."""
    number = 2
    while True:
        await spool.put([message()])
        event = arrived(number)
        with anyio.move_on_after(0.2):
            await event.wait()
            return number


async def is_told(event: anyio.Event) -> bool:
    """Whether it is, in time."""
    with anyio.move_on_after(15):
        await event.wait()
    return event.is_set()


@pytest.mark.parametrize("priority", [None, 7])
async def test_a_message_is_told(directory: DirectorySpool, priority: int | None) -> None:
    await directory.open()
    async with announced(directory) as arrived:
        number = await until_watched(directory, arrived)
        await DirectorySpool(directory.path).put([message(priority=priority)])
        assert await is_told(arrived(number + 1))


async def test_what_workers_do_in_private_is_not() -> None:
    for is_directory in (False, True):
        assert not arrivals._is_arrival(Appeared(Place("", -1), ".aspool", is_directory))


async def test_pauses_and_schedules_are_told_of(directory: DirectorySpool) -> None:
    changes: list[anyio.Event] = [anyio.Event()]

    def changed() -> None:
        changes[-1].set()

    async with announced(directory, changed=changed) as arrived:
        number = await until_watched(directory, arrived)
        other = DirectorySpool(directory.path)
        for change in (other.pause("t"), other.resume("t"), other.turn("tick", lambda *_: Turn(record=b"{}"))):
            changes.append(anyio.Event())
            await change
            await changes[-1].wait()
        assert not arrived(number + 1).is_set()


async def test_without_events_it_looks(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "start_watching", lambda: None)
    async with announced(directory, 0.01) as arrived:
        assert await until_watched(directory, arrived) == 2, "one at the beginning, one for the message"


async def test_a_directory_that_was_replaced_is_watched_again(directory: DirectorySpool) -> None:
    async with announced(directory, 0.01) as arrived:
        number = await until_watched(directory, arrived)
        await anyio.to_thread.run_sync(shutil.rmtree, directory.path)
        directory.path.mkdir(mode=0o700)
        assert await is_told(arrived(number + 1))


async def test_a_spool_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnusable):
        await DirectorySpool(tmp_path / "no" / "spool").announce(1.0, lambda: None, lambda: None)
