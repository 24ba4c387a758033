"""SpoolTasks: what a FastAPI handler takes to have tasks spooled before its response is sent."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from .background import BackgroundSpool


async def spool_tasks() -> AsyncIterator[BackgroundSpool]:
    """One BackgroundSpool for each request; it spools when the handler has returned."""
    async with BackgroundSpool() as tasks:
        yield tasks


# "function": it ends before the response is sent, so that nobody is told of success whose tasks are not safe.
SpoolTasks = Annotated[BackgroundSpool, Depends(spool_tasks, scope="function")]
