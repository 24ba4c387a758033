"""`async with running(spooler)`: a worker inside somebody else's program, as long as the block lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import create_task_group

from ..settings import WorkerSettings
from ..spooler import Spooler
from .loop import Worker


@asynccontextmanager
async def running(spooler: Spooler, settings: WorkerSettings | None = None, **options: Any) -> AsyncIterator[Worker]:
    """Run a worker beside the block; when the block ends, it drains.

    `options` are those of WorkerSettings (`concurrency=10`, …). No signal handlers are installed.
    Raises SpoolUnusable when a spool cannot be opened, CallError for an option that does not exist.
    """
    worker = Worker(spooler, (settings or WorkerSettings()).changed(**options), embedded=True)
    await spooler.open()
    failure: Exception | None = None
    async with create_task_group() as group:
        try:
            await group.start(worker.run)
            yield worker
        except Exception as error:  # raised again outside of the group, which would wrap it
            failure = error
        finally:
            worker.stop("the program ends")
    if failure is not None:
        raise failure
