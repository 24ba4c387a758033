"""`FastAPI(lifespan=lifespan(spooler, worker=True))`: the worker lives as long as the application."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from ..settings import WorkerSettings
from ..spooler import Spooler
from ..worker import running

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def lifespan(
    spooler: Spooler[Any],
    *,
    worker: bool,
    settings: WorkerSettings | None = None,
    inside: Lifespan | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan for Starlette and FastAPI.

    `worker=True` runs a worker in the web process; it drains when the server shuts down. `worker=False` only
    opens the spools, so that a spool that cannot be used stops the start, not the first request. So does
    `worker=True` while the Spooler is under test (`aspool.testing`): the test says when tasks run.
    `inside` is the application's own lifespan, run within this one; its state is kept.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            if worker and not spooler.is_under_test:
                await stack.enter_async_context(running(spooler, settings))
            else:
                await spooler.open()
                stack.push_async_callback(spooler.aclose)
            state = await stack.enter_async_context(inside(app)) if inside is not None else None
            yield dict(state or {})

    return run
