"""A worker ends for its age, its memory or its runs, and says why, and whether another should follow."""

import anyio
import pytest

from aspool import CallError, Spooler, WorkerSettings
from aspool.worker import Worker, recycling
from aspool.worker.recycling import MB, Recycling

pytestmark = pytest.mark.anyio


async def test_it_ends_for_its_runs(spooler: Spooler) -> None:
    @spooler.task
    async def task() -> None: ...

    for _ in range(5):
        await task.spool()
    worker = Worker(spooler, WorkerSettings(max_tasks=3))
    with anyio.fail_after(20):
        await worker.run()
    assert (worker.runs, worker.stop_reason, worker.wants_successor) == (3, "max_tasks=3 is reached", True)


async def test_it_ends_for_its_memory_when_a_job_has_ended(spooler: Spooler) -> None:
    @spooler.task
    async def task() -> None: ...

    await task.spool()
    worker = Worker(spooler, WorkerSettings(max_rss=1))
    with anyio.fail_after(20):
        await worker.run()
    assert worker.wants_successor
    assert worker.stop_reason.startswith("max_rss=1 MB is reached: its process takes ")


async def test_it_ends_for_its_age(spooler: Spooler) -> None:
    worker = Worker(spooler, WorkerSettings(max_age=0.05))
    with anyio.fail_after(20):
        await worker.run()
    assert worker.wants_successor
    assert worker.stop_reason.startswith("max_age=0.05 s is reached")


async def test_who_was_asked_to_stop_wants_no_successor(spooler: Spooler) -> None:
    worker = Worker(spooler, WorkerSettings(max_age=1000, max_rss=1_000_000))
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        worker.stop("SIGTERM")
        worker._recycle("max_age is reached too")
    assert (worker.stop_reason, worker.wants_successor) == ("SIGTERM", False)


async def test_a_burst_wants_no_successor(spooler: Spooler) -> None:
    worker = Worker(spooler, WorkerSettings(burst=True))
    await worker.run()
    assert (worker.stop_reason, worker.wants_successor) == ("the burst is over", False)


@pytest.mark.parametrize("option", ["max_tasks", "max_rss", "max_age"])
def test_an_embedded_worker_refuses_to_end(spooler: Spooler, option: str) -> None:
    with pytest.raises(CallError, match=f"{option} is for `aspool worker`"):
        Worker(spooler, WorkerSettings().changed(**{option: 5}), embedded=True)


async def test_ages_differ_by_a_tenth() -> None:
    seconds = []
    now = anyio.current_time()
    for _ in range(50):
        one = Recycling(WorkerSettings(max_age=100), lambda _: None)
        one.begin()
        assert one._timer is not None
        seconds.append(one._timer.when() - now)
        one.close()
    assert 89 < min(seconds) < 100 < max(seconds) < 112


def test_the_memory_is_looked_at_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    reasons: list[str] = []

    def memory() -> int:
        looks.append(1)
        return 5 * MB

    monkeypatch.setattr(recycling, "memory", memory)
    one = Recycling(WorkerSettings(max_rss=5), reasons.append)
    assert one.at_end is not None
    for _ in range(100):
        one.at_end()
    assert (len(looks), reasons) == (1, [])
    assert Recycling(WorkerSettings(), reasons.append).at_end is None


def test_the_memory_of_this_process() -> None:
    before = recycling.memory()
    much = bytearray(64 * MB)
    much[::4096] = b"x" * len(much[::4096])
    assert recycling.memory() - before > 32 * MB
