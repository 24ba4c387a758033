"""How many workers a cheap supervisor wants, with fake processes and a real directory."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from anyio import create_task_group

from aspool import DirectorySpool
from aspool.supervisor.cheap import Cheap
from aspool.supervisor.order import Idle, Load
from aspool.testing.conformance import message

from .fake_processes import FakeProcess, Fakes, supervised

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_is_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.supervisor.cheap.RECENT", 0.0)


@asynccontextmanager
async def cheap(**options: object) -> AsyncIterator[tuple[Fakes, Cheap]]:
    async with supervised(cheap=True, frequency=0.05, **options) as fakes, create_task_group() as group:
        decides = Cheap(fakes.supervisor)
        group.start_soon(decides.keep_deciding)
        await fakes.until(lambda: fakes.started)
        yield fakes, decides
        group.cancel_scope.cancel()


def is_idle(process: FakeProcess, next_moment: float | None = None) -> None:
    process.says(Idle(next_moment))


async def listens(fakes: Fakes, decides: Cheap, spool: DirectorySpool) -> None:
    """The first worker has begun, and the supervisor watches its spool."""
    fakes.started[0].is_ready(spool.address)
    await fakes.until(lambda: decides._arrived_at > 0)  # it tells so when it begins
    await fakes.settle()


async def sleeps(
    fakes: Fakes, decides: Cheap, spool: DirectorySpool, next_moment: float | None = None
) -> None:
    """Its only worker had nothing to do, and has left."""
    await listens(fakes, decides, spool)
    worker = fakes.started[-1]
    is_idle(worker, next_moment)
    await fakes.until(lambda: worker.was_stopped)
    worker.drain()
    await fakes.until(lambda: not fakes.supervisor.processes)
    assert fakes.supervisor.wanted == 0


async def test_it_begins_with_one(directory: DirectorySpool) -> None:
    async with cheap(processes=4) as (fakes, decides):
        await listens(fakes, decides, directory)
        assert len(fakes.started) == 1


async def test_an_idle_worker_leaves_and_an_arrival_brings_one(directory: DirectorySpool) -> None:
    async with cheap(processes=4) as (fakes, decides):
        await sleeps(fakes, decides, directory)
        await fakes.settle()
        assert len(fakes.started) == 1
        await directory.put([message(priority=3)])
        await fakes.until(lambda: len(fakes.started) == 2)
        assert fakes.supervisor.wanted == 1


async def test_a_known_moment_brings_one(directory: DirectorySpool) -> None:
    async with cheap(cheap_idle=0.01) as (fakes, decides):
        await sleeps(fakes, decides, directory, time.time() + 1.1)
        await fakes.until(lambda: len(fakes.started) == 2)
        assert fakes.supervisor.wanted == 1


async def test_for_a_moment_that_is_near_it_stays(directory: DirectorySpool) -> None:
    async with cheap(cheap_idle=10.0) as (fakes, decides):
        await listens(fakes, decides, directory)
        is_idle(fakes.started[0], time.time() + 5)
        await fakes.settle()
        assert not fakes.started[0].was_stopped


async def test_a_resumed_task_brings_one(directory: DirectorySpool) -> None:
    async with cheap() as (fakes, decides):
        await directory.pause("t")
        await sleeps(fakes, decides, directory)
        await directory.resume("t")
        await fakes.until(lambda: len(fakes.started) == 2)
        assert fakes.supervisor.wanted == 1


async def test_a_reload_brings_one_which_may_have_other_schedules(directory: DirectorySpool) -> None:
    async with cheap() as (fakes, decides):
        await sleeps(fakes, decides, directory)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 2)
        fakes.started[1].is_ready(directory.address)
        await fakes.settle()
        is_idle(fakes.started[1])
        await fakes.until(lambda: fakes.started[1].was_stopped)
        assert (fakes.supervisor.wanted, len(fakes.started)) == (0, 2)


async def test_what_has_just_arrived_keeps_it(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.supervisor.cheap.RECENT", 1000.0)
    async with cheap() as (fakes, decides):
        await listens(fakes, decides, directory)
        is_idle(fakes.started[0])
        await fakes.settle()
        assert not fakes.started[0].was_stopped


async def test_one_that_is_needed_stays(directory: DirectorySpool) -> None:
    async with cheap(processes=2) as (fakes, _):
        fakes.started[0].is_ready(directory.address, must_stay=True)
        await fakes.settle()
        is_idle(fakes.started[0])
        await fakes.settle()
        assert not fakes.started[0].was_stopped


async def test_a_spool_that_cannot_be_listened_to_keeps_one() -> None:
    async with cheap() as (fakes, _):
        fakes.started[0].is_ready("memory:")
        await fakes.settle()
        is_idle(fakes.started[0])
        await fakes.settle()
        assert not fakes.started[0].was_stopped


async def test_load_brings_more_up_to_all(directory: DirectorySpool) -> None:
    async with cheap(processes=3) as (fakes, decides):
        await listens(fakes, decides, directory)
        for count in (1, 2, 3):
            await fakes.until(lambda count=count: len(fakes.started) == count)  # type: ignore[misc]  # bound early
            await fakes.settle()
            assert len(fakes.started) == count, "the last one is not there yet"
            fakes.started[-1].is_ready(directory.address)
            fakes.started[-1].says(Load(saturated=True))
        await fakes.settle()
        assert len(fakes.started) == 3
        fakes.started[0].says(Load(saturated=False))
        is_idle(fakes.started[2])
        await fakes.until(lambda: fakes.started[2].was_stopped)
        assert fakes.supervisor.wanted == 2


async def test_a_worker_that_dies_while_it_is_wanted_is_replaced(directory: DirectorySpool) -> None:
    async with cheap() as (fakes, decides):
        await listens(fakes, decides, directory)
        fakes.started[0].end(-9)
        await fakes.until(lambda: len(fakes.started) == 2)
        assert (fakes.supervisor.wanted, fakes.supervisor.deaths) == (1, 1)
