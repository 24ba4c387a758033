"""Room: how many more messages a bounded spool takes, and whether the disk has the space. Blocking, from any thread.

What is written here is counted as it comes; what others do is seen by counting the files anew, now and then.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ....errors import SpoolFull
from ....message import Message
from ...options import checked_bound
from ...readers import in_memory
from .. import descriptors
from ..names import PREFIX
from ..tree import DEEPEST, Place, Tree

RARELY = 20  # counting may take one part in so many of the time,
CHEAP = 0.001  # or, when the spool seems full, any part if it takes less than so many seconds
COARSE = 20_000_000  # ns: a directory that changed so shortly before it was read may have changed since
PACKET = 1024  # bytes that a message takes beside its arguments and its body, about


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a spool may hold: so many messages that are not dead; and how many bytes stay free on its file system."""

    max_waiting: int | None = None
    min_free: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_waiting", self.max_waiting), ("min_free", self.min_free)):
            if value is not None:
                checked_bound(name, value)


class _Counted(NamedTuple):
    """One directory as it was counted. `mtime` in ns, -1 if it may have changed since without showing it."""

    mtime: int
    files: int
    directories: tuple[str, ...]


class Room:
    """The room in one bounded spool."""

    def __init__(self, tree: Tree, bounds: Bounds) -> None:
        self._tree = tree
        self._bounds = bounds
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._generation = descriptors.generation()
        self._places: dict[Place, _Counted] = {}
        self._files = 0  # that were counted
        self._added = 0  # messages that were let in since, or were on their way then
        self._on_the_way = 0
        self._took = -1.0  # seconds for the last count
        self._ended = 0.0  # when that was, of the monotonic clock

    def let_in(self, items: Sequence[tuple[Message, int]]) -> list[SpoolFull | None]:
        """Why each message, of so many bytes, may not come in. The others are on their way until `arrived`.

        Raises OSError or SpoolUnusable.
        """
        if self._generation != descriptors.generation():
            self._begin()  # in a fork, where nobody would give back the lock, and nothing is on its way
        with self._lock:
            free = self._free_bytes()
            answers: list[SpoolFull | None] = []
            for message, size in items:
                answer = self._no_space(free, size) or self._no_place(message)
                if answer is None:
                    free -= size
                    self._added += 1
                    self._on_the_way += 1
                answers.append(answer)
            return answers

    def arrived(self, let_in: int, stored: int) -> None:
        """So many of those that were let in are in the spool now; the others came to nothing."""
        with self._lock:
            self._on_the_way -= let_in
            self._added -= let_in - stored

    def check(self, message: Message) -> None:
        """Raises SpoolFull if it could not come in now, before anything of it is written."""
        (refusal,) = self.let_in([(message, PACKET)])
        if refusal is not None:
            raise refusal
        self.arrived(1, 0)

    def _no_space(self, free: float, size: int) -> SpoolFull | None:
        least = self._bounds.min_free
        if least is None or free - size >= least:
            return None
        return SpoolFull(
            f"the disk of {self._tree.path} has {free:.0f} bytes free, and min_free={least} of them must stay free "
            "beside a new message: make room and spool again"
        )

    def _free_bytes(self) -> float:
        if self._bounds.min_free is None:
            return 0.0
        found = os.fstatvfs(self._tree.top.fd)
        return float(found.f_bavail * found.f_frsize)

    def _no_place(self, message: Message) -> SpoolFull | None:
        most = self._bounds.max_waiting
        if most is None or self._messages(most) < most or self._is_there(message):
            return None
        return SpoolFull(
            f"the spool {self._tree.path} is full: {self._files + self._added} messages wait or run, and max_waiting "
            f"is {most}; spool again when workers have finished some"
        )

    def _is_there(self, message: Message) -> bool:
        """Whether it is a duplicate, which needs no room."""
        if not message.unique:
            return False
        try:
            return os.stat(message.id, dir_fd=self._tree.area("ids"), follow_symlinks=False).st_nlink > 1
        except OSError:
            return False

    # --- counting --------------------------------------------------------------------------------------------

    def _messages(self, most: int) -> int:
        """How many there are. While nobody else writes it is this or less, so a full spool is worth another count."""
        age = time.monotonic() - self._ended
        is_full = self._files + self._added >= most
        if self._took < 0 or age > RARELY * self._took or (is_full and self._took < CHEAP):
            self._count()
        return self._files + self._added

    def _count(self) -> None:
        started = time.monotonic()
        self._added = self._on_the_way
        seen: dict[Place, _Counted] = {}
        paths = [""]
        while paths:
            path = paths.pop()
            try:
                place = self._tree.place(path) if path else self._tree.top
                counted = seen[place] = self._counted(place)
            except OSError:
                if not path:
                    raise
                continue  # it has gone, or is no directory
            paths += map(place.named, counted.directories)
        self._places = seen
        self._files = sum(counted.files for counted in seen.values())
        self._ended = time.monotonic()
        self._took = self._ended - started

    def _counted(self, place: Place) -> _Counted:
        mtime, now = os.fstat(place.fd).st_mtime_ns, time.time_ns()
        known = self._places.get(place)
        if known is not None and known.mtime == mtime:
            return known
        files, directories = 0, []
        deep = place.path.count("/") + 1 < DEEPEST
        fd = descriptors.open_descriptor(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.fd)
        try:
            with descriptors.passing, os.scandir(fd) as entries:
                for entry in entries:
                    if entry.name.startswith(PREFIX):
                        files += entry.is_file(follow_symlinks=False)
                    elif deep and entry.name.isdecimal() and entry.name.isascii():
                        directories.append(entry.name)
        finally:
            descriptors.close_descriptor(fd)
        return _Counted(mtime if now - mtime > COARSE else -1, files, tuple(directories))


def size_of(message: Message) -> int:
    """The bytes that it takes, with the body that is at hand."""
    return PACKET + len(message.arguments) + len(in_memory(message.body) or b"")
