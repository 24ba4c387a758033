"""Schedules: their records in `.aspool/schedules`, and the turns in which processes change them. Blocking.

A record is replaced whole, by rename, while a byte of `.aspool/schedules.lock` is locked; the kernel frees it when the
process dies. Its first line is the schedule's name, as JSON.
"""

import errno
import json
import os
import threading
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from zlib import crc32

from ...errors import SpoolUnusable
from ...message import Message
from ...protocol import Stored
from ...turn import Decide, Kept, Taken, Turn
from . import descriptors
from .following.notes import draft_note, give_to_owner, name_note, read_note, remove_note
from .limits.slots import file_name
from .locks import HAVE_OFD, try_lock_byte
from .publish import Item, Publisher, is_small
from .tree import Tree
from .unique import remove_stale

AREA = "schedules"
LOCKS = "schedules.lock"  # beside the area: to close it must not look like a change in it
LARGEST = 300 * 1024  # bytes
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
# Without locks of open files one thread of a process would free the lock of another.
_alone = nullcontext() if HAVE_OFD else threading.Lock()


class Schedules:
    """The schedules of one spool. From any thread."""

    def __init__(self, tree: Tree, publisher: Publisher) -> None:
        self._tree = tree
        self._publisher = publisher
        self._names: dict[str, str] = {}  # of schedules, by their files

    def name_of(self, file: str) -> str | None:
        """The schedule whose record a file is, if that is known here."""
        return self._names.get(file)

    def turn(self, name: str, decide: Decide) -> Taken | None:
        """See turn.KeepsSchedules. Raises SpoolUnusable."""
        self._tree.open()
        with _alone:
            try:
                fd = descriptors.open_descriptor(LOCKS, _FLAGS, 0o600, dir_fd=self._tree.area(""))
                try:
                    give_to_owner(self._tree, fd)
                    if not try_lock_byte(fd, crc32(name.encode(errors="replace"))):
                        return None
                    return self._turn(name, decide)
                finally:
                    descriptors.close_descriptor(fd)
            except OSError as error:
                raise SpoolUnusable(
                    f"the schedule {name} in {self._tree.path} cannot be changed: {error.strerror}"
                ) from error

    def _turn(self, name: str, decide: Decide) -> Taken:
        kept = self._read(file_name(name), _PASSING + _FORBIDDEN)
        before = None if kept is None else kept[1].record
        turn = decide(before, self._lives)
        if turn is None:
            return Taken(before)
        # Written before anything is put: what a full disk would refuse is refused while nothing has happened yet.
        draft = self._draft(name, turn.record, durable=turn.durable)
        record = turn.record
        if turn.record_first:
            self._keep(name, draft, durable=turn.durable)
            answers = self._publish(turn.messages)
        else:
            answers = self._publish(turn.messages)
            record = turn.record_after(answers)
            self._keep(name, self._changed(name, draft, turn, record), durable=turn.durable)
        return Taken(before if record is None else record or None, answers)

    def _publish(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        return self._publisher.publish([Item(message, None, is_small(message)) for message in messages])

    def _draft(self, name: str, record: bytes | None, *, durable: bool) -> str | None:
        """The new record on the disk, but not in its place yet; None if it is to stay as it is, "" if it is to go."""
        if not record:
            return None if record is None else ""
        data = json.dumps(name).encode() + b"\n" + record
        return draft_note(self._tree, AREA, data, durable=durable and self._publisher.durable)

    def _changed(self, name: str, draft: str | None, turn: Turn, record: bytes | None) -> str | None:
        """The draft of the record that is to be kept, if not all messages could be put."""
        if record == turn.record:
            return draft
        if draft:
            os.unlink(draft, dir_fd=self._tree.area("tmp"))
        return self._draft(name, record, durable=turn.durable)

    def _keep(self, name: str, draft: str | None, *, durable: bool) -> None:
        file = file_name(name)
        if draft:
            try:
                name_note(self._tree, AREA, file, draft, durable=durable and self._publisher.durable)
            except FileNotFoundError:  # somebody removed the directory: it is for the next turn
                self._tree.make_again(AREA)
                raise
            self._names[file] = name
        elif draft is not None:
            remove_note(self._tree, AREA, file)
            self._names.pop(file, None)

    def _lives(self, id: str) -> bool:
        """Whether a message of that id waits or runs."""
        return not remove_stale(self._tree.area("ids"), id)

    def records(self, names: Collection[str] | None) -> dict[str, Kept]:
        """The records by the names of their schedules. Raises SpoolUnusable."""
        self._tree.open()
        files = self._listed() if names is None else [file_name(name) for name in names]
        found = (self._read(file) for file in files)
        return dict(kept for kept in found if kept is not None)

    def keep_alive(self, names: Collection[str]) -> None:
        """Note that these are known to a worker. Raises SpoolUnusable."""
        self._tree.open()
        area = self._tree.area(AREA)
        for name in names:
            try:
                os.utime(file_name(name), dir_fd=area, follow_symlinks=False)
            except OSError:
                pass  # it is gone, or none of ours

    def _listed(self) -> list[str]:
        try:
            with descriptors.passing:
                return sorted(os.listdir(self._tree.area(AREA)))
        except OSError as error:
            raise SpoolUnusable(f"the schedules of {self._tree.path} cannot be read: {error.strerror}") from error

    def _read_again(self, file: str, refused: Collection[int]) -> tuple[bytes, float] | None:
        """A record that cannot be read for the moment is not gone. Raises SpoolUnusable."""
        try:
            descriptors.close_descriptor(descriptors.open_descriptor(file, _LOOK, dir_fd=self._tree.area(AREA)))
        except OSError as error:
            if error.errno in refused:
                raise SpoolUnusable(f"{AREA}/{file} of {self._tree.path} cannot be read: {error.strerror}") from error
            self._names.pop(file, None)
            return None
        return read_note(self._tree, AREA, file, LARGEST)

    def _read(self, file: str, refused: Collection[int] = _PASSING) -> tuple[str, Kept] | None:
        """The name and the record of a file; None for what is none of ours."""
        note = read_note(self._tree, AREA, file, LARGEST) or self._read_again(file, refused)
        if note is None:
            return None
        first, _, record = note[0].partition(b"\n")
        try:
            name = json.loads(first)
        except (ValueError, RecursionError):
            return None
        if not isinstance(name, str) or file_name(name) != file:
            return None
        self._names[file] = name
        return name, Kept(record, note[1])
