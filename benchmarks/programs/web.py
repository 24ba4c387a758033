"""The web application that takes tickets of `telling`: it answers how late it heard what a job said, in ms.

`uvicorn benchmarks.programs.web:app`
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
from fastapi import FastAPI

from aspool import Ticket
from aspool.asgi import lifespan

from ..stopwatch import now
from . import telling

TOMORROW = timedelta(days=1)
Heard = dict[str, float]

app = FastAPI(lifespan=lifespan(telling.spooler, worker=False))
following: set[asyncio.Task[None]] = set()


@app.post("/follow/{count}")
async def follow(count: int) -> int:
    """Follow so many more tasks, which wait until tomorrow; answers when each has been seen once."""
    tickets = await telling.spooler.spool_many([telling.noop.using(at=TOMORROW).call(n) for n in range(count)])
    seen = [asyncio.Event() for _ in tickets]
    following.update(asyncio.create_task(_follow(*each)) for each in zip(tickets, seen, strict=True))
    for each in seen:
        await each.wait()
    return len(following)


async def _follow(ticket: Ticket[None], seen: asyncio.Event) -> None:
    async for _ in ticket.watch():
        seen.set()


async def _progress() -> Heard:
    ticket = await telling.progress.spool()
    heard = said = 0.0
    async for update in ticket.watch():
        if update.progress is not None and not said:
            heard, said = now(), float(update.progress.text)
    if not said:
        raise RuntimeError("no progress was shown")
    return {"ms": 1000 * (heard - said)}


async def _result() -> Heard:
    ticket = await telling.result.spool()
    said = await ticket.result(timeout=10)
    return {"ms": 1000 * (now() - said)}


async def _failure() -> Heard:
    ticket = await telling.failure.spool()
    try:
        await ticket.result(timeout=10)
    except telling.Failed as error:
        return {"ms": 1000 * (now() - float(error.args[0]))}
    raise RuntimeError("the job did not fail")


async def _cancellation() -> Heard:
    ticket = await telling.endless.spool()
    asked = heard = 0.0
    state = ""
    async for update in ticket.watch():
        heard, state = now(), update.state
        if update.progress is not None and not asked:
            asked = now()
            await ticket.cancel()
    if state != "cancelled":
        raise RuntimeError(f"the job is {state}")
    note = anyio.Path(telling.stopped_at(ticket.id))
    stopped = float(await note.read_text())
    await note.unlink()
    return {"ms": 1000 * (heard - stopped), "cancel() to the job, ms": 1000 * (stopped - asked)}


KINDS: dict[str, Callable[[], Awaitable[Heard]]] = {
    "progress": _progress,
    "result": _result,
    "failure": _failure,
    "cancellation": _cancellation,
}


@app.post("/{kind}")
async def hear(kind: str) -> Heard:
    """One job of this kind, waited for."""
    return await KINDS[kind]()
