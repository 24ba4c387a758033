"""Sizes: bodies of a gigabyte, a million waiting files; measured on real processes."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aspool.ids import new_id
from aspool.spools.directory.names import FileName

from .storm_workers import APPS, wait_until

MIB = 1 << 20
COMMAND = [sys.executable, "-m", "aspool.cli", "worker", "large:spooler"]


def start(root: Path, *command: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "LARGE_ROOT": str(root), "PYTHONPATH": str(APPS)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def peak_rss(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process; its largest resident size in bytes, as the kernel saw it a moment before its end.

    Not ru_maxrss: that begins with the size of the process that forked.
    """
    peak = 0

    def look() -> None:
        nonlocal peak
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), peak)

    wait_until(lambda: process.poll() is not None, 300, look)
    assert process.returncode == 0
    return peak


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("mebibytes", [40, pytest.param(1024, marks=[pytest.mark.heavy, pytest.mark.timeout(600)])])
def test_a_large_body_is_never_whole_in_memory(tmp_path: Path, mebibytes: int) -> None:
    piece = bytes(range(256)) * 4096
    digest = hashlib.blake2b()
    with (tmp_path / "source").open("wb") as file:
        for _ in range(mebibytes):
            file.write(piece)
            digest.update(piece)
    sending = peak_rss(start(tmp_path, sys.executable, str(APPS / "large.py"), str(mebibytes)))
    running = peak_rss(start(tmp_path, *COMMAND, "--burst"))
    lines = sorted((tmp_path / "log").read_text().splitlines())
    assert lines == [f"{kind} {mebibytes * MIB} {digest.hexdigest()}" for kind in ("async", "process", "sync")]
    print(f"{mebibytes} MiB: client {sending / MIB:.0f} MiB, worker {running / MIB:.0f} MiB at most")
    assert sending < 120_000_000
    assert running < 120_000_000


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_1000_due_among_a_million_future_tasks(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    one = subprocess.run(
        [sys.executable, "-c", "import large; large.started.spool_sync()"],
        env={**os.environ, "LARGE_ROOT": str(tmp_path), "PYTHONPATH": str(APPS)}, check=True,
    )  # fmt: skip
    assert one.returncode == 0
    (pattern,) = spool.glob("uwsgi_*")
    content = pattern.read_bytes()
    pattern.unlink()
    write_files(spool, content, 1_000_000, int(time.time() + 100_000) * 1_000_000)
    write_files(spool, content, 1_000, int(time.time() - 10) * 1_000_000)
    begun = time.time()
    worker = start(tmp_path, *COMMAND, "--log-level", "warning")
    try:
        wait_until((tmp_path / "first").exists, 60)
        first = float((tmp_path / "first").read_text()) - begun
        wait_until(lambda: len(os.listdir(spool)) <= 1_000_001, 60)
        time.sleep(3)  # the time that is measured is an idle one
        before, moment = cpu_seconds(worker.pid), time.monotonic()
        time.sleep(40)  # longer than the frequency of 30 s
        idle = (cpu_seconds(worker.pid) - before) / (time.monotonic() - moment)
        rss = resident(worker.pid)
    finally:
        worker.send_signal(signal.SIGTERM)
        peak = peak_rss(worker)
        shutil.rmtree(spool)  # else a run of pytest some days later has to do it, which takes minutes on a busy disk
    print(
        f"first of 1,000 due after {first:.1f} s, RSS {rss / MIB:.0f} MiB (peak {peak / MIB:.0f}), idle {idle:.3%} CPU"
    )
    assert first < 10
    assert peak < 300_000_000
    assert idle < 0.005


def write_files(spool: Path, content: bytes, count: int, due: int) -> None:
    """Task files with future names; links would do for a scan, but not for a claim."""
    for n in range(count):
        with (spool / str(FileName(due + n, new_id()))).open("wb") as file:
            file.write(content)
