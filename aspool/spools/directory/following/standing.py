"""Standing: one message file, open for reading and followed by its inode, tells how its message stands.

The kernel knows its present name, whatever renames it; the mark tells, when the last name is gone, how it ended.
"""

import errno
import fcntl
import os
import stat

from ....failures import Failure
from ....protocol import Standing, State
from ....records import dead_record
from .. import descriptors, marks, names
from ..bury import read_record
from ..claim import due_moment
from ..locks import is_locked
from ..marks import Mark
from ..tree import PRIVATE, Tree

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_MESSAGE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)  # no file, or a link, or a socket
_GONE = " (deleted)"  # how the kernel ends the path of a file without a name


class MessageFile:
    """One message of a spool, wherever it is moved. All of it takes microseconds."""

    def __init__(self, tree: Tree, fd: int) -> None:
        self._tree = tree
        self.fd = fd
        self.has_run = False  # somebody was seen to have locked it

    @classmethod
    def open(cls, tree: Tree, path: str) -> "MessageFile | None":
        """The message at a path below the spool; None when there is none. Raises OSError."""
        try:
            directory, name = place_of(tree, path)
            fd = descriptors.open_descriptor(name, _LOOK, dir_fd=directory)
        except OSError as error:
            if error.errno in _NO_MESSAGE:
                return None
            raise
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return cls(tree, fd)
        descriptors.close_descriptor(fd)
        return None

    def path(self) -> str | None:
        """Where it is now, below the spool; None when it has no name any more. Raises OSError."""
        found = os.fstat(self.fd)
        if found.st_nlink == 0:
            return None
        path = path_of(self.fd)
        if path.endswith(_GONE) and not _leads_to(path, found):
            return None  # but its caller's id may still be a link to it
        root = f"{path_of(self._tree.top.fd)}/"
        return path.removeprefix(root) if path.startswith(root) else None

    def standing(self, now: float) -> Standing | None:
        """How it stands; None when it has no name any more. Raises OSError."""
        path = self.path()
        if path is None:
            return None
        mark = marks.read_mark(self.fd)
        locked = is_locked(self.fd)
        if not locked and (self.path(), marks.read_mark(self.fd)) != (path, mark):
            return self.standing(now)  # it was claimed or settled between the two looks
        directory, _, file_name = path.rpartition("/")
        found = os.fstat(self.fd)
        name = names.parse(file_name) or names.foreign(file_name, found.st_mtime)
        if directory.startswith(PRIVATE):
            return Standing("dead", name.attempt) if directory.endswith("/dead") else Standing("unknown")
        kept = marks.kept_counts(self.fd) if mark else (0, 0)
        attempt, crashes = max(name.attempt, kept[0]), max(name.crashes, kept[1])
        # The mark of a running file moved its mtime.
        due = name.due / 1_000_000 if mark is Mark.RUNNING else due_moment(name, found)
        tried = bool(attempt or crashes) or mark is Mark.RUNNING
        state = _state(mark, locked, due > now, tried)
        return Standing(state, attempt + (state != "dead"), due)

    def buried(self) -> bytes | None:
        """Why it is dead, as a record of its end. Raises OSError."""
        path = self.path()
        found = read_record(self._tree.area("dead"), path.rpartition("/")[2]) if path is not None else {}
        if not isinstance(reason := found.get("reason"), str):
            return None
        return dead_record(Failure(reason, str(found.get("traceback") or "")))

    @property
    def mark(self) -> Mark:
        """What a worker did with it last. Raises OSError."""
        return marks.read_mark(self.fd)

    def end(self) -> State:
        """How it ended, now that it has no name: done, cancelled, or unknown. Raises OSError."""
        mark = self.mark
        if mark is Mark.CANCELLED:
            return "cancelled"
        # uWSGI sets no marks; what somebody removed by hand may have run, or not.
        return "done" if mark is Mark.RUNNING or self.has_run else "unknown"

    def close(self) -> None:
        """Let go of it: as long as it is open its room on the disk is not free."""
        descriptors.close_descriptor(self.fd)


def place_of(tree: Tree, path: str) -> tuple[int, str]:
    """The directory and the name of a path below the spool. Raises OSError."""
    directory, _, name = path.rpartition("/")
    if directory.startswith(f"{PRIVATE}/"):
        return tree.area(directory.removeprefix(f"{PRIVATE}/")), name
    return tree.place(directory).fd, name


def _leads_to(path: str, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), found)
    except OSError:
        return False


def path_of(fd: int) -> str:
    """The path of an open file, now. Raises OSError."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        get_path: int | None = getattr(fcntl, "F_GETPATH", None)  # macOS
        if get_path is None:
            raise
        path: bytes = fcntl.fcntl(fd, get_path, bytes(1024))
        return os.fsdecode(path.rstrip(b"\0"))


def _state(mark: Mark, locked: bool, later: bool, tried: bool) -> State:
    if locked:
        return "running"
    if mark is Mark.DEAD:
        return "dead"
    if tried:
        return "retrying"
    return "scheduled" if later else "waiting"
