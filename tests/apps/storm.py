"""The application of the kill tests: every run guards its id with a lock of its own and writes down start and end."""

import fcntl
import os
import sys
import time
from pathlib import Path

import anyio

from aspool import DirectorySpool, Job, Spooler

EXITING = 0x4  # a flag of Linux, in /proc/PID/stat
ROOT = Path(os.environ.get("STORM_ROOT", "."))
spooler = Spooler(DirectorySpool(ROOT / "spool", durability="process"))


def note(text: str) -> None:
    """One line of the log; short appends of different processes do not mix."""
    fd = os.open(ROOT / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, f"{text}\n".encode())
    finally:
        os.close(fd)


def runs(pid: bytes) -> bool:
    """Whether a process still runs code; a killed one does not while the kernel clears up after it."""
    try:
        state, *fields = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX" and not int(fields[5]) & EXITING


class Guard:
    """A lock on a file of the id, or of another name: refused when another run of it lives. Notes the worker's pid."""

    def __init__(self, job: Job, name: str = "") -> None:
        self._job = job
        self._name = name or job.id
        in_worker = "aspool.worker.loop" in sys.modules and sys.modules["__main__"].__name__ == "__main__"
        self._worker = os.getpid() if in_worker else os.getppid()

    def __enter__(self) -> None:
        self._fd = os.open(ROOT / "locks" / self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if runs(os.pread(self._fd, 20, 0)):
                note(f"overlap {self._job.id} {self._worker}")
            else:  # the kernel takes milliseconds to close what a killed process had open, one file after another
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.pwrite(self._fd, b"%20d" % os.getpid(), 0)
        note(f"start {self._job.id} {self._worker}")

    def __exit__(self, *error: object) -> None:
        note(f"end {self._job.id} {self._worker}")
        os.close(self._fd)


@spooler.task
async def on_loop(job: Job, pause: float) -> None:
    with Guard(job):
        await anyio.sleep(pause)


@spooler.task
def in_thread(job: Job, pause: float) -> None:
    with Guard(job):
        time.sleep(pause)


@spooler.task(executor="process")
def in_process(job: Job, pause: float) -> None:
    with Guard(job):
        time.sleep(pause)


@spooler.task(concurrency=1)
async def alone_on_loop(job: Job, pause: float) -> None:
    with Guard(job, "alone_on_loop"):
        await anyio.sleep(pause)


@spooler.task(concurrency=1)
def alone_in_thread(job: Job, pause: float) -> None:
    with Guard(job, "alone_in_thread"):
        time.sleep(pause)


@spooler.task(concurrency=1, executor="process")
def alone_in_process(job: Job, pause: float) -> None:
    with Guard(job, "alone_in_process"):
        time.sleep(pause)


@spooler.task
def poison(job: Job) -> None:
    note(f"start {job.id} {os.getpid()}")
    os.kill(os.getpid(), 9)
