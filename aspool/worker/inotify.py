"""Inotify: the kernel tells what happens to files and in directories. A hint only: events may be lost."""

import contextlib
import enum
import os
import threading
from typing import Any, NamedTuple

READ = 64 * 1024  # bytes of events in one go
_open: set[int] = set()
_lock = threading.Lock()  # a fork must not fall between the opening or closing of a descriptor and its entry there


class Interest(enum.IntFlag):
    """What is wanted to be known of a file or directory."""

    ITSELF = 1  # it is moved or removed
    NAMES = 2  # names in it come and go, or stand for something else
    CONTENT = 4  # it, or a file directly in it, is written to or touched


class Happened(NamedTuple):
    """Something happened."""

    number: int  # of the watch; -1: the kernel lost some
    name: str  # of an entry of the directory; "" for what is watched itself
    of_content: bool  # written or touched: it is still where it was
    is_last: bool  # the kernel has dropped the watch


LOST = Happened(-1, "", of_content=False, is_last=False)


class Inotify:
    """An inotify descriptor. Raises OSError where there is none to be had."""

    def __init__(self) -> None:
        try:
            import inotify_simple  # type: ignore[import-untyped]  # it has no hints
        except ImportError as error:
            raise OSError("this system has no inotify") from error
        self._kernel: Any = inotify_simple
        # Not left open for other programs. Closed by us alone: in a forked child the number soon means another file.
        with _lock:
            self._inotify = inotify_simple.INotify(nonblocking=True, closefd=False)
            self.fd: int = self._inotify.fileno()
            _open.add(self.fd)

    def add(self, place: str, identity: tuple[int, int], interest: Interest) -> int | None:
        """Watch what is at a path, with these interests alone: its number; None if it is another by now.

        `identity`: device and inode. Raises OSError.
        """
        fd = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != identity:
                return None
            return int(self._inotify.add_watch(f"/proc/self/fd/{fd}", self._mask(interest)))
        finally:
            os.close(fd)

    def _mask(self, interest: Interest) -> int:
        flags = self._kernel.flags
        mask = flags.MOVE_SELF | flags.DELETE_SELF
        if Interest.NAMES in interest:
            mask |= flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
        if Interest.CONTENT in interest:
            mask |= flags.MODIFY | flags.ATTRIB
        return int(mask)

    def remove(self, number: int) -> None:
        """No longer watch it."""
        with contextlib.suppress(OSError):  # it is gone, and its watch with it
            self._inotify.rm_watch(number)

    def read(self) -> list[Happened]:
        """What has happened since the last call, or some of it if that is much."""
        try:
            data = os.read(self.fd, READ)
        except BlockingIOError:
            return []
        return [self._happened(*event) for event in self._kernel.parse_events(data)]

    def _happened(self, number: int, mask: int, _: int, name: str) -> Happened:
        flags = self._kernel.flags
        if mask & flags.Q_OVERFLOW:
            return LOST
        return Happened(number, name, bool(mask & (flags.MODIFY | flags.ATTRIB)), bool(mask & flags.IGNORED))

    def close(self) -> None:
        """Close the descriptor, in a thread: the kernel takes 15 ms for it (it waits for all who may read its lists).

        What a fork has closed already is left alone.
        """
        threading.Thread(target=_close, args=(self.fd,), name="aspool inotify", daemon=True).start()


def _close(fd: int) -> None:
    with _lock:
        if fd in _open:
            os.close(fd)
            _open.discard(fd)


def _close_in_child() -> None:
    """A forked child must not take our events away, nor let the kernel collect them for it."""
    for fd in _open:
        with contextlib.suppress(OSError):  # somebody closed all descriptors before us
            os.close(fd)
    _open.clear()
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_close_in_child)
