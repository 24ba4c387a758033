"""arq. Results are not kept; the worker polls 100 times a second instead of twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, ClassVar

from .. import jobs
from .peer import CONCURRENCY
from .surroundings import redis_socket

_arq: Any = import_module("arq")
_connections: Any = import_module("arq.connections")
_settings = _connections.RedisSettings(unix_socket_path=redis_socket())
_pool: Any = None


async def nothing(_: Any, text: str) -> None:
    await jobs.nothing(text)


async def run_probe(_: Any, moment: float) -> None:
    await jobs.probe(moment)


class WorkerSettings:
    """What `arq` reads."""

    functions: ClassVar = [nothing, run_probe]
    redis_settings = _settings
    max_jobs = CONCURRENCY
    keep_result = 0
    poll_delay = 0.01
    log_results = False


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    global _pool
    _pool = await _arq.create_pool(_settings)
    try:
        yield
    finally:
        await _pool.aclose()


async def send(text: str) -> None:
    await _pool.enqueue_job("nothing", text)


async def probe(moment: float) -> None:
    await _pool.enqueue_job("run_probe", moment)
