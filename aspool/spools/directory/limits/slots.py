"""Slots: of a limited task only so many jobs run at the same time, over all workers of the spool.

Each job holds a lock on one byte of the task's file in `.aspool/slots`, and the kernel takes it back when its worker
dies. A free slot is announced by a write, which others hear of; to look for one makes no event.
"""

import os
import stat
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote

from .. import descriptors
from ..locks import locked_by_others, try_lock_byte, unlock_byte
from ..tree import Tree

AREA = "slots"
TURN = "turn"  # the file of the one slot of an ordered spool
RAW = "raw"  # the file of the handler of raw messages
GUARDS = 1 << 32  # where the bytes begin that are locked by the child processes of jobs
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


def file_name(task: str) -> str:
    """A file name that stands for a task: readable, and no two alike. One without a hash is ours for other things."""
    hashed = blake2b(task.encode(errors="replace"), digest_size=8).hexdigest()
    return f"{quote(task, safe='', errors='replace')[:80]}-{hashed}"


@dataclass(frozen=True, slots=True)
class SlotGuard:
    """A slot as the child process of a job knows it. It keeps the slot taken until the child is dead too."""

    path: str
    number: int

    def hold(self, stack: ExitStack) -> None:
        """Lock it until the stack is closed; this wakes whoever waits for the slot. Raises OSError."""
        fd = descriptors.open_descriptor(self.path, os.O_RDWR | os.O_NONBLOCK)
        stack.callback(descriptors.close_descriptor, fd)
        try_lock_byte(fd, GUARDS + self.number)


class _File:
    """The slots of one task."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.held: set[int] = set()  # by jobs of this worker
        self.is_left = False  # it is closed when the last of them ends

    def close_if_unused(self) -> None:
        if self.is_left and not self.held:
            descriptors.close_descriptor(self.fd)

    def taken(self, limit: int) -> set[int]:
        """The slots that somebody has: a worker, or the child that outlived it."""
        guards = locked_by_others(self.fd, GUARDS, GUARDS + limit)
        ranges = [*locked_by_others(self.fd, 0, limit), *((start - GUARDS, end - GUARDS) for start, end in guards)]
        others = {number for start, end in ranges for number in range(max(0, start), min(end, limit))}
        return others | {number for number in self.held if number < limit}


class Slot:
    """One slot, held by a job of this worker."""

    def __init__(self, file: _File, number: int, name: str, lock: "threading.Lock") -> None:
        self.name = name  # of its file
        self._file, self._number, self._lock = file, number, lock

    def guard(self, pid: int) -> SlotGuard:
        """The same for a child process of the worker, whose process id is given."""
        return SlotGuard(f"/proc/{pid}/fd/{self._file.fd}", self._number)

    def free(self) -> None:
        """Give it back, once, and say so. Never fails."""
        with self._lock:
            if self._number not in self._file.held:
                return
            self._file.held.discard(self._number)
            try:
                unlock_byte(self._file.fd, self._number)
                os.pwrite(self._file.fd, b"\n", 0)
            except OSError:
                pass  # a full disk: others find out when they poll
            self._file.close_if_unused()


class Slots:
    """The slots of one spool, as one worker uses them. From any thread."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}

    def take(self, name: str, limit: int) -> Slot | None:
        """A free slot of the file of that name, or None. Raises OSError where there can be none."""
        with self._lock:
            file = self._file(name)
            taken = file.taken(limit)
            for number in range(limit):
                if number in taken or not try_lock_byte(file.fd, number):
                    continue
                if not locked_by_others(file.fd, GUARDS + number, GUARDS + number + 1):
                    file.held.add(number)
                    return Slot(file, number, name, self._lock)
                unlock_byte(file.fd, number)  # its worker died, and the child that runs the job is about to
        return None

    def count_free(self, name: str, limit: int) -> int:
        """How many of so many slots are free. Raises OSError."""
        with self._lock:
            return limit - len(self._file(name).taken(limit))

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is not None and os.fstat(file.fd).st_nlink:
            return file
        if file is not None:  # somebody removed it: other workers have another one, or will
            self._leave(name)
        fd = descriptors.open_descriptor(name, _FLAGS, dir_fd=self._tree.area(AREA))
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            descriptors.close_descriptor(fd)
            raise OSError(f".aspool/{AREA}/{name} is no regular file: remove it")
        self._files[name] = _File(fd)
        return self._files[name]

    def leave(self) -> None:
        """Close what no job needs any more: the spool is served no longer, or was replaced."""
        with self._lock:
            for name in list(self._files):
                self._leave(name)

    def _leave(self, name: str) -> None:
        file = self._files.pop(name)
        file.is_left = True
        file.close_if_unused()
