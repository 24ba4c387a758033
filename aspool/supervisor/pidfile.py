"""The file with the number of a supervisor's process: locked while that lives, so that a stale one is known."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import AspoolError, CallError


@contextmanager
def held(path: str | None) -> Iterator[None]:
    """Keep the file while the block runs. Raises CallError when another process keeps it, or it cannot be written."""
    if path is None:
        yield
        return
    fd = _open(path)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CallError(f"{path} is kept by process {_number(fd)}, which runs: stop that, or use another") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
        os.unlink(path)
    finally:
        os.close(fd)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise CallError(f"the pid file {path} cannot be written: {error.strerror}") from error


def _number(fd: int) -> str:
    return os.pread(fd, 32, 0).decode(errors="replace").strip()


def process_of(path: str) -> int:
    """The process that keeps the file. Raises AspoolError when none does, CallError when it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CallError(f"the pid file {path} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return int(_number(fd))
    finally:
        os.close(fd)
    raise AspoolError(f"nobody keeps the pid file {path}: who wrote it has ended, and its number may be another's now")
