"""Which job wrote a log line: `task_id`, `task` and `attempt` on every record. How lines look is in `forms`."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from ..job import Job, current_job


class Names(NamedTuple):
    """The job of a log line. Outside of jobs: empty, and attempt 0."""

    task_id: str = ""
    task: str = ""
    attempt: int = 0


NOBODY = Names()


class JobRecord(logging.LogRecord):
    """A log record that knows its job.

    The names join the record's attributes only when it is formatted, so that `extra={"task": …}` of user code stays
    allowed: logging refuses extras whose names are taken. What the code said itself is left as it is.
    """

    __slots__ = ("of_job",)  # no attribute like the others, which are shown and sent
    of_job: Names

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The message; every formatter asks for it before it looks at the attributes."""
        for name, value in names_of(self)._asdict().items():
            self.__dict__.setdefault(name, value)
        return super().getMessage()

    def __getattr__(self, name: str) -> Any:  # for filters, which come before
        if name in Names._fields:
            return getattr(names_of(self), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def names_of(record: logging.LogRecord) -> Names:
    """The job of a record: that of `job.log`, which may be written elsewhere than it was said, or where it was made."""
    told = record.__dict__
    if "aspool_id" in told:
        return Names(str(told["aspool_id"]), str(told.get("aspool_task", "")), told.get("aspool_attempt", 0))
    if isinstance(record, JobRecord):
        return getattr(record, "of_job", NOBODY)
    return Names(*(told.get(name, getattr(NOBODY, name)) for name in Names._fields))


class _Factory:
    """Makes records that know their job, with the factory that was there before."""

    def __init__(self, before: Callable[..., logging.LogRecord]) -> None:
        self._make = JobRecord if before is logging.LogRecord else before
        self.only: Names | None = None  # the job of a process that has one: for its threads, which have no context

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        names = _current_names() or self.only or NOBODY
        if type(record) is JobRecord:
            record.of_job = names
        else:  # somebody else's factory
            record.__dict__.update(names._asdict())
        return record


def _current_names() -> Names | None:
    try:
        job = current_job()
    except LookupError:
        return None
    return _names(job)


def _names(job: Job[Any]) -> Names:
    return Names(job.id, job.task, job.attempt)


def know_jobs() -> None:
    """Let all log records of this process know their job. Costs nothing for lines that no level lets through."""
    if not isinstance(logging.getLogRecordFactory(), _Factory):
        logging.setLogRecordFactory(_Factory(logging.getLogRecordFactory()))


def belongs_to(job: Job[Any]) -> None:
    """This whole process runs one job: lines of threads that the job has started are its own too."""
    know_jobs()
    factory = logging.getLogRecordFactory()
    assert isinstance(factory, _Factory)
    factory.only = _names(job)
