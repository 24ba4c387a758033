"""Looking at the directory, and changing it by hand: what the command line and admin pages need. Blocking.

Looking opens files read-only and takes no locks; changing takes the lock first, so a running job is never touched.
"""

import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ... import wire
from ...browsing import Details, Listed
from ...errors import BadFile, BadPacket
from ...message import front_size
from ...raw import function_of
from . import descriptors, marks, names
from .bury import read_record
from .claim import due_moment
from .following.finding import all_places, id_of
from .following.notes import remove_note
from .following.results import forget_earlier
from .locks import is_locked, try_lock, unlock
from .marks import Mark
from .names import FileName, microseconds
from .scan import scan
from .tree import PRIVATE, Place, Tree
from .unique import free_id, remove_stale

ALL_STATES = ("waiting", "scheduled", "running", "retrying", "unknown", "dead", "corrupt")
PUT_ASIDE = ("dead", "corrupt")
LOOKED_AT = 2000  # due files whose locks are looked at when messages are only counted
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the spool by its name alone."""

    place: Place
    name: str
    due: float  # 0 where only the mtime knows


class Browser:
    """The second protocol (`Browsable`) of the directory spool."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    # --- looking ---------------------------------------------------------------------------------------------

    def browse(self, states: frozenset[str] = frozenset(), limit: int | None = None) -> Sequence[Listed]:
        """The messages in the order of work, of the given states only (none given: all); at most `limit`."""
        listed: list[Listed] = []
        for item in self._all(states):
            if limit is not None and len(listed) >= limit:
                break
            if not states or item.state in states:
                listed.append(item)
        return listed

    def _all(self, states: frozenset[str]) -> Iterator[Listed]:
        now = time.time()
        if not states or states - set(PUT_ASIDE):
            for file in self._files():
                item = self._listed(file, now)
                if item is not None:
                    yield item
        for area in PUT_ASIDE:
            if not states or area in states:
                yield from self._aside(area)

    def counts(self) -> Mapping[str, int]:
        """How many messages there are of each state.

        Of a long queue only the first 2,000 due files are looked into, to tell the running ones.
        """
        now = time.time()
        counted: Counter[str] = Counter(dict.fromkeys(ALL_STATES, 0))
        looked = 0
        for file in self._files():
            name = names.parse(file.name)
            if name is not None and file.due > now and not (name.attempt or name.crashes):
                counted["scheduled"] += 1
            elif looked < LOOKED_AT:
                looked += 1
                item = self._listed(file, now)
                counted[item.state if item else "waiting"] += 1
            else:
                counted["waiting" if file.due <= now else "retrying"] += 1
        for area in PUT_ASIDE:
            counted[area] += sum(1 for _ in self._names_aside(area))
        return dict(counted)

    def find(self, id: str) -> Sequence[Listed]:
        """The messages whose id is `id`; else those whose id begins or ends with it."""
        now = time.time()
        found = [(id_of(file.name), file) for file in self._files()]
        aside = [(id_of(name), area, name) for area in PUT_ASIDE for name in self._names_aside(area)]
        for fits in (id.__eq__, partial(_begins_or_ends, id)):
            items = [self._listed(file, now) for other, file in found if fits(other)]
            items += [self._listed_aside(area, name) for other, area, name in aside if fits(other)]
            if listed := [item for item in items if item is not None]:
                return listed
        return []

    def _files(self) -> Iterator[_File]:
        """All task files of all places, in the order of work, by their names."""
        for place in all_places(self._tree):
            for due, name in sorted(scan(place, 1 << 40).entries):
                yield _File(place, name, due / 1_000_000)

    def _listed(self, file: _File, now: float) -> Listed | None:
        try:
            fd = descriptors.open_descriptor(file.name, _LOOK, dir_fd=file.place.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Listed(id_of(file.name), "waiting", None, _datetime(file.due), file.place.priority,
                          reason=f"cannot be read: {error.strerror}", name=file.place.named(file.name))  # fmt: skip
        try:
            found = os.fstat(fd)
            name = names.parse(file.name) or names.foreign(file.name, found.st_mtime)
            due = due_moment(name, found)
            kept = marks.kept_counts(fd)
            attempt, crashes = max(name.attempt, kept[0]), max(name.crashes, kept[1])
            mark = marks.read_mark(fd)
            tried = bool(attempt or crashes) or mark is Mark.RUNNING
            state = _state(mark, is_locked(fd), due > now, tried)
            task, function = _called(fd)
            return Listed(name.id, state, task, _datetime(due), file.place.priority, attempt, crashes,
                          found.st_size, name=file.place.named(file.name), function=function)  # fmt: skip
        finally:
            descriptors.close_descriptor(fd)

    def _names_aside(self, area: str) -> list[str]:
        directory = self._tree.area(area)
        with descriptors.passing:
            names_there = os.listdir(directory)
        return sorted(name for name in names_there if name.startswith(names.PREFIX) and not name.endswith(".json"))

    def _aside(self, area: str) -> Iterator[Listed]:
        for name in self._names_aside(area):
            item = self._listed_aside(area, name)
            if item is not None:
                yield item

    def _listed_aside(self, area: str, name: str) -> Listed | None:
        try:
            fd = descriptors.open_descriptor(name, _LOOK, dir_fd=self._tree.area(area))
        except OSError:
            return None
        try:
            parsed = names.parse(name) or names.foreign(name, 0)
            record = self._record(area, name)
            priority = record.get("priority")
            task, function = _called(fd)
            return Listed(parsed.id, area, task, _datetime(parsed.due / 1_000_000),
                          priority if isinstance(priority, int) else None, parsed.attempt, parsed.crashes,
                          os.fstat(fd).st_size, str(record.get("reason", "")), f"{PRIVATE}/{area}/{name}",
                          function)  # fmt: skip
        finally:
            descriptors.close_descriptor(fd)

    def _record(self, area: str, name: str) -> dict[str, Any]:
        return read_record(self._tree.area(area), name)

    def read(self, listed: Listed) -> Details:
        """All of one message. Raises FileNotFoundError when it has gone meanwhile."""
        directory, name = self._where(listed)
        fd = descriptors.open_descriptor(name, _LOOK, dir_fd=directory)
        try:
            packet, size = _packet_of(fd), os.fstat(fd).st_size
            if packet is None:
                return Details(listed, history=self._record(listed.state, name) if listed.state in PUT_ASIDE else {})
            front = front_size(packet.variables)
            variables = dict(packet.variables)
            if front:
                variables[b"aspool.args"] = os.pread(fd, front, packet.size)
        finally:
            descriptors.close_descriptor(fd)
        return Details(
            listed,
            {
                key.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
                for key, value in variables.items()
            },
            size - packet.size - front,
            self._record(listed.state, name) if listed.state in PUT_ASIDE else {},
        )

    def _where(self, listed: Listed) -> tuple[int, str]:
        path, _, name = listed.name.rpartition("/")
        if path.startswith(f"{PRIVATE}/"):
            return self._tree.area(path.removeprefix(f"{PRIVATE}/")), name
        return self._tree.place(path).fd, name

    # --- changing --------------------------------------------------------------------------------------------

    def delete(self, listed: Listed) -> bool:
        """Remove a message for good; False when a worker runs it or it has gone meanwhile."""
        directory, name = self._where(listed)
        fd = _lock(directory, name)
        if fd is None:
            return False
        try:
            found = os.fstat(fd)
            if listed.state not in PUT_ASIDE:
                marks.write_mark(fd, Mark.CANCELLED)  # for followers; its job may not have run
            os.unlink(name, dir_fd=directory)
            if found.st_nlink > 1:
                free_id(self._tree, listed.id, found)
            remove_note(self._tree, "changes", listed.id)
            if listed.state in PUT_ASIDE:
                _unlink_if_there(directory, f"{name}.json")
        finally:
            descriptors.close_descriptor(fd)
        return True

    def requeue(self, listed: Listed, due: float) -> bool:
        """Let a message run at `due`, its counts back at 0.

        False when it runs, is broken, has gone meanwhile, or its caller's id waits again in another message.
        """
        if listed.state == "corrupt":
            return False
        directory, name = self._where(listed)
        fd = _lock(directory, name)
        if fd is None:
            return False
        try:
            place = self._tree.top
            if listed.state != "dead":
                place = self._tree.place(listed.name.rpartition("/")[0])
            elif listed.priority is not None:
                place = self._tree.place(str(listed.priority), create=True)
            if listed.state == "dead" and self._record("dead", name).get("unique") and not self._link_id(fd, listed.id):
                return False
            moment = math.ceil(due)
            forget_earlier(self._tree, listed.id)
            marks.write_mark(fd, Mark.NONE)
            marks.drop_counts(fd)
            os.utime(fd, (moment, moment) if due > time.time() else None)
            os.rename(name, str(FileName(microseconds(due), listed.id)), src_dir_fd=directory, dst_dir_fd=place.fd)
            if listed.state == "dead":
                _unlink_if_there(directory, f"{name}.json")
        finally:
            unlock(fd)
            descriptors.close_descriptor(fd)
        return True

    def _link_id(self, fd: int, id: str) -> bool:
        """Let a message that its caller named have its id again; False while another one has it."""
        ids = self._tree.area("ids")
        while True:
            try:
                os.link(f"/proc/self/fd/{fd}", id, dst_dir_fd=ids, follow_symlinks=True)
                return True
            except FileExistsError:
                if not remove_stale(ids, id):
                    return False


def _lock(directory: int, name: str) -> int | None:
    """A file, open and locked and still at its path; None when that cannot be had."""
    try:
        fd = descriptors.open_descriptor(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        if try_lock(fd) and os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=directory, follow_symlinks=False)):
            return fd
    except FileNotFoundError:
        pass
    descriptors.close_descriptor(fd)
    return None


def _begins_or_ends(part: str, id: str) -> bool:
    return id.startswith(part) or id.endswith(part)


def _unlink_if_there(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def _state(mark: Mark, locked: bool, later: bool, tried: bool) -> str:
    if locked:
        return "running"
    if mark is Mark.DEAD:
        return "dead"
    if mark is Mark.UNKNOWN:
        return "unknown"
    if tried:
        return "retrying"
    return "scheduled" if later else "waiting"


def _packet_of(fd: int) -> wire.Packet | None:
    try:
        return wire.decode(os.pread(fd, wire.LARGEST_PACKET, 0))
    except (BadPacket, BadFile, OSError):
        return None


def _called(fd: int) -> tuple[str | None, str]:
    """The task; of a raw message its function, as far as it names one."""
    packet = _packet_of(fd)
    if packet is None:
        return None, ""
    name = packet.variables.get(b"aspool.task")
    if name is None:
        return None, function_of(packet.variables)[1].decode(errors="backslashreplace")
    return name.decode(errors="backslashreplace"), ""


def _datetime(moment: float) -> datetime | None:
    return datetime.fromtimestamp(moment, UTC) if moment else None
