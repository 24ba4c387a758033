"""Calling: how a task of aspool calls the function of a program: in a thread, or on the event loop's own."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from ...outcomes import Bury
from ..children import ended_children
from ..loops import hidden_loop
from ..program import Program
from ..unix_signals import kept_signals
from .registry import Signal


def in_its_way(program: Program, function: Callable[..., None]) -> Callable[..., Any]:
    """A function as a task's: in a program that runs in the main thread it blocks the event loop there."""
    if not program.in_main_thread:
        return function

    @wraps(function)
    async def on_the_loop(*args: Any, **kwargs: Any) -> None:
        with hidden_loop(), kept_signals():
            function(*args, **kwargs)

    return on_the_loop


def call(signal: Signal) -> None:
    """Call a handler with its number. Raises what it raises, and Bury for one that cannot be found here."""
    try:
        handler = signal.handler()
    except Exception as error:  # whatever its module raises
        raise Bury(
            f"the handler {signal.name} of signal {signal.number} cannot be found here ({error}): import its module in "
            f"the workers (--uwsgi), or end it: aspool schedules remove {signal.schedule}"
        ) from error
    with ended_children():
        handler(signal.number)
