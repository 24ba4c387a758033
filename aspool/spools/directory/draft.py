"""A task file while it is written: it has no name until it is whole, so no reader ever sees a part of it."""

import errno
import math
import os
from collections.abc import Iterable

from ...message import Message
from . import descriptors
from .content import Content
from .tree import PRIVATE, Place, Tree

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR)


class Draft:
    """One message on its way into a place: written as a whole or as a stream, then linked, then closed."""

    __slots__ = ("_content", "_tmp", "fd", "message", "place", "tree")

    def __init__(self, tree: Tree, message: Message, *, durable: bool) -> None:
        self.tree = tree
        self.message = message
        self._content = Content(message)
        self._tmp: str | None = None
        priority = "" if message.priority is None else str(message.priority)
        self.place: Place = tree.place(priority, create=True, sync=durable)
        self.fd = self._open()
        if tree.strips_modes:
            try:
                os.fchmod(self.fd, 0o600)
            except BaseException:
                self.close()
                raise

    def _open(self) -> int:
        try:
            fd = descriptors.open_descriptor(".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=self.place.fd)
        except (OSError, AttributeError) as error:  # AttributeError: no O_TMPFILE on this system (macOS)
            if isinstance(error, OSError) and error.errno not in _NO_TMPFILE:
                raise
            self._tmp = f"{self.message.id}.{os.urandom(4).hex()}"
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            fd = descriptors.open_descriptor(self._tmp, flags, 0o600, dir_fd=self.tree.area("tmp"))
        return fd

    def write_whole(self, body: bytes) -> None:
        """Write all of it, with a body that is at hand. Raises OSError."""
        self._content.add(body)
        for piece in (self._content.packet() + self._content.front, body):
            _write_all(self.fd, piece)

    def write_stream(self, chunks: Iterable[bytes]) -> None:
        """Write all of it, with a body that comes in pieces. Raises OSError, and what the pieces raise."""
        self._begin()
        for chunk in chunks:
            _write_all(self.fd, chunk)
            self._content.add(chunk)
        self.end_stream()

    def begin_stream(self) -> str:
        """Write the packet; then the body is appended to the file that this path opens. Raises OSError.

        Not to our descriptor: a write that outlives its cancelled caller must not find another file at that number.
        """
        self._begin()
        if self._tmp is None:
            return f"/proc/self/fd/{self.fd}"
        return os.path.join(self.tree.path, PRIVATE, "tmp", self._tmp)

    def _begin(self) -> None:
        _write_all(self.fd, self._content.packet() + self._content.front)

    def note_written(self, data: bytes) -> None:
        """Count a piece of the body that somebody else writes, to the path of `begin_stream`."""
        self._content.add(data)

    def end_stream(self) -> None:
        """Fill in the length and the checksum, which are known now. Raises OSError."""
        os.pwrite(self.fd, self._content.packet(), 0)

    def set_due(self) -> None:
        """The last step before it gets its name: the mtime. What is due at once keeps the time it was written."""
        if self.message.due > self.message.spooled:
            due = math.ceil(self.message.due)
            os.utime(self.fd, (due, due))

    def link(self, name: str, directory: int) -> None:
        """Give the file a name. Raises FileExistsError when it is taken, or another OSError."""
        if self._tmp is None:
            # Passing dst_dir_fd makes Python call linkat with AT_SYMLINK_FOLLOW; without it, link(2) does not follow.
            os.link(f"/proc/self/fd/{self.fd}", name, dst_dir_fd=directory, follow_symlinks=True)
        else:
            os.link(self._tmp, name, src_dir_fd=self.tree.area("tmp"), dst_dir_fd=directory)

    def close(self) -> None:
        """Let go of the file; without a name it is gone."""
        if self._tmp is not None:
            try:
                os.unlink(self._tmp, dir_fd=self.tree.area("tmp"))
            except OSError:
                pass  # the sweep takes it
            self._tmp = None
        descriptors.close_descriptor(self.fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
