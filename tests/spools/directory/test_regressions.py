"""Bugs that were found once and must not come back: cancellation, moved spools, files and clocks in the way."""

import asyncio
import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from aspool import Body, Bury, DirectorySpool, Spooler
from aspool.errors import SpoolUnusable
from aspool.ids import new_id
from aspool.message import Message
from aspool.protocol import WorkerSide
from aspool.spools.directory.claim import BROKEN_DISK, NO_DESCRIPTORS, Skip
from aspool.spools.directory.look import Look
from aspool.spools.directory.names import PREFIX
from aspool.spools.directory.scan import Found, scan
from aspool.spools.directory.tree import Place
from aspool.worker import running

pytestmark = pytest.mark.anyio
NOW = 1_700_000_000.0


def message(body: Body | None = None, priority: int | None = None) -> Message:
    return Message(id=new_id(), task="t", spooled=time.time(), due=time.time(), body=body, priority=priority)


def names(path: Path) -> list[str]:
    return [name for name in os.listdir(path) if name.startswith(PREFIX)]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_caller_cancelled_by_asyncio_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    await spool.open()
    begun, goes_on, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(fd: int) -> None:
        begun.set()
        goes_on.wait(10)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", slow)
    first = asyncio.create_task(spool.put([message()]))
    await anyio.to_thread.run_sync(begun.wait, 10)
    waiting = asyncio.create_task(spool.put([message()]))
    while not spool._group()._queue:
        await anyio.sleep(0)
    first.cancel()
    waiting.cancel()
    goes_on.set()
    with anyio.fail_after(10):
        await spool.put([message()])
    assert len(names(tmp_path / "spool")) == 2  # the one that waited was withdrawn


async def test_a_spool_made_where_another_was_forgotten_writes_to_its_own_directory(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / str(number)
        await DirectorySpool(path, durability="process").put([message()])
        assert len(names(path)) == 1


async def test_a_cancelled_put_leaves_no_file_open(tmp_path: Path) -> None:
    async def quick() -> AsyncIterator[bytes]:
        yield b"x"

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    spool = DirectorySpool(tmp_path / "spool")
    await spool.put([message(Body(quick()))])
    before = descriptors()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(spool.put([message(Body(quick())), message(Body(endless()))]), 0.05)
    assert descriptors() <= before + 1


def test_a_directory_moved_away_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.spools.directory.publish.FOLLOW", 0)
    spool = DirectorySpool(tmp_path / "spool")
    spool.put_blocking([message()])
    os.rename(tmp_path / "spool", tmp_path / "old")
    os.mkdir(tmp_path / "spool", 0o700)
    spool.put_blocking([message()])
    assert len(names(tmp_path / "spool")) == 1


async def test_a_worker_outlives_its_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool"
    spooler = Spooler(path)
    started, gone, ran = anyio.Event(), anyio.Event(), anyio.Event()

    @spooler.task(name="t")
    async def task() -> None:
        ran.set()

    @spooler.task(name="b")
    async def buried() -> None:
        started.set()
        await gone.wait()
        raise Bury("no")

    async with running(spooler, frequency=0.05):
        await buried.spool()
        await started.wait()
        shutil.rmtree(path)
        gone.set()
        with anyio.fail_after(10):
            while "has been deleted" not in caplog.text:
                await anyio.sleep(0.01)
        os.mkdir(path, 0o700)
        await task.spool()  # the publisher sees the new directory before the worker does
        with anyio.fail_after(10):
            await ran.wait()
    assert names(path) == [], "it was served as any other"


async def test_a_priority_made_again_is_served_and_a_removed_one_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    other, spool = DirectorySpool(path), DirectorySpool(path)
    await other.open()
    async with spool.serving(WorkerSide(lambda: 0.1)):
        while not spool.has_looked:
            await spool.wait(0.1)
        before = descriptors()
        for number in range(10):
            os.mkdir(path / str(number), 0o700)
            await anyio.sleep(0.02)
            os.rmdir(path / str(number))
        os.mkdir(path / "5", 0o700)
        await anyio.sleep(0.1)
        os.rmdir(path / "5")
        os.mkdir(path / "5", 0o700)
        await other.put([message(priority=5)])
        with anyio.fail_after(5):
            while not (claims := await spool.claim(1, time.time())):
                await spool.wait(0.1)
        assert [claim.message.priority for claim in claims] == [5]
        with anyio.move_on_after(10):
            while descriptors() > before + 5:  # the priority, twice; the claim; threads
                await anyio.sleep(0.01)
        assert descriptors() <= before + 5


async def test_one_file_that_cannot_be_read_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    bad, *_ = await spool.put([message(), message(), message()])
    assert not isinstance(bad, Exception)
    pread = os.pread

    def broken(fd: int, size: int, offset: int) -> bytes:
        if bad.id in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "bad sector")
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", broken)
    monkeypatch.setattr("aspool.spools.directory.look.PAUSE", 0.1)
    found = 0
    async with spool.serving(WorkerSide(lambda: 0.5)):
        with anyio.fail_after(10):
            while found < 2:
                found += len(await spool.claim(10, time.time()))
                await spool.wait(0.1)


def test_files_that_nobody_can_claim_do_not_hide_others(tmp_path: Path) -> None:
    held = [f"{PREFIX}{number:016d}_{number}_0_0" for number in range(50)]
    for name in [*held, f"{PREFIX}{99:016d}_x_0_0"]:
        (tmp_path / name).touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    found = scan(Place("", fd), 10, skip=frozenset(held))
    os.close(fd)
    assert [name for _, name in found.entries] == [f"{PREFIX}{99:016d}_x_0_0"]


def looked(*held: str) -> Look:
    look, place = Look(), Place("", -1)
    look.add_place(place)
    assert look.next_due() is None
    look.next_scan()
    look.appeared([], NOW)
    assert look.next_due() is None  # the first look is not over: nobody may spin until it is
    look.install(Found(place, [list(held)]))
    return look


@pytest.mark.parametrize("why", [NO_DESCRIPTORS, BROKEN_DISK])
def test_a_pause_ends_when_the_clock_is_set_back(why: str) -> None:
    look = looked(f"{PREFIX}{1:016d}_a_0_0")
    (candidate,) = look.take(1, NOW)
    look.skipped(candidate, Skip(why), NOW)
    assert look.take(1, NOW + 0.1) == []
    assert look.take(1, NOW - 3600) == [candidate]


async def test_a_spool_is_served_once_in_a_process(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    async with spool.serving(WorkerSide(lambda: 1.0)):
        with pytest.raises(SpoolUnusable, match="already"):
            async with spool.serving(WorkerSide(lambda: 1.0)):
                pass
        await spool.put([message()])
        with anyio.fail_after(5):
            while not await spool.claim(1, time.time()):
                await spool.wait(0.1)


async def test_a_dead_message_is_not_replaced_by_one_of_the_same_id_and_moment(tmp_path: Path) -> None:
    spooler = Spooler(tmp_path / "spool")
    at = time.time() - 5

    @spooler.task(name="t")
    async def task(number: int) -> None:
        raise Bury(str(number))

    dead = tmp_path / "spool/.aspool/dead"
    async with running(spooler):
        for number in (1, 2):
            await task.using(id="daily", at=at).spool(number)
            with anyio.fail_after(5):
                while len(names(dead)) < 2 * number:
                    await anyio.sleep(0.01)
    assert len(names(dead)) == 4


def test_a_child_can_spool_although_a_thread_held_a_lock_when_it_was_forked(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    spool.put_blocking([message()])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with spool._tree._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        spool.put_blocking([message()])
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0
