"""Tasks for the process executor; imported by the child by name."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grouped  # type: ignore[import-not-found]  # this directory is on sys.path where it is imported

from aspool import SPOOL_RETRY, Body, DirectorySpool, Job, Retry, Spooler, current_job
from aspool.worker import child_stack

ROOT = Path(os.environ.get("PROCESSES_ROOT", "."))


@asynccontextmanager
async def resources() -> AsyncIterator[dict[str, int]]:
    yield {"pid": os.getpid()}


spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"), resources=resources)
spooler.include(grouped.tasks)


@spooler.task(executor="process")
def write(job: Job, name: str, body: Body) -> None:
    job.progress(3, 10, "writing")
    (ROOT / name).write_bytes(f"{os.getpid()} {job.attempt} ".encode() + body.file.read())


@spooler.task(executor="process")
async def on_its_own_loop(name: str) -> None:
    (ROOT / name).write_text("async")


@spooler.task(executor="process")
def speaks() -> None:
    print("said by print")
    subprocess.run(["echo", "said by a program"], check=True)
    print("said to stderr", file=sys.stderr)


@spooler.task(executor="process", retries=0)
def ends(how: str) -> object:
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "_exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), 9)
    if how == "unpicklable":

        class Local(Exception):
            lock = threading.Lock()

        raise Local("cannot travel")
    if how == "lock":
        return threading.Lock()
    raise ValueError(how)


@spooler.task(executor="process", retries=0, harakiri=1.5)  # starting a process takes part of it
def sleeps() -> None:
    (ROOT / "pid").write_text(str(os.getpid()))
    time.sleep(60)


@spooler.task(executor="process", retries=0, harakiri=2)
def hides(how: str) -> None:
    side, fd = current_job()._side, child_stack.offer()
    precious = os.open(ROOT / "precious", os.O_RDWR | os.O_CREAT)
    os.write(precious, b"precious")
    if how == "no stack":
        os.close(fd)
    elif how == "another file":
        os.dup2(precious, fd)
    elif how == "another pid":
        side._say("child", [1, fd])  # type: ignore[attr-defined]  # as a job that is up to no good
    else:
        side._say("child", [-1, "x"])  # type: ignore[attr-defined]
        faulthandler.unregister(signal.SIGUSR2)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    time.sleep(60)


@spooler.task(executor="process")
def waits(name: str) -> None:
    while not (ROOT / name).exists():
        time.sleep(0.01)


@spooler.task(executor="process")
def again(job: Job) -> None:
    if job.attempt == 1:
        raise Retry("once more", delay=0)


@spooler.handler(executor="process")
def handler(variables: dict[str, str], body: Body) -> None:
    (ROOT / variables["name"]).write_bytes(body.file.read())


@spooler.task(executor="process", backoff=0, keep_result=60)
def changes(job: Job) -> list[int]:
    job.buffer.setdefault("pids", []).append(os.getpid())
    job.log.info("attempt %d", job.attempt)
    if job.attempt == 1:
        job.retries_left = 1
        raise Retry("once more", delay=0)
    return [job.attempt, job.retries_left, len(job.buffer["pids"])]


@spooler.task(executor="process")
def keeps_what_cannot_travel(job: Job, end: str) -> object:
    job.buffer["lock"] = threading.Lock()
    if end == "failure":
        raise ValueError(end)
    return SPOOL_RETRY if end == "again" else None


@spooler.task(executor="process", retries=0)
def logs_and_dies(job: Job) -> None:
    job.log.info("about to die ☠")
    job.log.warning("%s", "x" * 5000)
    os.kill(os.getpid(), 9)


@spooler.task(executor="process", harakiri=3, backoff=0)
def gets_more_time(job: Job) -> None:
    job.extend(60)
    time.sleep(3.1)


@spooler.task(executor="process")
def itself_again(job: Job, left: int) -> None:
    job.buffer["seen"] = [*job.buffer.get("seen", []), left]
    if left:
        job.again_sync(left - 1)
    else:
        (ROOT / "seen").write_text(str(job.buffer["seen"]))


@spooler.task(executor="process")
async def itself_again_async(job: Job, left: int) -> None:
    if left:
        await job.again(left - 1)
    else:
        (ROOT / "async").write_text(job.task)


@spooler.task(executor="process", keep_result=60)
def hangs() -> None:
    (ROOT / "hangs").write_text(str(os.getpid()))
    time.sleep(60)


@spooler.task(executor="process", keep_result=60, working_dir=str(ROOT))
def where() -> str:
    return os.getcwd()


@spooler.task(executor="process", retries=0)
def wants_resources() -> None:
    _ = current_job().resources


@spooler.task(executor="process", keep_result=60, retries=0)
def fails(how: str) -> object:
    if how == "own":
        raise Odd(7, "odd")
    return (lambda: 1) if how == "unpicklable" else {"how": how}


class Odd(Exception):
    """An exception of the application."""


@spooler.task(executor="process")
def reports(job: Job) -> None:
    job.progress(1, 2, "half ☠")
    while not (ROOT / "seen").exists():
        time.sleep(0.01)


@spooler.task(executor="process", retries=0)
def takes_its_output_away() -> None:
    sys.stdout = None  # what a job may do


class Kind(str):
    """What only its own process knows."""

    __slots__ = ()

    def __reduce__(self) -> str:
        raise TypeError("it does not travel")


@spooler.task(executor="process", backoff=0)
def remembers_kinds(job: Job) -> None:
    if job.attempt == 1:
        job.buffer["kind"] = Kind("small")
        raise Retry("once more", delay=0)
    (ROOT / "kind").write_text(job.buffer["kind"])


@spooler.task(retries=0)
def shares(job: Job[dict[str, int]], name: str) -> None:
    (ROOT / name).write_text(f"{job.resources['pid']} {os.getpid()}")


@spooler.task(retries=0)
async def shares_async(job: Job[dict[str, int]], name: str) -> None:
    (ROOT / name).write_text(f"{job.resources['pid']} {os.getpid()}")
