"""A task file while it is written: it has no name until it is whole, so no reader ever sees a part of it."""

import errno
import math
import os
import zlib
from typing import Final

from ... import wire
from ...message import Message, to_variables
from . import descriptors
from .tree import PRIVATE, Place, Tree

LENGTH: Final = b"aspool.len"
CHECKSUM: Final = b"aspool.crc"
_NO_LENGTH = b"0" * 16
_NO_CHECKSUM = b"0" * 8
_LENGTH_AT = slice(-38, -22)  # both stand at the end of the packet: 16 digits, then 8 after the name of the other
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR)
SMALL = 64 * 1024  # bytes: what is smaller goes to the disk in one write


class Draft:
    """One message on its way into a place. Use: `begin`, `write` the body, `seal`, then link it, then `close`."""

    __slots__ = (
        "_body_size",
        "_checksum",
        "_pending",
        "_template",
        "_tmp",
        "_written",
        "fd",
        "message",
        "place",
        "tree",
    )

    def __init__(self, tree: Tree, message: Message, *, durable: bool) -> None:
        self.tree = tree
        self.message = message
        variables, front = to_variables(message)
        self._template = wire.encode({**variables, LENGTH: _NO_LENGTH, CHECKSUM: _NO_CHECKSUM})
        self._tmp: str | None = None
        self._written = False
        self._body_size = 0
        self._checksum = 0
        self._pending: list[bytes] = []
        priority = "" if message.priority is None else str(message.priority)
        self.place: Place = tree.place(priority, create=True, sync=durable)
        self.fd = self._open()
        try:
            os.fchmod(self.fd, 0o600)  # whatever the umask
            self.write(front)
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

    def write(self, data: bytes) -> None:
        """Append to the body. Small bodies wait in memory for `seal`. Raises OSError."""
        if not data:
            return
        self._body_size += len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        self._pending.append(data)
        if self._body_size >= SMALL:
            self._flush()

    def _flush(self) -> None:
        pieces = self._pending if self._written else [self._template, *self._pending]
        self._written = True
        self._pending = []
        _write_all(self.fd, b"".join(pieces))

    def note_written(self, data: bytes) -> None:
        """Count a piece of the body that somebody else writes, to the path of `start_stream`."""
        self._body_size += len(data)
        self._checksum = zlib.crc32(data, self._checksum)

    def start_stream(self) -> str:
        """Write what has come so far; then the body is appended to the file that this path opens.

        Not to our descriptor: a write that outlives its cancelled caller must not find another file at that number.
        """
        self._flush()
        return (
            f"/proc/self/fd/{self.fd}" if self._tmp is None else os.path.join(self.tree.path, PRIVATE, "tmp", self._tmp)
        )

    def seal(self) -> None:
        """Fill in length and checksum and set the mtime: the file is whole. Raises OSError."""
        start = self._template[: _LENGTH_AT.start] + b"%016d" % self._body_size
        packet = start + self._template[_LENGTH_AT.stop :]
        packet = packet[: -len(_NO_CHECKSUM)] + b"%08x" % zlib.crc32(packet, self._checksum)
        if self._written:
            if self._pending:
                self._flush()
            os.pwrite(self.fd, packet, 0)
        else:
            _write_all(self.fd, b"".join([packet, *self._pending]))
        if self.message.due > self.message.spooled:  # what is due at once keeps the time it was written
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


def checksum_fits(data: bytes, packet_size: int, expected: bytes) -> bool:
    """Whether a whole file has the checksum that its variables say: of the body, then of the packet without it.

    Header byte 3 counts as 0: it may carry a mark.
    """
    blank = data[:3] + b"\0" + data[4 : packet_size - len(_NO_CHECKSUM)] + _NO_CHECKSUM
    return b"%08x" % zlib.crc32(blank, zlib.crc32(data[packet_size:])) == expected


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
