"""A job that sets its own harakiri: earlier, later, or none, also where it began without one."""

import threading
from typing import Any

import anyio
import pytest

from aspool import Job, Spooler
from aspool.errors import CallError
from aspool.testing import drain

pytestmark = pytest.mark.anyio
SOON = 0.05  # seconds


async def outcome_of(spooler: Spooler, function: Any, **options: Any) -> str:
    """How one job of a function ends, in words."""
    task = spooler.task(retries=0, **options)(function)
    await task.spool()
    (ran,) = await drain(spooler)
    return f"{ran.state}: {ran.reason}"


async def stuck(job: Job) -> None:
    job.set_harakiri(SOON)
    await anyio.sleep_forever()


@pytest.mark.parametrize("options", [{}, {"harakiri": 60.0}])
async def test_a_coroutine_is_stopped_then(spooler: Spooler, options: dict[str, Any]) -> None:
    assert await outcome_of(spooler, stuck, **options) == "dead: harakiri: it was stopped after 0.05 s"


async def test_a_later_one_counts_from_now(spooler: Spooler) -> None:
    async def patient(job: Job) -> None:
        job.set_harakiri(60)
        await anyio.sleep(3 * SOON)

    assert await outcome_of(spooler, patient, harakiri=SOON) == "done: "


@pytest.mark.parametrize("options", [{}, {"harakiri": SOON}])
async def test_none_takes_it_back(spooler: Spooler, options: dict[str, Any]) -> None:
    async def patient(job: Job) -> None:
        job.set_harakiri(SOON)
        job.set_harakiri(None)
        await anyio.sleep(3 * SOON)

    assert await outcome_of(spooler, patient, **options) == "done: "


async def test_the_next_job_in_the_same_place_is_not_hit(spooler: Spooler) -> None:
    @spooler.task
    async def quick(job: Job) -> None:
        job.set_harakiri(SOON)

    @spooler.task
    async def patient() -> None:
        await anyio.sleep(3 * SOON)

    await quick.using(priority=0).spool()
    await patient.using(priority=1).spool()
    assert [ran.state for ran in await drain(spooler, concurrency=1)] == ["done", "done"]


async def test_a_function_in_a_thread_sets_it_too(spooler: Spooler) -> None:
    release = threading.Event()

    def stuck_in_thread(job: Job) -> None:
        job.set_harakiri(SOON)
        release.wait(60)

    async with anyio.create_task_group() as group:
        group.start_soon(_release_later, release)
        said = await outcome_of(spooler, stuck_in_thread, harakiri=60.0)
    assert said == "done: ", "it is waited for, and has ended"


async def _release_later(release: threading.Event) -> None:
    await anyio.sleep(4 * SOON)
    release.set()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
async def test_what_is_no_duration_is_refused(spooler: Spooler, seconds: float) -> None:
    async def wrong(job: Job) -> None:
        with pytest.raises(CallError, match="the harakiri of a job is more than 0 seconds"):
            job.set_harakiri(seconds)

    assert await outcome_of(spooler, wrong) == "done: "


async def test_a_direct_call_has_none() -> None:
    Job.detached("t").set_harakiri(5)
