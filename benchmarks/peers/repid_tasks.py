"""repid on Redis. Its worker asks only for the priority that is used: for an empty one it sleeps 0.1 s each time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from .. import jobs
from .peer import CONCURRENCY
from .surroundings import redis_url

_repid: Any = import_module("repid")
_repid.RedisMessageBroker.priorities_distribution = "0/1/0"
_connection = _repid.Connection(_repid.RedisMessageBroker(redis_url()))
_app = _repid.Repid(_connection)
router = _repid.Router()
router.actor(name="nothing")(jobs.nothing)
router.actor(name="probe")(jobs.probe)


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    async with _app.magic(auto_disconnect=True):
        await _repid.Queue("default").declare()
        yield


async def send(text: str) -> None:
    await _repid.Job("nothing", queue="default", args={"text": text}).enqueue()


async def probe(moment: float) -> None:
    await _repid.Job("probe", queue="default", args={"sent": moment}).enqueue()


async def work() -> None:
    async with _app.magic(auto_disconnect=True):
        await _repid.Worker(routers=[router], tasks_limit=CONCURRENCY).run()


if __name__ == "__main__":
    asyncio.run(work())
