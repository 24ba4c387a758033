"""How many no-op tasks one worker process drains in a second, beside a bare loop of the same system calls.

    python benchmarks/drain.py [DIRECTORY] [TASKS]

Interleaved runs; the medians and their ratio count, since machines are noisy.
"""

import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from aspool import DirectorySpool, Spooler, WorkerSettings
from aspool.spools.directory.locks import try_lock
from aspool.worker import Worker

RUNS = 5


def fill(path: Path, count: int) -> Spooler:
    """A new spool with so many no-op tasks."""
    shutil.rmtree(path, ignore_errors=True)
    spooler = Spooler(DirectorySpool(path, durability="process"))

    @spooler.task
    async def noop(n: int) -> None: ...

    spooler.spool_many_sync([noop.call(n) for n in range(count)])
    return spooler


def drain(spooler: Spooler) -> float:
    """Seconds that a worker takes for all of them."""
    started = time.perf_counter()
    options = {"use_uvloop": True} if has_uvloop() else {}
    anyio.run(Worker(spooler, WorkerSettings(burst=True)).run, backend_options=options)
    return time.perf_counter() - started


def has_uvloop() -> bool:
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401 - only whether it is there

        return True
    return False


def bare(path: Path) -> float:
    """Seconds for the same files with nothing but the system calls: list, open, lock, stat, read, unlink, close."""
    started = time.perf_counter()
    for name in sorted(os.listdir(path)):
        if not name.startswith("uwsgi_"):
            continue
        fd = os.open(path / name, os.O_RDWR | os.O_CLOEXEC)
        assert try_lock(fd)
        os.stat(path / name)
        os.pread(fd, os.fstat(fd).st_size, 0)
        os.unlink(path / name)
        os.close(fd)
    return time.perf_counter() - started


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    sys.setswitchinterval(0.001)  # as `aspool worker` does
    path = root / "spool"
    worker, loop = [], []
    for _ in range(RUNS):
        worker.append(count / drain(fill(path, count)))
        fill(path, count)
        loop.append(count / bare(path))
    figures = {
        "tasks": count,
        "worker_per_second": round(statistics.median(worker)),
        "bare_loop_per_second": round(statistics.median(loop)),
        "ratio": round(statistics.median(a / b for a, b in zip(worker, loop, strict=True)), 3),
        "uvloop": has_uvloop(),
    }
    print(json.dumps(figures))
    shutil.rmtree(path)


if __name__ == "__main__":
    main()
