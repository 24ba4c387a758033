"""Files in `.aspool/workers` that say that a process lives: it keeps each locked (flock) until it ends.

What is in them is the affair of `notices` and `scoreboard`.
"""

import fcntl
import os
import time
from pathlib import Path

TRIES = 50  # to lock a new file: who reads it at that moment has it locked, too
BETWEEN = 0.001  # seconds
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def make(path: str | Path) -> int:
    """A descriptor of a new file, which is locked until that is closed. Raises OSError; then there is no file."""
    fd = os.open(path, _NEW, 0o600)
    try:
        _lock(fd)
    except OSError:
        os.close(fd)
        os.unlink(path)
        raise
    return fd


def _lock(fd: int) -> None:
    for _ in range(TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # not without LOCK_NB: a reader may be stopped
            time.sleep(BETWEEN)
        else:
            return
    raise BlockingIOError


def is_held(fd: int) -> bool:
    """Whether its maker lives. If not, it is locked for readers until it is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def is_at(path: str | Path, fd: int) -> bool:
    """Whether the file has its name still; not if the spool was removed, or put aside."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except OSError:
        return False
