"""The options of a task and of one call of it, as values, and what is refused among them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .addresses import Address
from .errors import TaskRefused
from .ids import checked_priority
from .moments import Moment
from .retry import Backoff

Executor = Literal["auto", "thread", "process", "inline"]
EXECUTORS = ("auto", "thread", "process", "inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What a task's decorator says. Durations in seconds; None leaves the choice to the worker or the spooler."""

    retries: int = 3
    backoff: Backoff = 1.0
    retry_on: tuple[type[BaseException], ...] | None = None
    harakiri: float | None = None
    priority: int | None = None
    spool: str | None = None
    executor: Executor = "auto"
    keep_result: float | None = None
    concurrency: int | None = None
    working_dir: str | os.PathLike[str] | None = None

    def check(self, task: str) -> None:
        """Raises TaskRefused, naming the task and the option."""
        if not _is_whole(self.retries, least=0):
            raise TaskRefused(f"{task}: retries must be a whole number from 0, not {self.retries!r}")
        if not callable(self.backoff) and not _is_number(self.backoff, least=0):
            raise TaskRefused(f"{task}: backoff must be seconds from 0, or a callable, not {self.backoff!r}")
        for option, seconds in (("harakiri", self.harakiri), ("keep_result", self.keep_result)):
            if seconds is not None and not (_is_number(seconds, least=0) and seconds):
                raise TaskRefused(f"{task}: {option} must be a number of seconds, more than 0, not {seconds!r}")
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.retry_on or ()):
            raise TaskRefused(f"{task}: retry_on must be exception classes, not {self.retry_on!r}")
        checked_priority(self.priority)
        self._check_running(task)

    def _check_running(self, task: str) -> None:
        if self.executor not in EXECUTORS:
            raise TaskRefused(f"{task}: executor must be one of {', '.join(EXECUTORS)}, not {self.executor!r}")
        if self.concurrency is not None and not _is_whole(self.concurrency, least=1):
            raise TaskRefused(f"{task}: concurrency must be a whole number from 1, not {self.concurrency!r}")
        if self.working_dir is not None and self.executor != "process":
            raise TaskRefused(
                f'{task}: working_dir needs executor="process": a process has one working directory, which all jobs '
                "on its event loop and in its threads share"
            )


def options_of(task: str, **options: Any) -> TaskOptions:
    """The options of a decorator. Raises TaskRefused for one that does not exist."""
    known = {option.name for option in fields(TaskOptions)}
    if unknown := options.keys() - known:
        there_are = ", ".join(sorted(known | {"name"}))
        raise TaskRefused(f"{task}: a task has no option {', '.join(sorted(unknown))}; there are {there_are}")
    return TaskOptions(**options)


def _is_number(value: object, *, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What `.using(…)` changes for one call."""

    at: Moment | None = None
    priority: int | None = None
    id: str | None = None
    expires: Moment | None = None
    spool: Address | None = None
    buffer: Mapping[str, Any] = field(default_factory=dict)
    # These travel with the message: retries, backoff, harakiri, keep_result, working_dir.
    per_message: Mapping[str, Any] = field(default_factory=dict)


PLAIN_CALL = CallOptions()
