"""What a job changes of what comes: its buffer, its retries, its moment, its harakiri, itself again."""

import time
from datetime import timedelta
from typing import Any

import anyio
import pytest

from aspool import SPOOL_RETRY, DirectorySpool, Job, Spooler
from aspool.outcomes import Buried, Done, PutOff

from .bursts import burst

pytestmark = pytest.mark.anyio


async def test_the_buffer_travels_to_the_next_attempt(spooler: Spooler) -> None:
    seen: list[Any] = []

    @spooler.task(backoff=0)
    async def work(job: Job) -> None:
        seen.append(dict(job.buffer))
        job.buffer["pages"] = [*job.buffer.get("pages", []), job.attempt]
        if job.attempt < 4:
            raise ValueError

    await work.using(buffer={"from": "caller"}).spool()
    await burst(spooler)
    assert seen == [{"from": "caller"} | ({"pages": list(range(1, n))} if n > 1 else {}) for n in range(1, 5)]


async def test_an_uncounted_retry_keeps_it_too(spooler: Spooler) -> None:
    seen: list[Any] = []

    @spooler.task
    def work(job: Job) -> Any:
        seen.append(job.buffer.get("n", 0))
        job.buffer["n"] = len(seen)
        return SPOOL_RETRY if len(seen) < 3 else None

    await work.spool()
    while len(seen) < 3:  # each is due a moment later
        await burst(spooler, frequency=0.001)
    assert seen == [0, 1, 2]


async def test_a_buffer_over_its_limit_buries(spooler: Spooler) -> None:
    @spooler.task(backoff=0)
    async def work(job: Job) -> None:
        job.buffer["text"] = "x" * 40_000
        raise ValueError("once more")

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)
    assert outcome.reason == (
        "ValueError: once more; it cannot run again: the buffer of a job takes 40012 bytes as JSON, "
        "at most 32768 travel"
    )


async def test_a_job_may_end_its_retries_or_get_more(spooler: Spooler) -> None:
    @spooler.task(backoff=0, retries=5)
    async def gives_up(job: Job) -> None:
        job.retries_left = 0
        raise ValueError

    @spooler.task(backoff=0, retries=0)
    async def goes_on(job: Job) -> None:
        if job.attempt == 1:
            job.retries_left = 2
        raise ValueError(f"{job.retries_left} left")

    await gives_up.spool()
    assert [type(outcome) for outcome in await burst(spooler)] == [Buried]
    await goes_on.spool()
    outcomes = await burst(spooler)
    assert [type(outcome) for outcome in outcomes] == [PutOff, PutOff, Buried]
    assert [getattr(outcome, "reason", "") for outcome in outcomes] == [
        "ValueError: 2 left", "ValueError: 1 left", "ValueError: 0 left"
    ]  # fmt: skip


async def test_a_job_says_when_it_runs_again(spooler: Spooler) -> None:
    moment = time.time() + 3600

    @spooler.task
    async def work(job: Job) -> None:
        job.at = moment
        raise ValueError

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, PutOff)
    assert outcome.due == moment


async def test_again_spools_the_task_with_the_buffer(spooler: Spooler) -> None:
    seen: list[Any] = []

    @spooler.task
    async def pages(job: Job, number: int) -> None:
        seen.append((number, dict(job.buffer)))
        job.buffer[f"page{number}"] = True
        if number < 3:
            await job.again(number + 1)

    @spooler.task(priority=4)
    def blocking(job: Job, left: int) -> None:
        seen.append(left)
        if left:
            job.at = timedelta(0)
            job.again_sync(left=left - 1)

    await pages.spool(1)
    assert await burst(spooler) == [Done(), Done(), Done()]
    assert seen == [(1, {}), (2, {"page1": True}), (3, {"page1": True, "page2": True})]
    seen.clear()
    await blocking.spool(2)
    await burst(spooler)
    assert seen == [2, 1, 0]


async def test_a_job_gets_more_time(spooler: Spooler) -> None:
    @spooler.task(harakiri=0.1, retries=0)
    async def slow(job: Job, more: float) -> None:
        if more:
            job.extend(more)
        await anyio.sleep(0.4)

    @spooler.task(harakiri=0.1, retries=0)
    def in_thread(job: Job) -> None:
        job.extend(30)
        time.sleep(0.3)

    await slow.spool(30)
    await in_thread.spool()
    assert await burst(spooler) == [Done(), Done()]
    await slow.spool(0)
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)


async def test_the_last_lines_of_a_dead_tasks_log_are_kept(directory: DirectorySpool) -> None:
    spooler = Spooler(directory)

    @spooler.task(retries=0)
    def work(job: Job) -> None:
        job.log.info("reading %s", "a.txt")
        raise ValueError

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)
    assert [line.split(" ", 1)[1] for line in outcome.log] == ["INFO reading a.txt"]
    (dead,) = directory.browse(frozenset({"dead"}))
    assert list(directory.read(dead).history["log"]) == list(outcome.log)
