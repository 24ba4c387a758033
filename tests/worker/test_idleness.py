"""What a worker says of how busy it is, for whoever lets workers come and go."""

import time
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool, MemorySpool, Spooler, WorkerSettings
from aspool.worker import Worker

from .own_processes import until

pytestmark = pytest.mark.anyio


async def test_idle_and_busy(spooler: Spooler) -> None:
    release = anyio.Event()

    @spooler.task
    async def waits() -> None:
        await release.wait()

    worker = Worker(spooler, WorkerSettings(concurrency=2, frequency=600))
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        began = time.monotonic()
        since = worker.idle_since
        assert since is not None
        assert since <= began
        assert (worker.saturated, worker.next_moment(), worker.must_stay) == (False, None, False)
        await waits.spool()
        await until(lambda: worker.busy == 1 and worker.idle_since is None)
        assert not worker.saturated
        await waits.spool()
        await until(lambda: worker.saturated)
        release.set()
        await until(lambda: worker.idle_since is not None)
        again = worker.idle_since
        assert again is not None
        assert again > began
        later = await waits.using(at=time.time() + 500).spool()
        await until(lambda: worker.next_moment() is not None)
        assert worker.next_moment() == pytest.approx(time.time() + 500, abs=60)
        assert worker.idle_since == again
        assert later
        worker.stop()


async def test_waiting_until_it_is_idle(spooler: Spooler) -> None:
    @spooler.task
    async def naps() -> None:
        await anyio.sleep(0.2)

    await naps.spool()
    worker = Worker(spooler, WorkerSettings(frequency=600))
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        with anyio.fail_after(20):
            await worker.wait_idle(0.1)
        assert worker.runs == 1
        since = worker.idle_since
        assert since is not None
        assert time.monotonic() - since >= 0.1
        worker.stop()


async def test_one_full_spool_is_reason_enough_for_another_worker(tmp_path: Path) -> None:
    release = anyio.Event()
    small, ordered = DirectorySpool(tmp_path / "small", concurrency=1), DirectorySpool(tmp_path / "one", ordered=True)
    spooler = Spooler(MemorySpool(), spools={"small": small, "ordered": ordered})

    @spooler.task
    async def waits() -> None:
        await release.wait()

    worker = Worker(spooler, WorkerSettings(frequency=600))
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        await waits.using(spool="ordered").spool()
        await until(lambda: worker.busy == 1)
        assert not worker.saturated, "another worker could do nothing about an ordered spool"
        await waits.using(spool="small").spool()
        await until(lambda: worker.saturated)
        release.set()
        worker.stop()


@pytest.mark.parametrize(("kind", "stays"), [("timer", False), ("signal", False), ("workers", True), ("files", True)])
async def test_schedules_that_need_a_living_worker(spooler: Spooler, tmp_path: Path, kind: str, stays: bool) -> None:
    if kind == "timer":
        spooler.timer(1000)(_named("scheduled"))
    elif kind == "signal":
        spooler.signal("s")(_named("scheduled"))
    elif kind == "workers":
        spooler.timer(1000, target="workers")(_named("scheduled"))
    else:
        spooler.filemon(tmp_path / "file")(_named("scheduled"))
    worker = Worker(spooler, WorkerSettings(frequency=600))
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        assert worker.must_stay is stays
        moment = worker.next_moment()
        if kind in ("timer", "workers"):
            assert moment == pytest.approx(time.time() + 1000, abs=60)
        else:
            assert moment is None
        worker.stop()


def _named(name: str):  # type: ignore[no-untyped-def]  # a function as any other
    async def function() -> None: ...

    function.__name__ = function.__qualname__ = name
    return function
