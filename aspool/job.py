"""Job: one run of a message, as the running function sees it; and `current_job()`. Its I/O is passed in."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

Report = Callable[[float, float | None, str], None]

logger = logging.getLogger("aspool.job")
_current: ContextVar["Job | None"] = ContextVar("aspool_job", default=None)


def _unheard(done: float, total: float | None, text: str) -> None:
    """Where the progress of a detached job goes."""


class Job:
    """One run of a message.

    `id` of the message, `task` its name, `attempt` counts from 1, `retries_left` after this one,
    `at` the moment it was due (a UNIX timestamp).
    """

    __slots__ = ("_report", "at", "attempt", "id", "retries_left", "task")

    def __init__(
        self, id: str, task: str, *, attempt: int = 1, retries_left: int = 0, at: float = 0.0, report: Report = _unheard
    ) -> None:
        self.id = id
        self.task = task
        self.attempt = attempt
        self.retries_left = retries_left
        self.at = at
        self._report = report

    @classmethod
    def detached(cls, task: str) -> "Job":
        """The job of a direct call, which no spool knows."""
        return cls("", task)

    def __repr__(self) -> str:
        return f"<Job {self.id or 'detached'} {self.task} attempt {self.attempt}>"

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tell how far the job is: shown by the command line, from any process. Costs a few microseconds."""
        self._report(done, total, text)

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose lines carry the id, the task and the attempt."""
        return _JobLogger(logger, {"aspool_id": self.id, "aspool_task": self.task, "aspool_attempt": self.attempt})


class _JobLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: object, kwargs: Any) -> tuple[str, Any]:
        extra = self.extra or {}
        kwargs["extra"] = {**extra, **kwargs.get("extra", {})}
        return f"[{extra['aspool_task']} {extra['aspool_id']} #{extra['aspool_attempt']}] {msg}", kwargs


def current_job() -> Job:
    """The job that runs here. Raises LookupError outside of one."""
    job = _current.get()
    if job is None:
        raise LookupError("no job runs here: current_job() works inside a task that a worker runs")
    return job


def enter_job(job: Job | None) -> None:
    """Make `job` the current one of this context, or none (the worker's part)."""
    _current.set(job)
