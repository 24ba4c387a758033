"""Signals of Unix: those by which a worker is told to stop stay its own, whatever a task does with them."""

import os
import signal
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # that of `signal` takes 2 µs, to look up enums
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_OF_THE_WORKER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_kept: list[tuple[int, Any]] = []  # while a task runs: what they had before


@contextmanager
def kept_signals() -> Iterator[None]:
    """Around a call of the program in the thread of the event loop: its handlers hold until it ends.

    A loop that it runs, and signal.signal, leave others, or none; and the first takes away what wakes the worker's.
    """
    if threading.current_thread() is not threading.main_thread():  # no other has any
        yield
        return
    before = [(number, getsignal(number)) for number in _OF_THE_WORKER]
    wakes = signal.set_wakeup_fd(-1)  # nobody sleeps meanwhile
    _kept[:] = before
    try:
        yield
    finally:
        _kept.clear()
        for number, handler in before:
            if handler is not None and getsignal(number) is not handler:  # None: not Python's, cannot be set
                signal.signal(number, handler)
        with suppress(OSError, ValueError):  # the task has closed it, and all that was the worker's
            signal.set_wakeup_fd(wakes)


def _let_children_end() -> None:
    """In a child that a task has forked: the worker's handlers are for the worker, here they would end nothing."""
    for number, handler in _kept:
        if callable(handler) and getsignal(number) is handler:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _kept.clear()


os.register_at_fork(after_in_child=_let_children_end)
