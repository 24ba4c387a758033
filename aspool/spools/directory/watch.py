"""Watch: the kernel tells which names appear (inotify). A hint only: events may be lost, so the spool is polled too."""

import contextlib
import os
from typing import Any, NamedTuple

from . import descriptors
from .tree import Place

READ = 32 * 1024  # bytes of events, some hundred of them, in one go


class Appeared(NamedTuple):
    """A name appeared in a place."""

    place: Place
    name: str
    is_directory: bool


class Watch:
    """An inotify descriptor with a watch on each place. Raises OSError where there is none to be had."""

    def __init__(self) -> None:
        try:
            import inotify_simple  # type: ignore[import-untyped]  # it has no hints
        except ImportError as error:
            raise OSError("this system has no inotify") from error
        self._kernel: Any = inotify_simple
        self._inotify = inotify_simple.INotify(nonblocking=True)
        descriptors.adopt(self._inotify.fileno())
        self._overflow, self._directory = int(inotify_simple.flags.Q_OVERFLOW), int(inotify_simple.flags.ISDIR)
        self._places: dict[int, Place] = {}

    @property
    def fd(self) -> int:
        """Readable when something appeared."""
        return int(self._inotify.fileno())

    def add(self, place: Place) -> None:
        """Watch a place. Raises OSError."""
        flags = self._kernel.flags
        # CLOSE_WRITE is left out: our own closes would raise it at each claim.
        mask = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR
        self._places[self._inotify.add_watch(f"/proc/self/fd/{place.fd}", mask)] = place

    def add_area(self, area: Place) -> None:
        """Watch a private directory: names that come and go, and files that are written. Raises OSError."""
        flags = self._kernel.flags
        names = flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
        mask = names | flags.MODIFY | flags.CLOSE_WRITE | flags.ONLYDIR
        self._places[self._inotify.add_watch(f"/proc/self/fd/{area.fd}", mask)] = area

    def forget(self, place: Place) -> None:
        """Stop watching one place."""
        for number in [number for number, watched in self._places.items() if watched is place]:
            del self._places[number]
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(number)

    def forget_all(self) -> None:
        """Stop watching all places."""
        for number in self._places:
            with contextlib.suppress(OSError):  # the directory is gone, and its watch with it
                self._inotify.rm_watch(number)
        self._places.clear()

    def read(self) -> list[Appeared] | None:
        """What appeared since the last call, or some of it if that is much; None when the kernel lost some."""
        try:
            data = os.read(self.fd, READ)
        except BlockingIOError:
            return []
        appeared = []
        for number, mask, _, name in self._kernel.parse_events(data):
            if mask & self._overflow:
                return None
            place = self._places.get(number)
            if place is not None and name:
                appeared.append(Appeared(place, name, bool(mask & self._directory)))
        return appeared

    def close(self) -> None:
        """Close the descriptor."""
        descriptors.release(self.fd)
        self._inotify.close()


def start_watching() -> Watch | None:
    """A watch, or None where the system has none or no more of them: polling has to do."""
    try:
        return Watch()
    except OSError:
        return None
