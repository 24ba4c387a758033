"""Job: what a running function sees, its log lines, and which one is current where."""

import asyncio
import contextvars
import logging
from typing import Any

import pytest

from aspool import Job, current_job
from aspool.job import enter_job


def test_a_detached_job_takes_progress_and_says_nothing() -> None:
    job = Job.detached("app.task")
    job.progress(1, 10, "decoding")
    assert (job.id, job.task, job.attempt, job.retries_left) == ("", "app.task", 1, 0)
    assert repr(job) == "<Job detached app.task attempt 1>"


def test_progress_goes_to_the_report() -> None:
    heard: list[Any] = []
    job = Job("abc", "app.task", attempt=2, report=lambda *told: heard.append(told))
    job.progress(1)
    job.progress(2, 3, "x")
    assert heard == [(1, None, ""), (2, 3, "x")]


def test_at_and_retries_left_may_be_set_and_nothing_else_may_be_added() -> None:
    job = Job("abc", "app.task")
    job.at = 5.0
    job.retries_left = 7
    assert (job.at, job.retries_left) == (5.0, 7)
    with pytest.raises(AttributeError):
        job.note = "x"  # type: ignore[attr-defined]  # the point of it


def test_log_lines_say_whose_they_are(caplog: pytest.LogCaptureFixture) -> None:
    job = Job("abc", "app.task", attempt=2)
    with caplog.at_level(logging.INFO, logger="aspool.job"):
        job.log.info("sent %d of %d", 1, 2, extra={"customer": "Ann"})
    record: Any = caplog.records[0]
    assert record.getMessage() == "[app.task abc #2] sent 1 of 2"
    assert (record.aspool_id, record.aspool_task, record.aspool_attempt) == ("abc", "app.task", 2)
    assert record.customer == "Ann"


def test_no_job_is_current_outside_of_one() -> None:
    with pytest.raises(LookupError, match="no job runs here"):
        contextvars.Context().run(current_job)


def test_each_coroutine_has_its_own_current_job() -> None:
    async def work(id: str) -> str:
        enter_job(Job(id, "app.task"))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(lambda: current_job().id) == id
        return current_job().id

    async def main() -> list[str]:
        return list(await asyncio.gather(*(work(str(number)) for number in range(5))))

    assert asyncio.run(main()) == ["0", "1", "2", "3", "4"]
