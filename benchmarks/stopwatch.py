"""When jobs ran, noted in each process that runs them, and read from outside: the same for aspool, uWSGI and others.

The clock is CLOCK_MONOTONIC, which all processes of a machine share.
"""

import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".stopwatch"
DELAYS, CALLS = ".delays", ".calls"  # from spool() to the start, and how long spool() took
_NOTE = struct.Struct("=Qdd")  # jobs that ended, first start, last end
_COUNT, _SAMPLE = struct.Struct("=Q"), struct.Struct("=d")
MOST_SAMPLES = 10_000
now = time.monotonic


@dataclass(frozen=True, slots=True)
class Reading:
    """What all processes noted together."""

    jobs: int
    first_start: float
    last_end: float

    @property
    def per_second(self) -> float:
        """From the start of the first job to the end of the last."""
        return self.jobs / (self.last_end - self.first_start)


class Stopwatch:
    """One process's notes, in a file of its own that is mapped into memory: a note costs no system call."""

    def __init__(self, directory: Path) -> None:
        self._memory = _mapped(directory / f"{os.getpid()}{SUFFIX}", _NOTE.size)
        self._lock = threading.Lock()
        self._jobs = 0
        self._first = 0.0

    def start(self) -> None:
        """A job begins."""
        if not self._first:
            self._first = now()

    def end(self) -> None:
        """A job has ended."""
        with self._lock:  # jobs may run in threads
            self._jobs += 1
            _NOTE.pack_into(self._memory, 0, self._jobs, self._first, now())


def read(directory: Path) -> Reading:
    """What has been noted so far."""
    notes = [_NOTE.unpack(path.read_bytes()) for path in directory.glob(f"*{SUFFIX}") if path.stat().st_size]
    begun = [note for note in notes if note[0]]
    return Reading(
        sum(note[0] for note in begun),
        min((note[1] for note in begun), default=0.0),
        max((note[2] for note in begun), default=0.0),
    )


class Samples:
    """Durations that one process notes, in a file that is mapped into memory: uWSGI may close any descriptor."""

    def __init__(self, directory: Path, kind: str = DELAYS) -> None:
        self._memory = _mapped(directory / f"{os.getpid()}{kind}", _COUNT.size + MOST_SAMPLES * _SAMPLE.size)
        self._count = 0

    def add(self, seconds: float) -> None:
        _SAMPLE.pack_into(self._memory, _COUNT.size + self._count * _SAMPLE.size, seconds)
        self._count += 1
        _COUNT.pack_into(self._memory, 0, self._count)


def samples(directory: Path, kind: str = DELAYS) -> list[float]:
    """All durations of a kind that were noted so far, in seconds."""
    found: list[float] = []
    for path in directory.glob(f"*{kind}"):
        data = path.read_bytes()
        if data:
            end = _COUNT.size + _COUNT.unpack_from(data)[0] * _SAMPLE.size
            found += (sample for (sample,) in _SAMPLE.iter_unpack(data[_COUNT.size : end]))
    return found


def _mapped(path: Path, size: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, size)
    memory = mmap.mmap(descriptor, size)
    os.close(descriptor)
    return memory
