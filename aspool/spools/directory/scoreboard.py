"""Scoreboard: a small file per worker, a slot per running job, for any process to read. Nothing depends on it.

Preallocated and written with pwrite, never mapped: a full disk or a truncated file must not kill the worker.
A job that ends at once is never on it.
"""

import os
import socket
import time
from asyncio import get_running_loop
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

from ...protocol import Board, Entry
from . import living

SLOT = 512  # bytes; the first slot tells of the worker itself
LOOKED_AFTER = 1.0  # seconds between two looks whether the board is there still
SHOWN_AFTER = 0.05  # seconds until a new job is on the board at the latest
LEAVING = "leaving"  # a line of the first slot
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True, eq=False)
class FileSeat:
    """Where one job writes its entry; it can travel to another process."""

    path: str
    number: int

    def write(self, entry: Entry | None) -> bool:
        """Show an entry, or nothing. Never fails: knowledge is all that can be lost."""
        if not self.number:
            return True  # there was no free seat, and the first slot is the worker's own
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.pwrite(fd, _encode(entry), self.number * SLOT)
            finally:
                os.close(fd)
        except OSError:
            pass
        return True


_open_here: "WeakSet[FileBoard]" = WeakSet()


class FileBoard:
    """The writing side; locked while its worker lives, and made anew, with the next job, where it was lost."""

    def __init__(self, directory: Path, slots: int) -> None:
        self.path = str(directory / f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}")
        self._unseen = FileSeat(self.path, 0)
        self._free = [FileSeat(self.path, number) for number in range(slots, 0, -1)]
        self._new: dict[FileSeat, Entry] = {}  # not on the board yet
        self._is_expected = False  # that `show` is called
        self._size = (slots + 1) * SLOT
        self._fd = -1
        self._look_at = time.monotonic() + LOOKED_AFTER
        _open_here.add(self)
        self._head = f"{os.getpid()}\n{socket.gethostname()}\n{time.time()}\n{slots}\n"
        try:
            sweep(directory)
            self._fd = living.make(self.path)
            os.posix_fallocate(self._fd, 0, self._size)
            os.pwrite(self._fd, self._head.encode()[:SLOT], 0)
        except OSError:
            self.close()

    def take(self, entry: Entry) -> FileSeat:
        """A seat for a job, whose entry is shown if it runs for longer than a moment. Call it on the event loop."""
        if not self._free:
            return self._unseen
        if not self._is_expected:
            self._is_expected = True
            get_running_loop().call_later(SHOWN_AFTER, self.show)
        seat = self._free.pop()
        self._new[seat] = entry
        return seat

    def show(self) -> None:
        """Write the entries of all jobs that are not on the board yet."""
        self._is_expected = False
        if self._fd >= 0 and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOKED_AFTER
            if not living.is_at(self.path, self._fd):
                self._make_anew()
        while self._new:
            seat, entry = self._new.popitem()
            self.write(seat, entry)

    def _make_anew(self) -> None:
        """The spool was removed and made again: what the old board says goes on a new one of the same name."""
        try:
            fd = living.make(self.path)
        except OSError:
            return  # there is no spool yet
        try:
            os.posix_fallocate(fd, 0, self._size)
            os.pwrite(fd, os.pread(self._fd, self._size, 0), 0)
            # Other threads write meanwhile: the number stays, and never is another file's. So does the lock.
            os.dup2(fd, self._fd, inheritable=False)
        except OSError:
            os.unlink(self.path)  # the next look tries again
        finally:
            os.close(fd)

    def free(self, seat: FileSeat) -> None:
        """The job has ended."""
        if seat.number:
            if self._new.pop(seat, None) is None:
                self.write(seat, None)
            self._free.append(seat)

    def write(self, seat: FileSeat, entry: Entry | None) -> None:
        """Show an entry now, or nothing. From any thread; never fails."""
        self._new.pop(seat, None)
        if self._fd >= 0 and seat.number:
            try:
                os.pwrite(self._fd, _encode(entry), seat.number * SLOT)
            except OSError:
                pass

    def leave(self) -> None:
        """The worker claims no more."""
        if self._fd >= 0:
            try:
                os.pwrite(self._fd, f"{self._head}{LEAVING}\n".encode()[:SLOT], 0)
            except OSError:
                pass

    def close(self) -> None:
        """Take the board away."""
        if self._fd >= 0:
            try:
                os.unlink(self.path)
            except OSError:
                pass
            os.close(self._fd)
            self._fd = -1

    def drop(self) -> None:
        """Close it without a trace: in a forked child, which would keep the lock of its parent's board."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _drop_all() -> None:
    for board in list(_open_here):
        board.drop()


os.register_at_fork(after_in_child=_drop_all)


def _encode(entry: Entry | None) -> bytes:
    if entry is None:
        return b"\0"
    total = "" if entry.total is None else f"{entry.total:.15g}"
    head = f"{entry.id}{_SEPARATOR}{entry.task[:200]}{_SEPARATOR}{entry.attempt}{_SEPARATOR}{entry.since:.6f}"
    text = f"{head}{_SEPARATOR}{entry.done:.15g}{_SEPARATOR}{total}{_SEPARATOR}{entry.text}"
    # The zero byte ends the entry, so that nothing of a longer one before it shows through.
    return text.encode(errors="replace")[: SLOT - 1] + b"\0"


def _decode(slot: bytes) -> Entry | None:
    text = slot.partition(b"\0")[0].decode(errors="replace")
    parts = text.split(_SEPARATOR, 6)
    if len(parts) != 7:
        return None
    try:
        total = float(parts[5]) if parts[5] else None
        return Entry(parts[0], parts[1], int(parts[2]), float(parts[3]), float(parts[4]), total, parts[6])
    except ValueError:
        return None


def boards(directory: Path) -> list[Board]:
    """The scoreboards of all living workers; broken ones are left out."""
    return [board for _, fd in _open_boards(directory) if (board := _read(fd)) is not None]


def sweep(directory: Path) -> None:
    """Remove the boards of dead workers."""
    for path, fd in _open_boards(directory):
        if _is_dead(fd):
            try:
                path.unlink()
            except OSError:
                pass


def _open_boards(directory: Path) -> Iterator[tuple[Path, int]]:
    try:
        paths = sorted(directory.iterdir())
    except OSError:
        return
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            yield path, fd
        finally:
            os.close(fd)


def _is_dead(fd: int) -> bool:
    """Whether nobody holds the board's lock; one that is being made is left alone for a minute."""
    if living.is_held(fd):
        return False
    found = os.fstat(fd)
    return found.st_size > 0 or time.time() - found.st_mtime > 60


def _read(fd: int) -> Board | None:
    try:
        if _is_dead(fd):
            return None
        data = os.pread(fd, 4 << 20, 0)
        pid, host, since, slots, *more = data[:SLOT].partition(b"\0")[0].decode().splitlines()
        entries = [_decode(data[at : at + SLOT]) for at in range(SLOT, len(data), SLOT)]
        shown = tuple(entry for entry in entries if entry is not None)
        return Board(int(pid), host, float(since), int(slots), shown, os.fstat(fd).st_uid, LEAVING in more)
    except (OSError, ValueError):
        return None
