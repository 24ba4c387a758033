"""The mark on a task file: who touched it last, and what its name could not say because the disk was full.

An xattr; where the file system has none, header byte 3 (modifier2, which uWSGI ignores) says "running".
"""

import errno
import os
from dataclasses import dataclass

XATTR = "user.aspool"
RUNNING, DONE, PUT_OFF, UNKNOWN, DEAD = "r", "f", "p", "u", "d"
_HEADER_RUNNING = b"\x01"
_NO_XATTRS = (errno.ENOTSUP, errno.ENOSPC, errno.EDQUOT, errno.EPERM, errno.E2BIG)


@dataclass(frozen=True, slots=True)
class Mark:
    """`kind`: a worker runs it (r), its job is done but not settled yet (f), it was put off in place (p), nobody
    knows its task (u), it is dead in place (d).
    """

    kind: str
    attempt: int = 0
    crashes: int = 0


def read_mark(descriptor: int, modifier2: int = 0) -> Mark | None:
    """The mark of an open file, None when it has none. A forged one counts as none."""
    try:
        text = os.getxattr(descriptor, XATTR).decode()
        kind, attempt, crashes = text.split(" ")
        if kind in (RUNNING, DONE, PUT_OFF, UNKNOWN, DEAD):
            return Mark(kind, max(0, int(attempt)), max(0, int(crashes)))
    except (OSError, ValueError, AttributeError):
        pass  # no xattr, none here at all (macOS), or not ours
    return Mark(RUNNING) if modifier2 == _HEADER_RUNNING[0] else None


def note_done(descriptor: int) -> None:
    """Say that the job of a marked file is done; only an xattr can. Raises OSError."""
    if hasattr(os, "setxattr"):
        os.setxattr(descriptor, XATTR, f"{DONE} 0 0".encode(), os.XATTR_REPLACE)


def write_mark(descriptor: int, mark: Mark) -> None:
    """Set the mark. Raises OSError when the disk cannot even keep the plain form."""
    try:
        os.setxattr(descriptor, XATTR, f"{mark.kind} {mark.attempt} {mark.crashes}".encode())
        return
    except AttributeError:
        pass  # no xattrs in this Python (macOS)
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            raise
    if mark.kind == RUNNING:
        _write_header(descriptor, _HEADER_RUNNING)


def clear_mark(descriptor: int) -> None:
    """Remove the mark. Raises OSError when the disk refuses."""
    try:
        os.removexattr(descriptor, XATTR)
    except AttributeError:
        pass
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
    if os.pread(descriptor, 1, 3) == _HEADER_RUNNING:
        _write_header(descriptor, b"\x00")


def _write_header(descriptor: int, modifier2: bytes) -> None:
    before = os.fstat(descriptor)
    os.pwrite(descriptor, modifier2, 3)
    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))  # the mtime is the due moment
