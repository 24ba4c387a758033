"""Notices of supervisors: each keeps a small locked file in `.aspool/workers` that says what it runs."""

import fcntl
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMED = "supervisor-"
LARGEST = 1 << 20  # bytes


class FileNotice:
    """One supervisor's; locked (flock) while it lives. Nothing of it fails."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / f"{NAMED}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._fd = -1
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()

    def write(self, record: Mapping[str, Any]) -> None:
        """Say something else. In one write, over what was there: what was longer is blanked."""
        if self._fd < 0:
            return
        try:
            data = json.dumps(record).encode()
            before = os.fstat(self._fd).st_size
            os.pwrite(self._fd, data.ljust(before), 0)
        except OSError:
            pass

    def close(self) -> None:
        """Take it away."""
        if self._fd >= 0:
            try:
                os.unlink(self._path)
            except OSError:
                pass
            os.close(self._fd)
            self._fd = -1


def notices(directory: Path) -> list[dict[str, Any]]:
    """What the supervisors that live say; those of the dead, and broken ones, are left out."""
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
        if not _is_held(fd):
            return None
        record = json.loads(os.pread(fd, LARGEST, 0))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(fd)
    return record if isinstance(record, dict) else None


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
