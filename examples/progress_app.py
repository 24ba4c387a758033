"""A bar in the browser: `uvicorn progress_app:app`, `aspool worker progress_app`, then http://localhost:8000."""

import asyncio
import hashlib
import hmac
import secrets
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse

from aspool import Job, Spooler, SpoolFull
from aspool.asgi import SpoolTasks, events, lifespan, spool_full

spooler = Spooler("./spool")
app = FastAPI(lifespan=lifespan(spooler, worker=False))
app.add_exception_handler(SpoolFull, spool_full)
SECRET = secrets.token_bytes()  # several web processes need one in common: read it from your settings


@spooler.task(keep_result=3600)
async def bake(job: Job, loaves: int) -> str:
    for loaf in range(loaves):
        job.progress(loaf, loaves, f"loaf {loaf + 1}")
        await asyncio.sleep(0.2)
    return f"{loaves} loaves"


def key_of(id: str) -> str:
    """Who has it was given it with the id: ids alone can be guessed."""
    return hmac.new(SECRET, id.encode(), hashlib.sha256).hexdigest()


def may_look(request: Request, id: str) -> bool:
    return hmac.compare_digest(request.query_params.get("key", "").encode(), key_of(id).encode())


app.mount("/tasks", events(spooler, allow=may_look))


@app.post("/bread", status_code=202)
async def order_bread(tasks: SpoolTasks, loaves: int = 20) -> dict[str, str]:
    ticket = tasks.add_task(bake, loaves)  # it is in the spool when the answer is sent
    return {"id": ticket.id, "events": f"/tasks/{ticket.id}?key={key_of(ticket.id)}"}


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("progress.html"))
