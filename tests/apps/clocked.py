"""Tasks with schedules, one of them in a process; imported by the child by name."""

import os
from pathlib import Path

from aspool import DirectorySpool, Job, Retry, Spooler

ROOT = Path(os.environ.get("CLOCKED_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"), tz="Europe/Paris")


def note(job: Job) -> None:
    with (ROOT / job.task).open("a") as file:
        file.write(f"{job.attempt} {job.scheduled_for}\n")


@spooler.cron("30 2 * * *", name="coroutine", backoff=0)
async def coroutine(job: Job) -> None:
    note(job)
    if job.attempt == 1:
        raise Retry("once more", delay=0)


@spooler.cron("30 2 * * *", name="thread", tz="UTC")
def thread(job: Job) -> None:
    note(job)


@spooler.cron("30 2 * * *", name="process", executor="process", backoff=0)
def process(job: Job) -> None:
    note(job)
    if job.attempt == 1:
        raise Retry("once more", delay=0)


again = spooler.cron("30 2 * * *", name="second-schedule")(process)
