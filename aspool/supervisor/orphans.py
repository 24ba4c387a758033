"""What the first process of a container owes the others: to reap processes whose parent has ended.

Of its own children it leaves the ends to those who wait for them.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from anyio import sleep

FIRST = 1
INTERVAL = 1.0  # seconds
_Zombie = tuple[int, str]  # its pid, and when it was started, as a pid alone may be another's later


async def keep_reaping(own: Callable[[], Collection[int]], first: int = FIRST) -> None:
    """If this is the `first` process, reap all children that have ended but are not its `own`, until cancelled.

    Only those that nobody has reaped for a while: a process that has just been started may not be among its own yet.
    """
    if os.getpid() != first:
        return
    seen: set[_Zombie] = set()
    while True:
        now = _zombies() if _has_zombies() else set()
        kept = set(own())
        for pid, _ in now & seen:
            if pid not in kept:
                _reap(pid)
        seen = now
        await sleep(INTERVAL)


def _has_zombies() -> bool:
    """Whether any child waits for being reaped, own ones too; none is reaped by this."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _zombies() -> set[_Zombie]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may have anything in it.
            state, parent, *rest = path.read_bytes().rpartition(b")")[2].decode().split()
        except (OSError, ValueError):
            continue  # it has just gone
        if state == "Z" and int(parent) == os.getpid():
            found.add((int(path.parent.name), rest[17]))
    return found


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # somebody did
