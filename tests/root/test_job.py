"""Job: what a running function sees, its log lines, and which one is current where."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from aspool import CallError, Job, MomentRefused, Progress, Ticket, current_job
from aspool.job import Again, enter_job
from aspool.message import Firing
from aspool.outcomes import Changes


class Side:
    """A worker's side that remembers what it was asked."""

    def __init__(self, *, writes: bool = False) -> None:
        self.heard: list[Any] = []
        self.writes = writes
        self.resources = "the pool"

    def progressed(self, progress: Progress) -> None:
        self.heard.append(progress)

    def set_harakiri(self, seconds: float | None) -> None:
        self.heard.append(("harakiri", seconds))

    def extend(self, seconds: float) -> None:
        self.heard.append(seconds)

    def logged(self, level: int, text: str) -> bool:
        self.heard.append((level, text))
        return self.writes

    def again(self, job: Job[Any]) -> Again:
        return Spooling(job)


class Spooling:
    """The task of a job, to be spooled again."""

    def __init__(self, job: Job[Any]) -> None:
        self.job = job

    async def spool(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        return self.spool_sync(*args, **kwargs)

    def spool_sync(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        return Ticket(f"{args} {kwargs} {self.job.buffer} {self.job.next_at}")


def test_a_detached_job_takes_progress_and_says_nothing() -> None:
    job = Job.detached("app.task")
    job.progress(1, 10, "decoding")
    assert (job.id, job.task, job.attempt, job.retries_left) == ("", "app.task", 1, 0)
    assert repr(job) == "<Job detached app.task attempt 1>"


def test_progress_goes_to_the_report() -> None:
    side = Side()
    job = Job("abc", "app.task", attempt=2, side=side)
    job.progress(1)
    job.progress(2, 3, "x")
    assert side.heard == [Progress(1, None, ""), Progress(2, 3, "x")]


def test_at_and_retries_left_may_be_set_and_nothing_else_may_be_added() -> None:
    job = Job("abc", "app.task")
    job.at = 5.0
    job.retries_left = 7
    assert (job.at, job.retries_left) == (5.0, 7)
    with pytest.raises(AttributeError):
        job.note = "x"  # type: ignore[attr-defined]  # the point of it


def test_what_nobody_changed_is_no_change() -> None:
    job = Job("abc", "app.task", attempt=2, retries_left=2, buffer={"page": 1})
    assert job.buffer == {"page": 1}
    assert job.changes(3, {}) is None
    job.buffer["page"] = 2
    assert job.changes(3, {}) == Changes({"page": 2}, None)
    assert job.changes(3, {"retries": 3}) == Changes({"page": 2}, 3), "an earlier run set it"


def test_retries_that_were_set_are_reckoned_from_here() -> None:
    job = Job("abc", "app.task", attempt=2, retries_left=2, buffer={"page": 1})
    job.retries_left = 5
    assert job.changes(3, {}) == Changes({"page": 1}, 6)
    job.retries_left = 0
    assert job.changes(3, {}) == Changes({"page": 1}, 1)


def test_a_buffer_is_no_part_of_the_message() -> None:
    given = {"pages": [1]}
    job = Job("abc", "app.task", buffer=given)
    job.buffer["pages"].append(2)
    assert given == {"pages": [1]}


def test_at_may_be_any_moment() -> None:
    job = Job("abc", "app.task", at=5.0)
    assert (job.at, job.next_at) == (5.0, None)
    job.at = datetime(2030, 1, 1, tzinfo=UTC)
    assert job.at == job.next_at == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    with pytest.raises(MomentRefused, match="naive"):
        job.at = datetime(2030, 1, 1)
    assert job.at == job.next_at == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def test_again_hands_on_the_buffer_and_the_moment() -> None:
    job = Job("abc", "app.task", side=Side())
    job.buffer["n"] = 1
    job.at = 7.0
    assert job.again_sync(1, b=2).id == "(1,) {'b': 2} {'n': 1} 7.0"
    assert asyncio.run(job.again(1)).id == "(1,) {} {'n': 1} 7.0"
    with pytest.raises(LookupError, match=r"a direct call of app\.task is no message"):
        Job.detached("app.task").again_sync()


def test_resources_are_the_workers() -> None:
    assert Job("abc", "app.task", side=Side()).resources == "the pool"
    with pytest.raises(LookupError, match="a direct call has no worker"):
        _ = Job.detached("app.task").resources


def test_a_job_that_is_kept_after_its_end_speaks_for_nobody() -> None:
    side = Side()
    job = Job("abc", "app.task", side=side)
    job.leave_side()
    job.progress(1)
    assert side.heard == []
    with pytest.raises(LookupError, match=r"a run that has ended of app\.task is no message"):
        job.again_sync()


def test_tracked_items_tell_how_far_the_job_is() -> None:
    side = Side()
    job = Job("abc", "app.task", side=side)
    assert list(job.track("abc", text="letters")) == ["a", "b", "c"]
    assert side.heard[0] == Progress(0, 3, "letters")
    assert side.heard[-1] == Progress(3, 3, "letters")
    assert list(job.track(iter("ab"), total=2)) == ["a", "b"]
    assert side.heard[-1] == Progress(2, 2, "")
    assert list(job.track(x for x in "ab")) == ["a", "b"]
    assert side.heard[-1] == Progress(2, None, "")


def test_async_items_are_tracked_and_sync_ones_in_async_for() -> None:
    async def letters() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def main(job: Job[Any]) -> list[str]:
        return [x async for x in job.track(letters())] + [x async for x in job.track(["c"])]

    side = Side()
    assert asyncio.run(main(Job("abc", "app.task", side=side))) == ["a", "b", "c"]
    assert side.heard[-1] == Progress(1, 1, "")
    with pytest.raises(TypeError, match="async for"):
        list(Job("abc", "app.task").track(letters()))


def test_the_last_lines_of_a_log_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    job = Job("abc", "app.task")
    assert not job.lines
    for number in range(60):
        job.log.info("line %d", number)
    job.log.debug("nobody asked for it")
    assert len(job.lines) == 50
    assert job.lines[-1].endswith(" INFO line 59")
    try:
        raise ValueError("no such customer")
    except ValueError:
        job.log.exception("it failed with %s", "a % sign")
    assert "ERROR it failed with a % sign\nTraceback" in job.lines[-1]


def test_a_line_that_cannot_be_formatted_is_kept_as_it_is() -> None:
    job = Job("abc", "app.task", side=Side(writes=True))
    job.log.warning("wrong %d arguments", "x")
    assert job.lines[0].endswith("WARNING wrong %d arguments ('x',)")


def test_lines_that_are_written_elsewhere_are_not_written_here(caplog: pytest.LogCaptureFixture) -> None:
    side = Side(writes=True)
    Job("abc", "app.task", side=side).log.warning("%d left", 3)
    assert side.heard == [(logging.WARNING, "3 left")]
    assert caplog.records == []


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


@pytest.mark.parametrize("count", [-1, 2.0, float("inf"), True, "3", None])
def test_retries_left_is_a_whole_number(count: Any) -> None:
    job = Job("abc", "app.task", retries_left=2)
    with pytest.raises(CallError, match="retries_left must be a whole number from 0"):
        job.retries_left = count
    assert job.retries_left == 2


def test_progress_is_refused_where_it_is_told() -> None:
    side = Side()
    job = Job("abc", "app.task", side=side)
    for wrong in ("half", None):
        with pytest.raises((TypeError, ValueError)):
            job.progress(wrong)  # type: ignore[arg-type]  # the point of it
    assert side.heard == []


class Uncomparable:
    """As an array of numbers is."""

    __hash__ = None  # type: ignore[assignment]  # as those have none

    def __eq__(self, other: object) -> bool:
        raise ValueError("which of them?")


def test_a_buffer_that_cannot_be_compared_has_changed() -> None:
    job = Job("abc", "app.task", buffer={"a": 1})
    job.buffer["a"] = Uncomparable()
    changes = job.changes(0, {})
    assert changes is not None
    assert isinstance(changes.buffer["a"], Uncomparable)


def test_the_moment_for_which_it_runs() -> None:
    moment = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    for zone, shown in (("Europe/Paris", "2026-11-22 02:30:00+01:00"), ("UTC", "2026-11-22 01:30:00+00:00")):
        job = Job("a", "t", firing=Firing("nightly", moment.timestamp(), zone))
        assert job.scheduled_for == moment
        assert str(job.scheduled_for) == shown
    assert Job("a", "t").scheduled_for is None, "no schedule spooled it"


@pytest.mark.parametrize("zone", ["", "Mars/Phobos", "../../etc/passwd", "/etc/passwd", "a\0b", "☠", "x" * 5000, "."])
def test_a_zone_that_is_none_here_is_told_as_utc(zone: str) -> None:
    job = Job("a", "t", firing=Firing("nightly", 1_790_000_000.5, zone))
    assert str(job.scheduled_for) == "2026-09-21 14:13:20.500000+00:00"
