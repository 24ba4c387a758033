"""taskiq on Redis: lists, which forget what a killed worker held, or streams, which are acknowledged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from .. import jobs
from .surroundings import redis_url, variant

_taskiq_redis: Any = import_module("taskiq_redis")
_broker = _taskiq_redis.RedisStreamBroker if variant() == "streams" else _taskiq_redis.ListQueueBroker
broker = _broker(url=redis_url())
_nothing = broker.task(task_name="nothing")(jobs.nothing)
_probe = broker.task(task_name="probe")(jobs.probe)


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    await broker.startup()
    try:
        yield
    finally:
        await broker.shutdown()


async def send(text: str) -> None:
    await _nothing.kiq(text)


async def probe(moment: float) -> None:
    await _probe.kiq(moment)
