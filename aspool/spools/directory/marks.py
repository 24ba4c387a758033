"""The mark on a task file: what a worker did with it last, in header byte 3 (modifier2, which uWSGI ignores).

It costs nothing to read, as the header is read anyway; to write it moves the mtime. An xattr says what a byte of
an unknown writer must not: that the job is done, and the file can go; and counts that a full disk kept out of the name.
"""

import os
from enum import IntEnum

XATTR = "user.aspool"
_DONE = b"done"
_AT = 3


class Mark(IntEnum):
    """Numbers that nobody else would write there."""

    NONE = 0
    RUNNING = 0xA1
    PUT_OFF = 0xA2  # or handed back: a worker had it, and now it waits
    UNKNOWN = 0xA3  # put off, as nobody knew its task
    DEAD = 0xA4  # buried where it lies, as the disk was full
    CANCELLED = 0xA5  # about to be deleted, as somebody wanted


_BYTES = {mark: bytes((mark,)) for mark in Mark}
_MARKS = {int(mark): mark for mark in Mark}


def mark_of(modifier2: int) -> Mark:
    """What a header byte says; anything that is not ours says nothing."""
    return _MARKS.get(modifier2, Mark.NONE)


def read_mark(descriptor: int) -> Mark:
    """The mark of an open file. Raises OSError."""
    header = os.pread(descriptor, 1, _AT)
    return mark_of(header[0]) if header else Mark.NONE


def write_mark(descriptor: int, mark: Mark) -> None:
    """Set the mark; the mtime is now, then. Raises OSError."""
    os.pwrite(descriptor, _BYTES[mark], _AT)


def note_done(descriptor: int) -> None:
    """Say that the job of a running file has ended well, but is not settled yet. Raises OSError."""
    if hasattr(os, "setxattr"):
        os.setxattr(descriptor, XATTR, _DONE)


def is_done(descriptor: int) -> bool:
    """Whether `note_done` said so."""
    try:
        return os.getxattr(descriptor, XATTR) == _DONE
    except (OSError, AttributeError):
        return False


def keep_counts(descriptor: int, attempt: int, crashes: int) -> None:
    """Remember what the name should say. Where there are no xattrs it is forgotten."""
    try:
        os.setxattr(descriptor, XATTR, f"{attempt} {crashes}".encode())
    except (OSError, AttributeError):
        pass  # AttributeError: no xattrs in this Python (macOS)


def kept_counts(descriptor: int) -> tuple[int, int]:
    """Attempt and crashes that `keep_counts` remembered, 0 and 0 for none. Forged ones count as none."""
    try:
        attempt, crashes = os.getxattr(descriptor, XATTR).split(b" ")
        return max(0, int(attempt)), max(0, int(crashes))
    except (OSError, ValueError, AttributeError):
        return 0, 0


def drop_counts(descriptor: int) -> None:
    """Forget all that the xattr says: the message begins anew."""
    try:
        os.removexattr(descriptor, XATTR)
    except (OSError, AttributeError):
        pass
