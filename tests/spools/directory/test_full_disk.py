"""A disk that is really full: an ext4 image of a few megabytes, mounted by the test."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from aspool import Body, DirectorySpool, NotSpooled, Spooler
from aspool.protocol import Stored
from aspool.testing.conformance import message
from aspool.worker import running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MiB of ext4. Needs root and loop devices."""
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    if os.geteuid() != 0 or mkfs is None:
        pytest.skip("only root can mount a small disk")
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    subprocess.run([mkfs, "-q", "-m", "0", str(image)], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no loop devices here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Use up the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.anyio
@pytest.mark.parametrize("durability", ["disk", "process"])
async def test_a_full_disk_loses_nothing_and_runs_nothing_twice(small_disk: Path, durability: str) -> None:
    directory = DirectorySpool(small_disk / "spool", durability=durability)  # type: ignore[arg-type]  # from a list
    spooler = Spooler(directory)
    runs: dict[int, int] = {}

    @spooler.task(retries=1, backoff=0.05)
    async def task(n: int) -> None:
        runs[n] = runs.get(n, 0) + 1
        if n % 3 == 0 and runs[n] == 1:
            raise ValueError("once more")
        if n % 3 == 1:
            raise ValueError("never")

    for n in range(60):
        await task.spool(n)
    filler = fill(small_disk)
    (answer,) = await directory.put([message(body=Body(b"x" * 100_000))])
    assert isinstance(answer, NotSpooled)
    assert "No space" in str(answer)
    assert len([p for p in (small_disk / "spool").iterdir() if p.name.startswith("uwsgi")]) == 60
    async with running(spooler, frequency=0.1):
        with anyio.fail_after(30):
            while sum(runs.values()) < 60 + 40 or directory.counts()["running"]:
                await anyio.sleep(0.02)
        assert max(runs.values()) == 2, "no loop"
        filler.unlink()
        with anyio.fail_after(100):
            while directory.counts()["dead"] < 20 or len(directory.browse()) > 20:
                await anyio.sleep(0.05)
    assert [runs[n] for n in range(60)] == [(2, 2, 1)[n % 3] for n in range(60)]
    assert isinstance((await directory.put([message(due=time.time() + 99)]))[0], Stored)
    await directory.aclose()
