"""Children: what a program forks in a task ends where its function ends, and never goes on as a second worker."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


@contextmanager
def ended_children() -> Iterator[None]:
    """Around each call of a function of the program. A child that comes out of it ends at once, as Python would end it.

    It would answer for its parent's task else, with descriptors that are the parent's too. Nothing of what the worker
    runs at its own end is run: that is not the child's.
    """
    pid = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != pid:
            _end(error)
        raise
    if os.getpid() != pid:
        _end(None)


def _end(error: BaseException | None) -> NoReturn:
    code = 1
    try:
        code = _told(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or full
                stream.flush()
    finally:
        os._exit(code)


def _told(error: BaseException | None) -> int:
    """The exit code, once it has been said why, as Python does at its end."""
    value = error.code if isinstance(error, SystemExit) else None
    if isinstance(value, int):
        return value & 0xFF
    if error is None or (isinstance(error, SystemExit) and value is None):
        return 0
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{value}\n")
    else:
        sys.excepthook(type(error), error, error.__traceback__)
    return 1
