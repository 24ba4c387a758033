"""Notices of supervisors: each keeps a small locked file in `.aspool/workers` that says what it runs."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import living

NAMED = "supervisor-"
LARGEST = 1 << 20  # bytes


class FileNotice:
    """One supervisor's; locked while it lives, and made anew where it was lost. Nothing of it fails."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / f"{NAMED}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._fd = -1
        self._is_closed = False
        self._make()

    def write(self, record: Mapping[str, Any]) -> None:
        """Say something else. In one write, over what was there: what was longer is blanked.

        If the spool was removed and made again, it is said there.
        """
        if self._is_closed:
            return
        if self._fd < 0 or not living.is_at(self._path, self._fd):
            self._make()
        try:
            data = json.dumps(record, default=str).encode()
            before = os.fstat(self._fd).st_size
            os.pwrite(self._fd, data.ljust(before), 0)
        except (OSError, TypeError, ValueError, RecursionError):
            pass  # what was said before has to do

    def _make(self) -> None:
        self._release()
        try:
            self._fd = living.make(self._path)
        except OSError:
            pass  # the next write tries again

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Take it away."""
        self._is_closed = True
        if self._fd >= 0:
            try:
                os.unlink(self._path)
            except OSError:
                pass
        self._release()


def notices(directory: Path) -> list[dict[str, Any]]:
    """What the supervisors that live say; those of the dead, and broken ones, are left out.

    "owner" is whose file it is, a uid, whatever the file says: believe it for that user's processes alone.
    """
    found = []
    for path in sorted(directory.glob(f"{NAMED}*")):
        record = _read(path)
        if record is not None:
            found.append(record)
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not living.is_held(fd):
            return None
        owner = os.fstat(fd).st_uid
        record = json.loads(os.pread(fd, LARGEST, 0))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(fd)
    return {**record, "owner": owner} if isinstance(record, dict) else None
