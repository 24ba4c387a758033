"""The onion around each call: `async def middleware(job, call_next)`, the first of the list outermost."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .job import Job

CallNext = Callable[[Job[Any]], Awaitable[Any]]
Middleware = Callable[[Job[Any], CallNext], Awaitable[Any]]


def onion(middleware: Sequence[Middleware], core: CallNext) -> CallNext:
    """All of them around `core`, which calls the task's function."""
    for layer in reversed(middleware):
        core = _around(layer, core)
    return core


def _around(layer: Middleware, inner: CallNext) -> CallNext:
    async def call(job: Job[Any]) -> Any:
        return await layer(job, inner)

    return call
