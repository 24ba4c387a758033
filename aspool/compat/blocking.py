"""Blocking calls of coroutines, also from the thread of an event loop, where tasks of uWSGI programs may run."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from .. import portal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def wait_for(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Await a coroutine function's call, and block meanwhile, whatever runs in this thread."""
    return anywhere(portal.call, function, *args)


def anywhere(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a blocking function that refuses the thread of an event loop; then in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args)
    with ThreadPoolExecutor(1, thread_name_prefix="aspool uwsgi") as threads:
        return threads.submit(function, *args).result()
