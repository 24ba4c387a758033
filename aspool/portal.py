"""The one portal through which whatever awaits has a blocking form: an event loop in a thread, while it is needed."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from .errors import CallError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal, BlockingPortalProvider

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@cache
def _portal() -> "BlockingPortalProvider":
    from anyio.from_thread import BlockingPortalProvider

    return BlockingPortalProvider()


os.register_at_fork(after_in_child=_portal.cache_clear)  # the thread of an open one is not in the child


def _check_thread(function: Callable[..., object], how: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    name = getattr(getattr(function, "func", function), "__name__", "")  # of a partial that of its function
    form = f"{how} ….{name}(…)" if name.isidentifier() else f"{how} …"
    raise CallError(f"a blocking form would stop this thread's event loop: write `{form}` here, without sync")


def call(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Await a coroutine function's call, and block meanwhile. Raises CallError in a thread that runs an event loop."""
    _check_thread(function, "await")
    with _portal() as portal:
        return _answer(portal, function, *args)


def _answer(portal: "BlockingPortal", function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    answer = portal.start_task_soon(function, *args)
    try:
        return answer.result()
    except BaseException:
        answer.cancel()  # after a Ctrl-C nobody waits for it, and it would keep the portal open
        raise


def iterate(items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """The items of an async iterator, one after another. Raises CallError in a thread that runs an event loop."""
    _check_thread(items, "async for … in")
    with _portal() as portal:
        iterator = items()
        while True:
            try:
                item = _answer(portal, iterator.__anext__)
            except StopAsyncIteration:
                return
            try:
                yield item
            except BaseException:  # nobody wants the rest
                if (close := getattr(iterator, "aclose", None)) is not None:
                    portal.call(close)
                raise
