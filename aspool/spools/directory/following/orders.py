"""Orders: `.aspool/orders/<id>~<who>` says that somebody wants the running job of a message to be cancelled.

The worker that runs it takes the order by removing the file; whoever placed it removes it when it is void.
"""

import os
import time
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from ....errors import SpoolUnusable
from ....ids import ID_PATTERN
from ....protocol import Claim
from ...bell import Bell
from .. import descriptors
from ..tree import PRIVATE, Tree
from .changes import note_cancelled
from .finding import names_in
from .wake import Ringer

AREA = "orders"
MOST = 10_000  # orders that are read at once
ABANDONED = 10.0  # seconds without a sign of life from whoever placed an order; it has one each second
_REFUSED = (OSError, SpoolUnusable)
_RETRIES = (0.0, 0.05, 1.0)  # seconds until it is tried again: the job of a claim begins a moment after it


class Order:
    """One order, placed. Blocking; all of it takes microseconds."""

    def __init__(self, tree: Tree, id: str) -> None:
        self._tree = tree
        self._name = f"{id}~{os.urandom(6).hex()}"

    def place(self) -> None:
        """Raises SpoolUnusable."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            fd = descriptors.open_descriptor(self._name, flags, dir_fd=self._tree.area(AREA))
        except OSError as error:
            where = f"{self._tree.path}/{PRIVATE}/{AREA}"
            raise SpoolUnusable(f"an order to cancel a task cannot be left in {where}: {error.strerror}") from error
        descriptors.close_descriptor(fd)

    def is_open(self) -> bool:
        """Whether no worker has taken it yet. Keeps it young, so that no sweep takes it."""
        try:
            os.utime(self._name, dir_fd=self._tree.area(AREA))
        except FileNotFoundError:
            return False
        except OSError:
            pass
        return True

    def withdraw(self) -> bool:
        """Remove it; False when a worker has taken it before."""
        try:
            os.unlink(self._name, dir_fd=self._tree.area(AREA))
        except FileNotFoundError:
            return False
        except _REFUSED:
            pass
        return True

    def watch(self, ringer: Ringer, bell: Bell) -> Callable[[], None]:
        """Ring the bell when it is taken; returns what ends that."""

        def tell(name: str, closed: bool) -> None:  # noqa: ARG001 - a Listener
            if name in ("", self._name):
                bell.ring()

        number = ringer.watch_removals(self._tree.area(AREA), tell)
        return (lambda: None) if number is None else (lambda: ringer.unwatch(number, tell))


class OrderBook:
    """The open orders, as a worker sees them, which takes those for the jobs that it runs."""

    def __init__(self, tree: Tree, cancel: Callable[[str], bool]) -> None:
        self._tree = tree
        self._cancel = cancel
        self.open: dict[str, set[str]] = {}  # names by id

    def listed(self) -> list[str]:
        """The names in it. Blocking."""
        try:
            with descriptors.passing, os.scandir(self._tree.area(AREA)) as entries:
                return [entry.name for entry in islice(entries, MOST)]
        except _REFUSED:
            return []

    def install(self, names: Sequence[str]) -> None:
        """All that there are."""
        self.open.clear()
        for name in names:
            self._note(name)
        for id in tuple(self.open):
            self._try(id, ())

    def came(self, name: str) -> None:
        """There is an order, or it has gone."""
        id = name.partition("~")[0]
        if name in self.open.get(id, ()):
            self._try(id, ())
        elif self._note(name):
            self._try(id, _RETRIES)

    def _note(self, name: str) -> bool:
        id = name.partition("~")[0]
        if not ID_PATTERN.fullmatch(id) or len(self.open) >= MOST:
            return False
        self.open.setdefault(id, set()).add(name)
        return True

    def claimed(self, claims: Iterable[Claim]) -> None:
        """This worker has claimed messages; their jobs begin in the next moment."""
        for claim in claims:
            if claim.message.id in self.open:
                get_running_loop().call_soon(self._try, claim.message.id, _RETRIES)

    def _try(self, id: str, again: Sequence[float]) -> None:
        """Carry it out if the job is here; it may be about to begin here."""
        for name in sorted(self.open.get(id, ())):
            if not self._is_there(name):
                self._drop(id, name)
            elif self._cancel(id):
                note_cancelled(self._tree, id)  # before whoever wants it is told
                self._drop(id, name)
                self._remove(name)
        if again and id in self.open:
            get_running_loop().call_later(again[0], self._try, id, again[1:])

    def _is_there(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._tree.area(AREA), follow_symlinks=False)
        except _REFUSED:
            return False
        return True

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._tree.area(AREA))
        except _REFUSED:
            pass  # withdrawn meanwhile; or no file: then the sweep cannot take it either

    def _drop(self, id: str, name: str) -> None:
        names = self.open.get(id, set())
        names.discard(name)
        if not names:
            self.open.pop(id, None)


def void_orders(tree: Tree, id: str) -> None:
    """A new message has this id: remove what callers that were killed wanted of an earlier one. Never fails."""
    try:
        for name in names_in(tree.area(AREA), f"{id}~"):
            if os.stat(name, dir_fd=tree.area(AREA), follow_symlinks=False).st_mtime < time.time() - ABANDONED:
                os.unlink(name, dir_fd=tree.area(AREA))
    except _REFUSED:
        pass  # withdrawn meanwhile; what is left the sweep takes
