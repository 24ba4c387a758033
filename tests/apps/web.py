"""The application of the server tests: each request spools, each worker process notes which process ran what."""

import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, File, UploadFile

from aspool import Body, DirectorySpool, Job, Spooler
from aspool.asgi import lifespan

ROOT = Path(os.environ.get("WEB_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))


def note(text: str) -> None:
    fd = os.open(ROOT / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{text}\n".encode())
    os.close(fd)


@spooler.task
async def record(job: Job, text: str) -> None:
    note(f"ran {text} {job.id} {os.getpid()}")


@spooler.task
def measure(job: Job, body: Body) -> None:
    note(f"ran {body.size} {job.id} {os.getpid()}")


if os.environ.get("WEB_SPOOL_AT_IMPORT"):
    # Under `gunicorn --preload` this runs in the master: its descriptors must not reach the workers.
    record.spool_sync("at-import")

app = FastAPI(lifespan=lifespan(spooler, worker=os.environ.get("WEB_WORKER", "1") == "1"))


@app.post("/record/{text}")
async def post_record(text: str) -> dict[str, str]:
    return {"id": (await record.spool(text)).id, "pid": str(os.getpid())}


@app.post("/upload")
async def post_upload(upload: Annotated[UploadFile, File()]) -> dict[str, str]:
    return {"id": (await measure.spool(Body(upload))).id}


@app.get("/descriptors")
async def get_descriptors() -> dict[str, list[str]]:
    """The files of the spool that this process has open."""
    paths = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return {"open": [path for path in paths if str(ROOT / "spool") in path], "pid": [str(os.getpid())]}
