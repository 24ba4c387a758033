"""Stops, reloads and memory under load, with real processes."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aspool import DirectorySpool
from aspool.message import Message
from aspool.testing.conformance import message

from .conftest import Program, wait_for

Start = Callable[..., Program]
APP = """
import os
from pathlib import Path
import anyio
from aspool import DirectorySpool, Job, Spooler

spooler = Spooler(DirectorySpool("./spool", durability="process"))
LOG = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

@spooler.task(name="quick")
async def quick(job: Job) -> None:
    os.write(LOG, f"start {job.id} {job.attempt} FIRST\\n".encode())
    await anyio.sleep(0.01)
    os.write(LOG, f"end {job.id} {job.attempt} FIRST\\n".encode())

@spooler.task(name="long")
async def long(job: Job) -> None:
    os.write(LOG, f"long {job.id} {job.attempt} FIRST\\n".encode())
    await anyio.sleep(600)

@spooler.task(name="nothing")
async def nothing() -> None: ...
"""
PER_SECOND, ROUNDS, GRACE = 1000, 10, 1.0


@pytest.fixture
def loaded(directory_of_app: Path) -> Path:
    (directory_of_app / "app.py").write_text(APP)
    return directory_of_app


class Log:
    """What the tasks wrote down."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "log"

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self._path.read_text().splitlines()] if self._path.exists() else []

    def counted(self, word: str) -> Counter[str]:
        return Counter(line[1] for line in self.lines() if line[0] == word)


@contextmanager
def producing(spool: DirectorySpool, per_second: int) -> Iterator[list[Message]]:
    """Messages at a steady rate, as long as the block lasts."""
    sent: list[Message] = []
    is_over = threading.Event()

    def produce() -> None:
        begun = time.monotonic()
        while not is_over.wait(0.01):
            missing = int((time.monotonic() - begun) * per_second) - len(sent)
            batch = [message(task="quick", arguments=b"{}") for _ in range(missing)]
            if batch:
                spool.put_blocking(batch)
                sent.extend(batch)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield sent
    finally:
        is_over.set()
        thread.join()


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_sigterm_under_load(start: Start, loaded: Path) -> None:
    """Ten times: it ends in time, charges nothing, and repeats nothing that could finish."""
    spool, log = DirectorySpool(loaded / "spool", durability="process"), Log(loaded)
    spool.put_blocking([message(task="long", arguments=b"{}") for _ in range(5)])
    took = []
    with producing(spool, PER_SECOND) as sent:
        for round_ in range(ROUNDS):
            before = sum(log.counted("end").values())
            program = start("--processes=2", f"--grace={GRACE}")
            wait_for(lambda before=before: sum(log.counted("end").values()) > before + PER_SECOND)  # type: ignore[misc]  # bound now
            wait_for(lambda round_=round_: sum(log.counted("long").values()) >= 5 * (round_ + 1))  # type: ignore[misc]
            program.signal(signal.SIGTERM)
            asked = time.monotonic()
            assert program.end() == 0
            took.append(time.monotonic() - asked)
    print(f"{len(sent)} tasks spooled; the stops took {min(took):.2f} to {max(took):.2f} s with a grace of {GRACE:g} s")
    assert max(took) < GRACE + 2
    for path in spool.path.glob("uwsgi_spoolfile_on_*"):
        assert path.name.endswith("_0_0"), "it was charged"
    started, ended = log.counted("start"), log.counted("end")
    assert started == ended, "what could finish did"
    assert set(started.values()) == {1}, "and was not repeated"
    assert {line[2] for line in log.lines()} == {"1"}
    assert set(log.counted("long").values()) == {ROUNDS}, "what could not was handed back, each time"


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_a_rolling_reload_under_load(start: Start, loaded: Path) -> None:
    spool, log = DirectorySpool(loaded / "spool", durability="process"), Log(loaded)
    program = start("--processes=4", "--grace=5")
    program.ready(4)
    fewest = []
    with producing(spool, 500):
        wait_for(lambda: log.counted("end"))
        app = loaded / "app.py"
        app.write_text(app.read_text().replace("FIRST", "SECOND"))
        program.signal(signal.SIGHUP)
        while not program.says("reloaded"):
            fewest.append(len(program.workers()))
            time.sleep(0.002)
        at = len(log.lines())
        wait_for(lambda: len(log.lines()) > at + 500)
    assert min(fewest) >= 3
    print(f"never fewer than {min(fewest)} of 4 workers, in {len(fewest)} looks")
    program.signal(signal.SIGTERM)
    assert program.end() == 0
    assert {line[3] for line in log.lines()[at + 100 :]} == {"SECOND"}
    assert log.counted("start") == log.counted("end")


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_memory_does_not_grow(start: Start, loaded: Path) -> None:
    """RSS after 200,000 tasks, against that after the first 20,000."""
    spool = DirectorySpool(loaded / "spool", durability="process")
    program = start("--log-level=warning")
    sizes = []
    for _ in range(10):
        for _ in range(20):
            spool.put_blocking([message(task="nothing", arguments=b"{}") for _ in range(1000)])
        wait_for(lambda: not any(spool.path.glob("uwsgi_spoolfile_on_*")))
        sizes.append(rss(program.process.pid))
    print(f"RSS in MB after each 20,000 tasks: {', '.join(f'{size:.1f}' for size in sizes)}")
    assert sizes[-1] <= 1.1 * sizes[0]


def rss(pid: int) -> float:
    """Megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0]) / 1024
