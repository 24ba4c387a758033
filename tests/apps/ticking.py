"""The application of the tests of schedules in real processes: it notes what is put into the spool, and what runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI

from aspool import DirectorySpool, Job, Spooler
from aspool.asgi import lifespan
from aspool.message import Message
from aspool.protocol import Stored
from aspool.spools.directory.schedules import Schedules

ROOT = Path(os.environ.get("STORM_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))
_publish = Schedules._publish


def note(word: str, id: str) -> None:
    fd = os.open(ROOT / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{word} {id} {os.getpid()}\n".encode())
    os.close(fd)


def publish(self: Schedules, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
    answers = _publish(self, messages)
    for answer in answers:
        if isinstance(answer, Stored) and not answer.duplicate:
            note("put", answer.id)
    return answers


Schedules._publish = publish  # type: ignore[method-assign]


@spooler.timer(1.0, missed="all")
async def timer(job: Job) -> None:
    note("start", job.id)


@spooler.cron("* * * * * *", seconds=True, missed="all")
def cron(job: Job) -> None:
    note("start", job.id)


app = FastAPI(lifespan=lifespan(spooler, worker=True))
