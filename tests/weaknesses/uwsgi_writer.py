"""A writer that does what uWSGI does (uwsgi_spool_request), so slowly that a test can look between its steps."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from aspool.spools.directory.locks import try_lock
from aspool.wire import encode


def steps(path: Path, variables: dict[bytes, bytes], at: float = 0.0) -> Iterator[str]:
    """Create, lock, write, set the moment, close: each is done when its name comes."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    yield "created"
    while not try_lock(fd):  # not a POSIX one: whoever closes the file in this process would drop it
        time.sleep(0.001)
    yield "locked"
    packet = encode(variables)
    os.write(fd, packet[:4])
    yield "header written"
    os.write(fd, packet[4:])
    yield "written"
    if at:
        os.utime(fd, (at, at))
        yield "moment set"
    os.close(fd)
    yield "closed"


def write(path: Path, variables: dict[bytes, bytes], at: float = 0.0) -> None:
    """All of it."""
    for _ in steps(path, variables, at):
        pass
