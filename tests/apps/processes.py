"""Tasks for the process executor; imported by the child by name."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from aspool import Body, DirectorySpool, Job, Retry, Spooler

ROOT = Path(os.environ.get("PROCESSES_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))


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
