"""Which job wrote a log line."""

import asyncio
import copy
import logging
import pickle
import threading
from collections.abc import Iterator
from logging.handlers import SocketHandler
from typing import Any

import anyio
import pytest
from anyio import to_thread

from aspool import MemorySpool, Spooler, WorkerSettings
from aspool.job import Job
from aspool.observe.job_records import JobRecord, belongs_to, know_jobs, names_of
from aspool.worker import Worker

from .conftest import within

pytestmark = pytest.mark.usefixtures("logging_untouched")
NAMED = logging.Formatter("%(task_id)s|%(task)s|%(attempt)d|%(message)s")


class Heard(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    loggers = [logging.getLogger(name) for name in ("library", "aspool.job")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_a_format_of_ones_own_has_the_job(heard: Heard, job: Job[Any]) -> None:
    know_jobs()
    within(job, logging.getLogger("library").info, "sent %s", 3)
    logging.getLogger("library").info("nobody's")
    assert [NAMED.format(record) for record in heard.records] == [
        "0660c27f0b6f1e4d2c9a31|app.send|2|sent 3",
        "||0|nobody's",
    ]


def test_extras_may_be_called_like_ours(heard: Heard, job: Job[Any]) -> None:
    know_jobs()
    within(job, lambda: logging.getLogger("library").info("x", extra={"task": "wash", "attempt": 7}))
    (record,) = heard.records
    assert NAMED.format(record) == "0660c27f0b6f1e4d2c9a31|wash|7|x"
    assert names_of(record) == (job.id, "app.send", 2)


def test_a_filter_sees_the_job_before_the_format(heard: Heard, job: Job[Any]) -> None:
    know_jobs()
    heard.addFilter(lambda record: record.task == "app.send")  # type: ignore[attr-defined]  # what know_jobs adds
    logging.getLogger("library").info("nobody's")
    within(job, logging.getLogger("library").info, "the job's")
    assert [record.getMessage() for record in heard.records] == ["the job's"]
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        heard.records[0].colour  # type: ignore[attr-defined]  # noqa: B018 - that is the point


def test_what_is_not_formatted_carries_no_names(job: Job[Any]) -> None:
    """Other handlers send all attributes, some pickled, to where there is no aspool."""
    know_jobs()
    record = within(job, logging.getLogRecordFactory(), "library", logging.INFO, "", 1, "x", (), None)
    assert vars(record).keys() == vars(logging.LogRecord("", 0, "", 0, "", None, None)).keys()
    assert b"aspool" not in SocketHandler("", 0).makePickle(record)
    assert names_of(copy.copy(record)) == names_of(pickle.loads(pickle.dumps(record))) == (job.id, "app.send", 2)


def test_a_factory_that_was_there_goes_on(heard: Heard, job: Job[Any]) -> None:
    class Own(logging.LogRecord):
        pass

    logging.setLogRecordFactory(Own)
    know_jobs()
    within(job, logging.getLogger("library").info, "x")
    (record,) = heard.records
    assert type(record) is Own
    assert names_of(record) == (job.id, "app.send", 2)
    assert NAMED.format(record).startswith(job.id)


def test_twice_is_once(heard: Heard) -> None:
    know_jobs()
    factory = logging.getLogRecordFactory()
    know_jobs()
    assert logging.getLogRecordFactory() is factory


def test_the_log_of_a_job_names_it_wherever_it_is_written(heard: Heard, job: Job[Any]) -> None:
    know_jobs()
    job.log.info("half done")  # not in the job's context, as for a line that came from a child process
    assert names_of(heard.records[0]) == (job.id, "app.send", 2)


def test_a_line_that_no_level_lets_through_makes_no_record(heard: Heard, job: Job[Any]) -> None:
    know_jobs()
    made: list[logging.LogRecord] = []
    before = logging.getLogRecordFactory()

    def counting(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made.append(before(*args, **kwargs))
        return made[-1]

    logging.setLogRecordFactory(counting)
    within(job, logging.getLogger("library").debug, "quiet")
    assert made == []
    within(job, logging.getLogger("library").info, "loud")
    assert len(made) == 1


def test_threads_of_a_process_with_one_job_are_its_own(heard: Heard, job: Job[Any]) -> None:
    belongs_to(job)
    thread = threading.Thread(target=logging.getLogger("library").info, args=("from a thread",))
    thread.start()
    thread.join()
    assert names_of(heard.records[0]) == (job.id, "app.send", 2)
    belongs_to(Job("second", "app.other"))
    logging.getLogger("library").info("next job")
    assert names_of(heard.records[1]).task_id == "second"


@pytest.mark.anyio
async def test_in_a_worker(heard: Heard) -> None:
    """Coroutines, their tasks, functions in threads and what they call; each knows its own job."""
    know_jobs()
    spooler = Spooler(MemorySpool())
    library = logging.getLogger("library")

    @spooler.task(name="on_loop")
    async def on_loop(number: int) -> None:
        library.info("loop %d", number)
        await asyncio.gather(asyncio.create_task(deeper(number)), to_thread.run_sync(library.info, "deep %d", number))

    async def deeper(number: int) -> None:
        await anyio.sleep(0)
        library.info("deeper %d", number)

    @spooler.task(name="in_thread")
    def in_thread(number: int) -> None:
        library.info("thread %d", number)

    tickets = {}
    for number in range(20):
        tickets[f"on_loop {number}"] = (await on_loop.spool(number)).id
        tickets[f"in_thread {number}"] = (await in_thread.spool(number)).id
    with anyio.fail_after(60):
        await Worker(spooler, WorkerSettings(burst=True)).run()
    lines = [record for record in heard.records if record.name == "library"]
    assert len(lines) == 80
    for record in lines:
        names, nth = names_of(record), record.getMessage().split()[1]
        assert isinstance(record, JobRecord)
        assert names.task_id == tickets[f"{names.task} {nth}"]
        assert names.attempt == 1
        assert ("thread" in record.getMessage()) == (names.task == "in_thread")
