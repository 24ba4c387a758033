"""Watch: the kernel tells which names appear (inotify). A hint only: events may be lost, so the spool is polled too."""

import contextlib
from dataclasses import dataclass
from typing import Any

from . import descriptors
from .tree import Place


@dataclass(frozen=True, slots=True)
class Appeared:
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
        """What appeared since the last call; None when the kernel lost some of it."""
        flags = self._kernel.flags
        appeared = []
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                return None
            place = self._places.get(event.wd)
            if place is not None and event.name:
                appeared.append(Appeared(place, event.name, bool(event.mask & flags.ISDIR)))
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
