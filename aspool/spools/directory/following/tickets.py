"""Tickets: what a ticket asks of the directory spool: follow a message, cancel it, let it run at another moment."""

import math
import os
from asyncio import sleep
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from anyio import to_thread
from anyio.lowlevel import RunVar

from ....errors import SpoolUnusable
from ....ids import ID_PATTERN
from ....protocol import Whereabouts
from .. import descriptors, marks, names
from ..claim import due_moment
from ..locks import try_lock, unlock
from ..marks import Mark
from ..names import microseconds
from ..tree import Tree
from ..unique import free_id
from .follow import MOMENT, Eyes, FileFollower
from .notes import remove_note
from .orders import Order
from .results import Results
from .search import Search
from .shown import Shown
from .standing import MessageFile, place_of
from .wake import Ringer

REMEMBERED = 10_000  # messages whose last place is known, so that nobody need search for them
TRIES = 3  # a message that is moved again and again may be missed
_eyes: RunVar["WeakKeyDictionary[Tickets, Eyes]"] = RunVar("aspool_eyes")
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class _Held(NamedTuple):
    """A message file, open for writing and locked, and where it is."""

    fd: int
    directory: int
    name: str


class Tickets:
    """One per spool."""

    def __init__(self, tree: Tree, results: Results) -> None:
        self._tree = tree
        self._results = results
        self._paths: OrderedDict[str, str] = OrderedDict()  # by id, below the spool

    @asynccontextmanager
    async def following(self, id: str, put: Whereabouts | None) -> AsyncIterator[FileFollower]:
        """Follow one message, as long as the block lasts. Raises SpoolUnusable."""
        if not self._tree.is_open:
            await to_thread.run_sync(self._tree.open)
        eyes = self._shared()
        follower = FileFollower(id, eyes, partial(self._find, id, put))
        eyes.ringer.enter()
        try:
            yield follower
        finally:
            self._remember(follower)
            follower.close()
            eyes.ringer.leave()

    def _shared(self) -> Eyes:
        """What the followers of this event loop share."""
        all_eyes = _eyes.get(None)
        if all_eyes is None:
            all_eyes = WeakKeyDictionary()
            _eyes.set(all_eyes)
        if self not in all_eyes:
            ringer = Ringer()
            all_eyes[self] = Eyes(self._results, ringer, Shown(self._tree, ringer), Search(self._tree))
        return all_eyes[self]

    # --- finding ---------------------------------------------------------------------------------------------

    async def _find(self, id: str, put: Whereabouts | None) -> MessageFile | None:
        """Where it was put, where it was last, or wherever it is. Raises OSError."""
        if not ID_PATTERN.fullmatch(id):
            return None
        for _ in range(TRIES):
            for path in self._likely(id, put):
                file = MessageFile.open(self._tree, path)
                if file is not None:
                    return file
            found = await self._shared().search.path_of(id)
            if found is None:
                return None
            self._paths[id] = found
        return None

    def _likely(self, id: str, put: Whereabouts | None) -> list[str]:
        known = self._paths.get(id)
        paths = [] if known is None else [known]
        if put is not None:
            name = names.written(microseconds(put.due), id, 0, 0)
            paths.append(name if put.priority is None else f"{put.priority}/{name}")
        return paths

    def _remember(self, follower: FileFollower) -> None:
        self._paths.pop(follower.id, None)
        try:
            path = None if follower.file is None else follower.file.path()
        except (OSError, SpoolUnusable):
            return
        if path is not None:
            self._paths[follower.id] = path
            if len(self._paths) > REMEMBERED:
                self._paths.popitem(last=False)

    # --- changing --------------------------------------------------------------------------------------------

    async def cancel(self, id: str, put: Whereabouts | None) -> bool:
        """Remove a message that waits, or have its running job stopped; False when it is over, or not there.

        Waits until the worker has taken the order. Raises SpoolUnusable.
        """
        async with self.following(id, put) as follower:
            while not (standing := await follower.look()).is_over:
                if standing.state != "running":
                    if await self._change(follower, partial(self._remove, id)):
                        return True
                    await sleep(MOMENT)  # somebody was quicker: what it is now is seen then
                elif (taken := await self._order(follower)) is not None:
                    return taken
        return False

    async def _order(self, follower: FileFollower) -> bool | None:
        """Have a running job stopped; False if it ended by itself, None if it runs no more but is not over."""
        order = Order(self._tree, follower.id)
        order.place()
        unwatch = order.watch(self._shared().ringer, follower.bell)
        try:
            while order.is_open():
                standing = await follower.look()
                if standing.is_over:
                    return not order.withdraw()
                if standing.state != "running":
                    return None if order.withdraw() else True
                await follower.changed()
            return True
        finally:
            unwatch()
            order.withdraw()

    def _remove(self, id: str, held: _Held) -> None:
        marks.write_mark(held.fd, Mark.CANCELLED)  # first: with a record, but no mark, it would run all the same
        self._results.keep_cancelled(id, "before it ran")
        found = os.fstat(held.fd)
        os.unlink(held.name, dir_fd=held.directory)
        if found.st_nlink > 1:
            free_id(self._tree, id, found)
        remove_note(self._tree, "changes", id)

    async def reschedule(self, id: str, put: Whereabouts | None, due: float | None, priority: int | None) -> bool:
        """Let a waiting message run at another moment, with another priority (None: as it is); False if it runs.

        False too when it is over, or not there. Raises SpoolUnusable.
        """
        async with self.following(id, put) as follower:
            while (await follower.look()).state in ("waiting", "scheduled", "retrying"):
                if await self._change(follower, partial(self._move, id, due, priority)):
                    return True
                await sleep(MOMENT)
        return False

    def _move(self, id: str, due: float | None, priority: int | None, held: _Held) -> None:
        """As a put-off does: the mtime, then one rename."""
        found = os.fstat(held.fd)
        name = names.parse(held.name) or names.foreign(held.name, found.st_mtime)
        moment = due_moment(name, found) if due is None else max(0.0, due)
        directory = held.directory
        if priority is not None:
            directory = self._tree.place(str(priority), create=True).fd
        if due is not None:
            rounded = math.ceil(moment)
            os.utime(held.fd, (rounded, rounded))
        new_name = names.written(microseconds(moment), id, name.attempt, name.crashes)
        os.rename(held.name, new_name, src_dir_fd=held.directory, dst_dir_fd=directory)

    async def _change(self, follower: FileFollower, change: Callable[[_Held], None]) -> bool:
        """Change a message that waits; False when somebody else has it, or it is no longer there."""
        if follower.file is None:
            return False
        return await to_thread.run_sync(_change, self._tree, follower.file, change)


def _change(tree: Tree, file: MessageFile, change: Callable[[_Held], None]) -> bool:
    fd = -1
    try:
        path = file.path()
        if path is None:
            return False
        directory, name = place_of(tree, path)
        fd = descriptors.open_descriptor(name, _OPEN, dir_fd=directory)
        if not (os.path.samestat(os.fstat(fd), os.fstat(file.fd)) and try_lock(fd) and file.path() == path):
            return False
        try:
            change(_Held(fd, directory, name))
        finally:
            unlock(fd)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SpoolUnusable(f"a message in {tree.path} cannot be changed: {error.strerror}") from error
    finally:
        descriptors.close_descriptor(fd)
    return True
