"""aspool, called from coroutines; the worker is the one of `aspool_tasks`."""

from . import aspool_tasks


async def send(text: str) -> None:
    await aspool_tasks.tasks.nothing.spool(text)


async def probe(moment: float) -> None:
    await aspool_tasks.tasks.probe.spool(moment)
