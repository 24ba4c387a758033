"""Locks: `uwsgi.lock`, a file each in the directory that all processes of the program share.

The kernel frees the lock of a process that dies, which uWSGI's own do not everywhere.
"""

import fcntl
import os
import threading
from dataclasses import dataclass, field

from ..program import Program
from .database import Shared

_REFUSED = "The spooler cannot lock/unlock resources"


@dataclass(slots=True, eq=False)
class _Lock:
    """One of them in this process: the threads share the file, and so have a lock of their own before it."""

    path: str
    among_threads: threading.Lock = field(default_factory=threading.Lock)
    fd: int = -1
    holder: int = 0  # the thread

    def take(self) -> None:
        """Wait for it."""
        self.among_threads.acquire()
        try:
            fd = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            except BaseException:
                os.close(fd)
                raise
        except BaseException:
            self.among_threads.release()
            raise
        self.fd, self.holder = fd, threading.get_ident()

    def give_back(self) -> None:
        """If it is ours."""
        if self.fd >= 0:
            fcntl.flock(self.fd, fcntl.LOCK_UN)  # the file may be open in a child too, which was just forked
            os.close(self.fd)
            self.fd, self.holder = -1, 0
            self.among_threads.release()

    def is_taken(self) -> bool:
        """By whomever."""
        if self.fd >= 0:
            return True
        fd = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two that look are not in each other's way
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def forget(self) -> None:
        """In a child after a fork, which has no lock of its parent: close, never unlock."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.holder, self.among_threads = -1, 0, threading.Lock()


_locks: dict[str, _Lock] = {}  # by path: a process that takes one twice waits for itself


def _forget_all() -> None:
    for lock in _locks.values():
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)


class Locks:
    """As many as the option `locks` says, and the first, number 0, always. Raises ValueError for other numbers."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._shared = Shared(program)

    def lock(self, number: int = 0) -> None:
        """Wait for a lock and take it. Raises ValueError when this thread has it already: it would wait for ever."""
        lock = self._lock(number)
        if lock.holder == threading.get_ident() and not self._program.strict:
            raise ValueError(f"lock {number} is held by this very thread, which would wait for itself for ever")
        lock.take()

    def unlock(self, number: int = 0) -> None:
        """Give a lock back; one that this process has not is left as it is."""
        self._lock(number).give_back()

    def is_locked(self, number: int = 0) -> bool:
        """Whether any process has it."""
        return self._lock(number).is_taken()

    def _lock(self, number: int) -> _Lock:
        program = self._program
        if program.strict and program.role.kind == "spooler":
            raise ValueError(_REFUSED)
        if not 0 <= number <= int(program.options.get("locks", 0)):
            raise ValueError("Invalid lock number")
        path = str(self._shared.directory() / f"lock-{number}")
        return _locks.setdefault(path, _Lock(path))
