"""Loops: a program of uWSGI that runs in the thread of an event loop does not see that one is there."""

from asyncio import AbstractEventLoop, _get_running_loop, _set_running_loop  # for event loops, and who hides one
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local


class _Thread(local):
    loop: AbstractEventLoop | None = None  # the hidden one


_thread = _Thread()


@contextmanager
def hidden_loop() -> Iterator[None]:
    """Around a call of the program. Django, for one, refuses to use a database where a loop runs; and it may run one.

    The loop waits meanwhile, as it does for any call that blocks it.
    """
    before, _thread.loop = _thread.loop, _get_running_loop()
    _set_running_loop(None)
    try:
        yield
    finally:
        _set_running_loop(_thread.loop)
        _thread.loop = before


@contextmanager
def shown_loop() -> Iterator[None]:
    """Around what aspool itself does with the loop on behalf of such a call."""
    if _thread.loop is None or _get_running_loop() is not None:
        yield
        return
    _set_running_loop(_thread.loop)
    try:
        yield
    finally:
        _set_running_loop(None)
