"""Loops: a program of uWSGI that runs in the thread of an event loop does not see that one is there."""

from asyncio import AbstractEventLoop, _get_running_loop, _set_running_loop, events  # the two: for who hides a loop
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

# Deprecated in 3.14 under its public name; what is in it stays until 3.16.
_policy = getattr(events, "_get_event_loop_policy", None) or events.get_event_loop_policy


class _Thread(local):
    loop: AbstractEventLoop | None = None  # the hidden one

    def __init__(self) -> None:
        self.current: dict[str, Any] = {}  # what the program's asyncio.get_event_loop() knows


_thread = _Thread()


@contextmanager
def hidden_loop() -> Iterator[None]:
    """Around a call of the program. Django, for one, refuses to use a database where a loop runs; and it may run one.

    The loop waits meanwhile, as it does for any call that blocks it. What the program has as its current loop, by
    asyncio.set_event_loop or get_event_loop, is there again at the next call.
    """
    before, _thread.loop = _thread.loop, _get_running_loop()
    _set_running_loop(None)
    try:
        with _own_current_loop():
            yield
    finally:
        _set_running_loop(_thread.loop)
        _thread.loop = before


@contextmanager
def _own_current_loop() -> Iterator[None]:
    """A policy notes the current loop of each thread, and whether one was set: here, that of the program."""
    noted = getattr(_policy(), "_local", None)
    if noted is None or _thread.loop is None:  # somebody's own policy; or there is no loop to hide
        yield
        return
    of_this_thread = vars(noted)
    before = _exchanged(of_this_thread, _thread.current)
    try:
        yield
    finally:
        _thread.current = _exchanged(of_this_thread, before)


def _exchanged(values: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put others in their place; those that were there."""
    before = dict(values)
    values.clear()
    values.update(new)
    return before


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
