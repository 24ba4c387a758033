"""What is deployed: a web application that only spools, and a task that workers of their own run.

`uvicorn greetings:app` and `aspool worker greetings`, as the same user, on the same spool: $ASPOOL_SPOOL, or ./spool.
"""

import asyncio
import os

from fastapi import FastAPI

from aspool import Spooler
from aspool.asgi import lifespan

spooler = Spooler(os.environ.get("ASPOOL_SPOOL", "./spool"))
app = FastAPI(lifespan=lifespan(spooler, worker=False))


@spooler.task(retries=5, harakiri=60, keep_result=3600)
async def greet(name: str) -> str:
    await asyncio.sleep(0.1)  # the slow part, which nobody waits for
    return f"Hello, {name}!"


@app.post("/greet", status_code=202)
async def take_greeting(name: str) -> dict[str, str]:
    ticket = await greet.spool(name)
    return {"id": ticket.id}


@app.get("/alive")
async def tell_that_it_lives() -> dict[str, bool]:
    return {"alive": True}
