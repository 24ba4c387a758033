"""A FastAPI application with the worker inside: `uvicorn fastapi_app:app`.

Then `curl -X POST 'localhost:8000/greet?name=Ada'`.
"""

import asyncio

from fastapi import FastAPI

from aspool import Spooler
from aspool.asgi import lifespan

spooler = Spooler("./spool")
app = FastAPI(lifespan=lifespan(spooler, worker=True))


@spooler.task(retries=5, harakiri=30)
async def greet(name: str) -> None:
    await asyncio.sleep(0.1)  # the slow part, which nobody waits for
    print(f"Hello, {name}!", flush=True)


@app.post("/greet", status_code=202)
async def take_greeting(name: str) -> dict[str, str]:
    ticket = await greet.spool(name)  # from here on it runs, whatever process dies
    return {"id": ticket.id}
