"""Directories full of task files, made faster than a client could: the bytes of one real message under many names."""

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from aspool import DirectorySpool, Spooler
from aspool.ids import new_id
from aspool.spools.directory.names import FileName

TASK = "noop"  # of one int; the programs give their no-op this name


def content() -> bytes:
    """The file of a call of the no-op, as a client writes it. The name says when it is due, so it fits any name."""
    with tempfile.TemporaryDirectory() as directory:
        spooler = Spooler(DirectorySpool(Path(directory) / "spool", durability="process"))

        @spooler.task(name=TASK)
        async def noop(number: int) -> None: ...

        noop.spool_sync(1)
        (file,) = (Path(directory) / "spool").glob("uwsgi_*")
        return file.read_bytes()


def fill(spool: Path, count: int, ahead: float = 0.0) -> None:
    """So many files, due now or in `ahead` seconds; then they are written out, so that no write-back is measured."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = content()
    directory = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name, mtime in islice(_names(ahead), count):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
            os.write(file, data)
            if ahead:
                os.utime(file, (mtime, mtime))
            os.close(file)
    finally:
        os.close(directory)
    # `sync -f` is syncfs(2), which Python has not: this file system alone, as others may be measured on.
    subprocess.run(["sync", "-f", str(spool)], check=True)


def _names(ahead: float) -> Iterator[tuple[str, int]]:
    """Names, each with the mtime that a client would give to it."""
    while True:
        due = time.time_ns() // 1000 + round(ahead * 1_000_000)
        yield str(FileName(due, new_id())), math.ceil(due / 1_000_000)
