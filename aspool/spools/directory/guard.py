"""The body of a claimed task file, as the thread or the child process that runs the job has it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ..readers import FileReader
from . import descriptors, marks
from .limits.slots import SlotGuard


@dataclass(slots=True)
class GuardedFile(FileReader):
    """Reads the body, guards the message and its slots, and notes on the file that its job is done."""

    slots: tuple[SlotGuard, ...] = ()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """flock the file: `claim` looks for that when the last holder died, as the kernel frees its lock first."""
        with self.open_raw() as file, ExitStack() as stack:
            fcntl.flock(file, fcntl.LOCK_EX)
            for slot in self.slots:
                slot.hold(stack)
            yield

    def note_done(self) -> None:
        """Mark the file: whoever claims it after its worker died deletes it instead of running it again."""
        try:
            fd = descriptors.open_descriptor(self.path, os.O_RDONLY)
            try:
                marks.note_done(fd)
            finally:
                descriptors.close_descriptor(fd)
        except OSError:
            pass  # then a death in this moment costs a repetition
