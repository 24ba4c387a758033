"""Numbers: which worker a web process is. Nobody counts them: each takes the lowest free one, a file that it locks.

It has it as long as it lives. A child is another process, and takes one of its own.
"""

import fcntl
import os
import threading
from itertools import count
from pathlib import Path

from ..program import Program
from .database import Shared

_taken: dict[Path, tuple[int, int]] = {}  # by the directory of its program: the number, and the file's descriptor
_turn = threading.Lock()


def number_of(program: Program) -> int:
    """The number of this process among those of its kind, from 1. Raises SpoolUnusable."""
    if program.role.number:
        return program.role.number
    directory = program.shared
    with _turn:
        if directory not in _taken:
            _taken[directory] = _lowest_free(Shared(program).directory())
        return _taken[directory][0]


def _lowest_free(directory: Path) -> tuple[int, int]:
    for number in count(1):
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(directory / f"worker-{number}", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return number, descriptor
    raise AssertionError("it counts for ever")


def give_back_all() -> None:
    """Have no number any more. In a child the parent keeps its own."""
    while _taken:
        os.close(_taken.popitem()[1][1])


def _in_child() -> None:
    global _turn
    _turn = threading.Lock()
    give_back_all()


os.register_at_fork(after_in_child=_in_child)
