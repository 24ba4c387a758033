"""Wake: the kernel tells followers that something happened to their message (inotify). It costs workers nothing.

One inotify instance for all followers of an event loop and spool; without one they look again every 50 ms.
"""

import contextlib
import os
import threading
from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from typing import Any

from .. import descriptors

READ = 64 * 1024  # bytes of events in one go


Listener = Callable[[str, bool], None]  # of the name in a watched directory, and whether a writer has closed the file


class Ringer:
    """The inotify instance of one event loop and spool: tells listeners when files change."""

    def __init__(self) -> None:
        self._inotify: Any = None
        self._is_missing = False  # there is none to be had
        self._users = 0
        self._listeners: dict[int, set[Listener]] = {}

    def enter(self) -> None:
        """One more follower."""
        self._users += 1

    def leave(self) -> None:
        """One less; the last one closes the door."""
        self._users -= 1
        if not self._users:
            self._close()

    def watch_file(self, fd: int, listener: Listener) -> int | None:
        """Tell of every change of an open file; the number of the watch, None where there is none to be had."""
        return self._watch(fd, ("MODIFY", "ATTRIB", "MOVE_SELF", "DELETE_SELF", "CLOSE_WRITE"), listener)

    def watch_writes(self, fd: int, listener: Listener) -> int | None:
        """Tell which files of an open directory are written to, appear or go."""
        return self._watch(fd, ("MODIFY", "CREATE", "DELETE", "ONLYDIR"), listener)

    def watch_removals(self, fd: int, listener: Listener) -> int | None:
        """Tell which names leave an open directory."""
        return self._watch(fd, ("DELETE", "MOVED_FROM", "ONLYDIR"), listener)

    def _watch(self, fd: int, flags: Sequence[str], listener: Listener) -> int | None:
        self._start()
        if self._inotify is None:
            return None
        try:
            import inotify_simple  # type: ignore[import-untyped]  # it has no hints

            mask = sum(inotify_simple.flags[flag] for flag in flags)
            number: int = self._inotify.add_watch(f"/proc/self/fd/{fd}", mask)
        except OSError:  # too many watches
            return None
        self._listeners.setdefault(number, set()).add(listener)
        return number

    def unwatch(self, number: int, listener: Listener) -> None:
        """No longer."""
        listeners = self._listeners.get(number)
        if listeners is None:
            return
        listeners.discard(listener)
        if not listeners:
            del self._listeners[number]
            with contextlib.suppress(OSError):  # the file is gone, and its watch with it
                self._inotify.rm_watch(number)

    def _start(self) -> None:
        if self._inotify is not None or self._is_missing:
            return
        try:
            self._inotify = new_inotify()
        except OSError:
            self._is_missing = True  # until the last follower has left
            return
        descriptors.adopt(self._inotify.fileno())
        get_running_loop().add_reader(self._inotify.fileno(), self.read)

    def read(self) -> None:
        """Tell what has happened until now."""
        if self._inotify is None:
            return
        import inotify_simple

        flags = inotify_simple.flags
        try:
            data = os.read(self._inotify.fileno(), READ)
        except BlockingIOError:
            return
        for number, mask, _, name in inotify_simple.parse_events(data):
            if mask & flags.Q_OVERFLOW:  # the kernel lost some
                self._tell_all()
            for listener in tuple(self._listeners.get(number, ())):
                listener(name, bool(mask & flags.CLOSE_WRITE))

    def _tell_all(self) -> None:
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener("", True)

    def _close(self) -> None:
        self._is_missing = False
        if self._inotify is None:
            return
        for number in self._listeners:
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(number)
        self._listeners.clear()
        get_running_loop().remove_reader(self._inotify.fileno())
        # The kernel takes 15 ms to close one (it waits for all who may still read its lists): not on the event loop.
        threading.Thread(target=_shut, args=(self._inotify,), name="aspool inotify", daemon=True).start()
        self._inotify = None


def _shut(inotify: Any) -> None:
    descriptors.release(inotify.fileno())
    inotify.close()


def new_inotify() -> Any:
    """An inotify descriptor. Raises OSError where there is none to be had."""
    try:
        import inotify_simple
    except ImportError as error:
        raise OSError("this system has no inotify") from error
    return inotify_simple.INotify(nonblocking=True)
