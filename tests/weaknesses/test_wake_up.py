"""W12, W15, W16: what is retried waits its time, what is new starts at once, and what runs is not run twice."""

import fcntl

import anyio
import pytest

from aspool import SPOOL_RETRY, DirectorySpool, Job, Spooler
from aspool.worker import running

from .uwsgi_writer import write

pytestmark = pytest.mark.anyio
PATIENCE = 30.0  # seconds; the frequency is ten times as long
FREQUENCY = 300.0


async def test_what_is_to_be_retried_does_not_run_at_each_enqueue(spooler: Spooler) -> None:
    runs = {"again": 0, "new": 0}
    ended = anyio.Event()

    @spooler.task
    async def again() -> object:
        runs["again"] += 1
        return SPOOL_RETRY

    @spooler.task
    async def new() -> None:
        runs["new"] += 1
        if runs["new"] == 30:
            ended.set()

    await again.spool()
    async with running(spooler, frequency=FREQUENCY):
        with anyio.fail_after(PATIENCE):
            for _ in range(30):
                await new.spool()
            await ended.wait()
    assert runs == {"again": 1, "new": 30}


async def test_what_a_busy_worker_did_not_see_come_follows_at_once(spooler: Spooler) -> None:
    order: list[str] = []
    ended = anyio.Event()

    @spooler.task
    async def first() -> None:
        await second.spool()
        order.append("first")

    @spooler.task
    async def second() -> None:
        order.append("second")
        ended.set()

    async with running(spooler, frequency=FREQUENCY, concurrency=1):
        await first.spool()
        with anyio.fail_after(PATIENCE):
            await ended.wait()
    assert order == ["first", "second"]


async def test_what_another_program_writes_in_place_starts_at_once(directory: DirectorySpool) -> None:
    spooler = Spooler(directory)
    found: list[str] = []
    ended = anyio.Event()

    @spooler.handler
    async def handler(variables: dict[str, str]) -> None:
        found.append(variables["from"])
        ended.set()

    async with running(spooler, frequency=FREQUENCY):
        path = directory.path / "uwsgi_spoolfile_on_elsewhere_1_1_123_1795225754_1"
        await anyio.to_thread.run_sync(write, path, {b"from": b"another program"})
        with anyio.fail_after(PATIENCE):
            await ended.wait()
    assert found == ["another program"]


async def test_a_task_may_open_and_close_its_own_file(directory: DirectorySpool) -> None:
    """W16: there this drops the lock, and the next process runs the task a second time."""
    spooler = Spooler(directory)
    ended = anyio.Event()

    @spooler.task(retries=0)
    async def opens(job: Job) -> None:
        (path,) = [found for found in directory.path.glob("uwsgi_spoolfile_on_*") if job.id in found.name]
        path.read_bytes()
        with path.open("r+b") as file, pytest.raises(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as uWSGI tries it
        ended.set()

    async with running(spooler, frequency=FREQUENCY):
        await opens.spool()
        with anyio.fail_after(PATIENCE):
            await ended.wait()
