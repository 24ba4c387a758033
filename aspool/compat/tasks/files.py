"""Task files as `uwsgi.spooler_jobs`, `spooler_get_task` and `parsefile` look at them. Nothing is changed or locked."""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable, Iterator

from ...errors import BadPacket
from ...wire import LARGEST_PACKET, Packet, decode
from .current import current

PREFIX = "uwsgi_spoolfile_on_"
_CAN_ASK = hasattr(fcntl, "F_OFD_GETLK")
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
_WHOLE = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)


def tasks_in(directory: str) -> list[str]:
    """The paths of the task files directly in a directory (py_uwsgi_spooler_jobs); none if it is not there."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.name.startswith(PREFIX) and _is_task(entry)]
    except OSError:
        return []


def _is_task(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK | os.W_OK)


def task_at(path: str, above: Iterable[str]) -> dict[str | bytes, bytes] | None:
    """A task as a handler gets it (py_uwsgi_spooler_get_task); a relative path may be below one of `above`."""
    read = _read(path, above, whole=True)
    if read is None:
        return None
    packet, body = read
    pairs: list[tuple[str | bytes, bytes]] = [("spooler_task_name", os.fsencode(path)), *packet.variables.items()]
    return dict([*pairs, ("body", body)] if body else pairs)


def variables_at(path: str) -> dict[bytes, bytes] | None:
    """The variables of a packet in a file (py_uwsgi_parse_file)."""
    read = _read(path, (), whole=False)
    return None if read is None else read[0].variables


def _read(path: str, above: Iterable[str], *, whole: bool) -> tuple[Packet, bytes] | None:
    for candidate in _candidates(path, above):
        try:
            with open(candidate, "rb", opener=_opened) as file:
                if whole and _runs(file.fileno(), candidate):
                    return None
                data = file.read() if whole else file.read(LARGEST_PACKET)
        except OSError:
            continue
        try:
            packet = decode(data)
        except BadPacket:
            return None
        return packet, data[packet.size :]
    return None


def _opened(path: str, flags: int) -> int:
    """Nothing waits for a FIFO. Raises OSError for what is no plain file."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return descriptor


def _candidates(path: str, above: Iterable[str]) -> Iterator[str]:
    yield path
    if not os.path.isabs(path):
        yield from (os.path.join(directory, path) for directory in above)


def _runs(descriptor: int, path: str) -> bool:
    """Whether somebody has a lock on it, unless that is for the task that asks: in uWSGI it is of this process."""
    own = current()
    if own is not None and own.name == os.path.basename(path):
        return False
    if not _CAN_ASK:
        return False
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)
