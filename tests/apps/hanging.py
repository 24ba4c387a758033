"""Tasks that hang, each in its own way, and their neighbours; run by tests/worker/test_harakiri.py."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

from aspool import DirectorySpool, Job, Spooler, Task

ROOT = Path(os.environ.get("HANGING_ROOT", "."))
RETRIES = int(os.environ.get("HANGING_RETRIES", "0"))
HARAKIRI = 1.0

spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))


def note(word: str, job: Job) -> None:
    with (ROOT / "log").open("a") as log:
        log.write(f"{word} {job.id} {job.task.rpartition('.')[2]} {os.getpid()} {time.time()}\n")


@spooler.task(harakiri=HARAKIRI, retries=RETRIES, backoff=0)
async def obeys(job: Job) -> None:
    note("start", job)
    await hangs_in_a_coroutine()


async def hangs_in_a_coroutine() -> None:
    await asyncio.sleep(1000)


@spooler.task(harakiri=HARAKIRI, retries=RETRIES, backoff=0)
async def swallows(job: Job) -> None:
    note("start", job)
    await swallows_everything()


async def swallows_everything() -> None:
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


@spooler.task(harakiri=HARAKIRI, retries=RETRIES, backoff=0)
def blocks_thread(job: Job) -> None:
    note("start", job)
    hangs_in_a_thread()


def hangs_in_a_thread() -> None:
    threading.Event().wait(1000)


@spooler.task(harakiri=HARAKIRI, retries=RETRIES, backoff=0)
async def blocks_loop(job: Job) -> None:
    note("start", job)
    hangs_on_the_loop()


def hangs_on_the_loop() -> None:
    number = 0
    while True:
        number += 1


@spooler.task(harakiri=HARAKIRI, retries=RETRIES, backoff=0)
async def sleeps_on_loop(job: Job) -> None:
    note("start", job)
    time.sleep(1000)


@spooler.task(harakiri=HARAKIRI + 2, retries=RETRIES, backoff=0, executor="process")  # it takes a while to begin
def hangs_in_process(job: Job) -> None:
    note("start", job)
    hangs_in_a_process()


def hangs_in_a_process() -> None:
    time.sleep(1000)


@spooler.task
async def neighbour(job: Job, seconds: float) -> None:
    note("start", job)
    await asyncio.sleep(seconds)
    note("end", job)


@spooler.task
def neighbour_in_thread(job: Job, seconds: float) -> None:
    note("start", job)
    time.sleep(seconds)
    note("end", job)


@spooler.task(executor="process")
def neighbour_in_process(job: Job, seconds: float) -> None:
    """A lock that another live run of the same message would find taken."""
    lock = ROOT / f"lock-{job.id}"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        if Path(f"/proc/{lock.read_text() or 0}").exists():
            note("overlap", job)
    lock.write_text(str(os.getpid()))
    note("start", job)
    time.sleep(seconds)
    note("end", job)


KINDS: dict[str, tuple[Task[..., Any, Any], str]] = {
    "async": (obeys, "hangs_in_a_coroutine"),
    "swallows": (swallows, "swallows_everything"),
    "thread": (blocks_thread, "hangs_in_a_thread"),
    "loop": (blocks_loop, "hangs_on_the_loop"),
    "process": (hangs_in_process, "hangs_in_a_process"),
}
