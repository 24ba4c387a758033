"""The stack of a job in a child process: the child offers it, the worker has it written before it ends the child."""

import faulthandler
import os
import signal
from functools import cache

from anyio import sleep

NAME = "aspool-stack"
LONGEST = 32_768  # bytes
PATIENCE = 0.5  # seconds that the child may take
STEP = 0.01
STEADY = 2  # looks in a row that show the same: then it is written


@cache
def offer() -> int:
    """In the child: write the stacks of all its threads when SIGUSR2 comes, to a file without a name.

    The file's descriptor; -1 where there can be none. No Python code runs for it, so that nothing can hold it up.
    """
    if not hasattr(os, "memfd_create"):
        return -1
    try:
        fd = os.memfd_create(NAME)
        faulthandler.register(signal.SIGUSR2, file=fd, all_threads=True)
    except OSError:
        return -1
    return fd


async def ask(pid: int, fd: int) -> str:
    """In the worker: the stacks of a child's threads, the most recent call first; "" if it cannot write them."""
    try:
        if not _is_offered(pid, fd):
            return ""
        file = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        before = os.fstat(file).st_size
        os.kill(pid, signal.SIGUSR2)
        await _written(file, before)
        return os.pread(file, LONGEST, before).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(file)


def _is_offered(pid: int, fd: int) -> bool:
    """Whether it is a child of ours, since a signal ends most processes, and has not put another file there since.

    Raises OSError, ValueError.
    """
    with open(f"/proc/{pid:d}/stat", "rb") as stat:
        after_name = stat.read().rpartition(b")")[2].split()
    return int(after_name[1]) == os.getpid() and os.readlink(f"/proc/{pid}/fd/{fd:d}").startswith(f"/memfd:{NAME}")


async def _written(file: int, before: int) -> None:
    """Wait until it is written, but not for long. Raises OSError."""
    seen, steady = before, 0
    for _ in range(round(PATIENCE / STEP)):
        await sleep(STEP)
        size = os.fstat(file).st_size
        steady = steady + 1 if size == seen > before else 0
        seen = size
        if steady >= STEADY:
            return
