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
    fd = _locked(path)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
        if _is_at(path, fd):
            os.unlink(path)
    finally:
        os.close(fd)


def _locked(path: str) -> int:
    while True:
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            number = _number(fd)
            os.close(fd)
            raise CallError(f"{path} is kept by process {number}, which runs: stop that, or use another") from None
        if _is_at(path, fd):  # else who kept it has just removed it
            return fd
        os.close(fd)


def _is_at(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except OSError:
        return False


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
        return _process(path, _number(fd))
    finally:
        os.close(fd)
    raise AspoolError(f"nobody keeps the pid file {path}: who wrote it has ended, and its number may be another's now")


def _process(path: str, text: str) -> int:
    """Raises AspoolError for what is not the number of one process: -1 would be all that there are."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 31):
        raise AspoolError(f"the pid file {path} says {text[:20]!r}, which is no process: is it a pid file?")
    return int(text)
