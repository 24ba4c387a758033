"""What a handler of uWSGI runs now: the job, and the body of its message, for the functions that it calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ...body import Body
from ...job import Job


@dataclass(frozen=True, slots=True)
class Current:
    """One message while `uwsgi.spooler` has it. `name` is what its file is called (`spooler_task_name`)."""

    job: Job[Any]
    body: Body
    name: str


_current: ContextVar[Current | None] = ContextVar("aspool_uwsgi_current", default=None)


def current() -> Current | None:
    """What runs in this thread; None outside of a handler."""
    return _current.get()


@contextmanager
def entered(message: Current) -> Iterator[None]:
    """Make it the current one, as long as the block lasts."""
    token = _current.set(message)
    try:
        yield
    finally:
        _current.reset(token)
