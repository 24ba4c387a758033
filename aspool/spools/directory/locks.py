"""Write locks over whole files that belong to the open file (OFD), as uWSGI's POSIX locks see them.

They exclude uWSGI (F_SETLK in spooler_manage_task), survive other opens and closes in this process, and die with it.
"""

import errno
import fcntl
import struct

HAVE_OFD = hasattr(fcntl, "F_OFD_SETLK")
# struct flock on 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid; l_pid must be 0.
_FORMAT = "hhqqi4x"
Range = tuple[int, int]  # from the first byte to before the second
_WRITE = struct.pack(_FORMAT, fcntl.F_WRLCK, 0, 0, 0, 0)
_FREE = struct.pack(_FORMAT, fcntl.F_UNLCK, 0, 0, 0, 0)


def try_lock(descriptor: int) -> bool:
    """Lock a file open for writing; False when somebody else has a lock on it. Raises OSError otherwise."""
    try:
        if HAVE_OFD:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WRITE)
        else:  # belongs to the open file too, but uWSGI does not see it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Give the lock back. A close would do, unless a forked child has the file open too."""
    if HAVE_OFD:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FREE)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def may_flock(descriptor: int) -> bool:
    """Whether nobody holds the other kind of lock (flock), with which a job's child process guards its message."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if HAVE_OFD:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def is_locked(descriptor: int) -> bool:
    """Whether anybody else holds a lock on the file. Leaves no lock behind."""
    if not HAVE_OFD:
        if not try_lock(descriptor):
            return True
        unlock(descriptor)
        return False
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WRITE)
    return bool(struct.unpack(_FORMAT, answer)[0] != fcntl.F_UNLCK)


def try_lock_byte(descriptor: int, at: int) -> bool:
    """Lock one byte of a file open for writing; False when somebody else has it. Raises OSError otherwise."""
    try:
        if HAVE_OFD:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FORMAT, fcntl.F_WRLCK, 0, at, 1, 0))
        else:  # belongs to the process, which must not open the file twice
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock_byte(descriptor: int, at: int) -> None:
    """Give the byte back. Raises OSError."""
    if HAVE_OFD:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FORMAT, fcntl.F_UNLCK, 0, at, 1, 0))
    else:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, at)


def locked_by_others(descriptor: int, start: int, end: int) -> list[Range]:
    """The locks of others that touch these bytes; none where the system cannot tell. Leaves no lock behind."""
    if not HAVE_OFD:
        return []
    found: list[Range] = []
    asked = [(start, end)]
    while asked:  # the kernel names any one of them: it divides what is left to ask about
        start, end = asked.pop()
        if start >= end:
            continue
        flock = struct.pack(_FORMAT, fcntl.F_WRLCK, 0, start, end - start, 0)
        kind, _, at, length, _ = struct.unpack(_FORMAT, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, flock))
        if kind != fcntl.F_UNLCK:
            after = at + length if length else end
            found.append((at, after))
            asked += [(start, at), (after, end)]
    return found
