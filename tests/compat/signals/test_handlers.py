"""How handlers of signals are called, written down, and found by another process."""

import functools
import threading
from typing import Any

import pytest

from aspool.compat.signals import handlers


def plain(number: int) -> None:
    """At the top of a module."""


class Timer:
    """As those of uwsgi_tasks: a picklable object that says which function it is for."""

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name

    def signal_handler(self, number: int) -> tuple[str, int]:
        """What is registered."""
        return self.function_name, number


class Decorated:
    """What a decorator of uWSGI leaves in the place of a function."""

    def __init__(self, f: Any) -> None:
        self.f = f


def spooled(number: int) -> int:
    """Decorated below."""
    return number


function = spooled
spooled = Decorated(spooled)  # type: ignore[assignment]  # as a decorator does


def test_names() -> None:
    assert handlers.name_of(plain) == f"{__name__}.plain"
    assert handlers.name_of(Timer("jobs.tick").signal_handler) == "jobs.tick"
    assert handlers.name_of([].append) == "builtins.builtin_function_or_method"
    assert handlers.name_of(functools.partial(plain)) == "functools.partial"
    assert len(handlers.name_of(Timer("x" * 500).signal_handler)) == handlers.LONGEST_NAME


def test_a_function_is_known_by_its_place() -> None:
    assert handlers.written(plain) == f"name {__name__}:plain".encode()
    assert handlers.place_in(handlers.written(plain)) == handlers.place_of(plain) == f"{__name__}:plain"
    assert handlers.read(handlers.written(plain)) is plain
    assert handlers.place_of(Timer.signal_handler) == f"{__name__}:Timer.signal_handler"


def test_the_function_under_a_decorator_is_found() -> None:
    assert handlers.read(handlers.written(function)) is function


def test_a_method_travels_with_its_object() -> None:
    written = handlers.written(Timer("jobs.tick").signal_handler)
    assert handlers.place_in(written) == ""
    assert handlers.read(written)(7) == ("jobs.tick", 7)


@pytest.mark.parametrize("handler", [lambda number: number, threading.Lock().__enter__])
def test_what_cannot_be_found_is_refused(handler: Any) -> None:
    with pytest.raises(ValueError, match="cannot be found by another process, which is to run it"):
        handlers.written(handler)
