"""The one portal through which whatever awaits has a blocking form: an event loop in a thread, while it is needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from .errors import CallError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortalProvider

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@cache
def _portal() -> "BlockingPortalProvider":
    from anyio.from_thread import BlockingPortalProvider

    return BlockingPortalProvider()


def _check_thread() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise CallError("a blocking form would stop this thread's event loop: await the other form instead of .sync")


def call(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Await a coroutine function's call, and block meanwhile. Raises CallError in a thread that runs an event loop."""
    _check_thread()
    with _portal() as portal:
        return portal.call(function, *args)


def iterate(items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """The items of an async iterator, one after another. Raises CallError in a thread that runs an event loop."""
    _check_thread()
    with _portal() as portal:
        iterator = items()
        try:
            while True:
                try:
                    yield portal.call(iterator.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                portal.call(close)
