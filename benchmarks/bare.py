"""Bare Python loops of the system calls that aspool makes: the most that anything in Python can do on this disk.

They follow what `strace` shows of aspool, with one argument of 100 characters in each task, and no other file.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PACKET = b"\x11" * 252  # as long as the file of a task with one argument of 100 characters
PREFIX = "uwsgi_spoolfile_on_"
MARK, MARK_AT = b"\xa1", 3  # what a worker writes into the header of a file that it runs
_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TMPFILE = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC


def publish(directory: Path, count: int, *, durable: bool) -> float:
    """Write so many files without a name and name them; files in a second."""
    names = [f"{PREFIX}{number:016d}_0660c3fc684d29a91fb174_0_0" for number in range(count)]
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    one = _publish_durably if durable else _publish
    started = time.perf_counter()
    for name in names:
        one(name, place)
    taken = time.perf_counter() - started
    os.close(place)
    return count / taken


def _publish(name: str, place: int) -> None:
    file = os.open(".", _TMPFILE, 0o600, dir_fd=place)
    os.write(file, PACKET)
    os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=place, follow_symlinks=True)
    os.close(file)


def _publish_durably(name: str, place: int) -> None:
    file = os.open(".", _TMPFILE, 0o600, dir_fd=place)
    os.write(file, PACKET)
    os.fsync(file)
    os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=place, follow_symlinks=True)
    os.fsync(place)
    os.close(file)


def drain_least(name: str, place: int) -> None:
    """What cannot be left out: open, lock, learn the size, read, delete, close."""
    file = os.open(name, _OPEN, dir_fd=place)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _LOCK)
    os.pread(file, os.fstat(file).st_size, 0)
    os.unlink(name, dir_fd=place)
    os.close(file)


def drain_all(name: str, place: int) -> None:
    """What aspool does with each file: it also looks whether the name still is this file, and marks it as running."""
    file = os.open(name, _OPEN, dir_fd=place)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _LOCK)
    size = os.fstat(file).st_size
    os.stat(name, dir_fd=place, follow_symlinks=False)
    os.pread(file, size, 0)
    os.pwrite(file, MARK, MARK_AT)
    os.unlink(name, dir_fd=place)
    os.close(file)


def drain(directory: Path, one: Callable[[str, int], None]) -> float:
    """Do this with every task file of a directory, in the order of their names; files in a second."""
    names: Sequence[str] = sorted(name for name in os.listdir(directory) if name.startswith(PREFIX))
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    started = time.perf_counter()
    for name in names:
        one(name, place)
    taken = time.perf_counter() - started
    os.close(place)
    return len(names) / taken
