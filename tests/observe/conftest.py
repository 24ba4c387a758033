"""Logging as it is in a new process, for tests that ask for the fixture `logging_untouched`."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from aspool.job import Job, enter_job
from aspool.observe.logs import _set_up_child


@pytest.fixture
def logging_untouched() -> None:
    """The name that the hook below looks for: pytest adds its own handlers after the fixtures were made."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    if "logging_untouched" not in pyfuncitem.fixturenames:
        return (yield)
    with _untouched():
        return (yield)


@contextmanager
def _untouched() -> Iterator[None]:
    root, ours, factory = logging.root, logging.getLogger("aspool"), logging.getLogRecordFactory()
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    root.handlers[:] = []
    logging.setLogRecordFactory(logging.LogRecord)
    _set_up_child.cache_clear()
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        ours.setLevel(our_level)
        logging.setLogRecordFactory(factory)


@pytest.fixture
def job() -> Job[Any]:
    return Job("0660c27f0b6f1e4d2c9a31", "app.send", attempt=2)


def within(job: Job[Any], function: Any, *args: Any) -> Any:
    """Call a function as the job that runs here."""

    def call() -> Any:
        enter_job(job)
        return function(*args)

    return copy_context().run(call)
