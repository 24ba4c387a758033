"""Turns in a directory: between threads and processes, with failing system calls, dead processes and forged files."""

import errno
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool
from aspool.errors import SpoolUnusable
from aspool.outcomes import Done
from aspool.protocol import Stored
from aspool.spools.directory import schedules
from aspool.spools.directory.following import notes
from aspool.spools.directory.limits.slots import file_name
from aspool.testing.conformance import claimed, served, settle
from aspool.testing.conformance_schedules import firing, keep, leave, lives, record_of, taken
from aspool.turn import Taken, Turn

from .test_faults import MODULES, FailingOs, in_turn, open_files
from .turning_process import count, take

PROCESS = Path(__file__).with_name("turning_process.py")
ROOT = Path(__file__).parents[3]


def process(spool: DirectorySpool, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PROCESS), str(spool.path), *arguments]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})


def area(spool: DirectorySpool) -> Path:
    return spool.path / ".aspool" / "schedules"


def waiting(spool: DirectorySpool) -> list[str]:
    return sorted(entry.id for entry in spool.browse() if entry.id is not None)


# --- exclusion -------------------------------------------------------------------------------------------------------


def test_threads_and_processes_take_turns(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    others = [process(directory, "count", "20") for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(60):
            pool.submit(take, directory, "s", count)
    assert [other.wait(60) for other in others] == [0, 0]
    assert directory._schedules.turn("s", leave) == Taken(b"100")
    assert waiting(directory) == sorted(f"s.{number}" for number in range(1, 101)), "each number once"


def test_a_turn_that_lasts_holds_up_only_its_schedule(directory: DirectorySpool) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(data: bytes | None, lives: Any) -> Turn:
        begun.set()
        assert may_end.wait(10)
        return Turn(record=b"slow")

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(directory._schedules.turn, "slow", slow)
        assert begun.wait(10)
        same = DirectorySpool(directory.path, durability="process")
        assert same._schedules.turn("slow", leave) is None, "it is taken"
        assert same._schedules.turn("quick", keep(b"1")) == Taken(b"1", [])
        may_end.set()
        assert future.result(10) == Taken(b"slow", [])
    assert same._schedules.turn("slow", leave) == Taken(b"slow")


@pytest.mark.anyio
async def test_killed_between_message_and_record(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    assert process(directory, "die", "s.1").wait(30) == -9
    assert waiting(directory) == ["s.1"]
    assert await record_of(directory, "s") is None, "it died before"
    (answer,) = (await taken(directory, "s", keep(b"1", firing("s.1")))).answers
    assert isinstance(answer, Stored)
    assert answer.duplicate
    assert waiting(directory) == ["s.1"], "once, as it still waits"
    assert await record_of(directory, "s") == b"1"


# --- lives -----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_uwsgi_finished_lives_no_more(directory: DirectorySpool) -> None:
    await taken(directory, "s", keep(b"1", firing("s.1")))
    assert await lives(directory, "s.1")
    (file,) = directory.path.glob("uwsgi_*")
    file.unlink()  # as it does: it knows no ids
    assert (directory.path / ".aspool" / "ids" / "s.1").stat().st_nlink == 1
    assert not await lives(directory, "s.1")
    await taken(directory, "s", keep(b"1", firing("s.1")))
    assert len(waiting(directory)) == 1
    async with served(directory):
        await settle(directory, await claimed(directory, 1), Done())
    assert not await lives(directory, "s.1")


# --- system calls that fail ------------------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FailingOs:
    proxy = FailingOs()
    for module in (*MODULES, schedules, notes):
        monkeypatch.setattr(module, "os", proxy, raising=False)
    return proxy


@pytest.mark.parametrize("durability", ["disk", "process"])
@pytest.mark.parametrize("record_first", [False, True])
def test_each_system_call_failing(failing: FailingOs, spool_path: Path, durability: Any, record_first: bool) -> None:
    spool = DirectorySpool(spool_path, durability=durability)
    spool._schedules.turn("s", keep(b"before"))
    outcome: list[Taken | Exception | None] = []
    gc.collect()  # what others left open would be closed meanwhile, and counted
    before = open_files()

    def attempt() -> None:
        try:
            outcome[:] = [spool._schedules.turn("s", keep(b"after", firing("s.1"), record_first=record_first))]
        except SpoolUnusable as error:
            outcome[:] = [error]

    def check() -> None:
        (answer,) = outcome
        now = spool._schedules.turn("s", leave)
        assert now is not None
        assert now.record in (b"before", b"after"), "never half of it"
        there = waiting(spool)
        assert there in ([], ["s.1"])
        if isinstance(answer, Taken):
            assert answer.record == now.record
            stored = [not isinstance(each, Exception) for each in answer.answers]
            assert not any(stored) or there == ["s.1"], "what was acknowledged is there"
            assert any(stored) or record_first or now.record == b"before" or there, "no moment is lost"
        elif not record_first:
            assert now.record == b"before" or there == ["s.1"], "no moment is lost"
        else:
            assert not there or now.record == b"after", "no moment is put twice"
        assert open_files() == before
        assert os.listdir(spool_path / ".aspool" / "tmp") == []
        for path in (*spool_path.glob("uwsgi_*"), *(spool_path / ".aspool" / "ids").iterdir()):
            path.unlink()
        spool._schedules.turn("s", keep(b"before"))

    kinds = set(in_turn(failing, attempt, check))
    assert {"open", "write", "rename", "link"} <= {kind.split("(")[1].rstrip(")") for kind in kinds}


@pytest.mark.anyio
async def test_a_record_that_cannot_be_read_for_the_moment_is_not_gone(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taken(directory, "s", keep(b"1"))
    real = os.open

    def no_more(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if path == file_name("s"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_more)
        with pytest.raises(SpoolUnusable, match=r"cannot be read: Too many open files"):
            await taken(directory, "s", keep(b"2"))
        with pytest.raises(SpoolUnusable, match=r"cannot be read: Too many open files"):
            await directory.records()
    assert (await taken(directory, "s", leave)).record == b"1"


# --- forged files ----------------------------------------------------------------------------------------------------


def forge(path: Path, kind: str, outside: Path) -> None:
    """Something in the place of a record."""
    path.unlink(missing_ok=True)
    good = b'"tick"\nforged'
    outside.write_bytes(good)
    contents = {
        "empty": b"", "no newline": b'"tick"', "no name": b"\n{}", "another name": b'"tock"\n{}', "a number": b"7\n{}",
        "deep": b"[" * 100_000 + b"\n", "binary": b"\xff" * 500 + b"\n", "null": b"null\n{}",
        "huge": b'"tick"\n' + b"x" * (schedules.LARGEST + 1),
    }  # fmt: skip
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(outside)
    elif kind == "dangling":
        path.symlink_to(outside.with_name("nothing"))
    else:
        os.mkfifo(path)


KINDS = ("empty", "no newline", "no name", "another name", "a number", "deep", "binary", "null", "huge", "directory",
         "fifo", "link", "dangling")  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_record_counts_as_none(kind: str, tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    try:
        await taken(spool, "good", keep(b"1"))
        await taken(spool, "tick", keep(b"1"))
        path = area(spool) / file_name("tick")
        forge(path, kind, tmp_path / "outside")
        assert {name: kept.record for name, kept in (await spool.records()).items() if name != "tick"} == {"good": b"1"}
        assert await record_of(spool, "tick") in (None, b"")
        await spool.keep_alive(["tick", "good"])
        assert (await taken(spool, "tick", leave)).record in (None, b"")
        if kind == "directory":
            with pytest.raises(SpoolUnusable, match=r"the schedule tick in .* cannot be changed: Is a directory"):
                await taken(spool, "tick", keep(b"2"))
        else:
            assert (await taken(spool, "tick", keep(b"2"))).record == b"2", "it begins anew"
            assert await record_of(spool, "tick") == b"2"
        assert (tmp_path / "outside").read_bytes() == b'"tick"\nforged', "nothing was followed"
    finally:
        await spool.aclose()


@pytest.mark.anyio
async def test_files_with_any_names(directory: DirectorySpool) -> None:
    await taken(directory, "good", keep(b"1"))
    for name in ("x", ".hidden", "tick-0123456789abcdef", "%00", "a b", "☠", "x" * 255):
        (area(directory) / name).write_bytes(b'"tick"\n{}')
    os.mkfifo(area(directory) / "fifo")
    assert set(await directory.records()) == {"good"}


@pytest.mark.anyio
async def test_the_file_of_locks_may_be_anything(directory: DirectorySpool, tmp_path: Path) -> None:
    await taken(directory, "s", keep(b"1"))
    locks = directory.path / ".aspool" / "schedules.lock"
    locks.unlink()
    assert (await taken(directory, "s", leave)).record == b"1", "it is made again"
    locks.unlink()
    locks.symlink_to(tmp_path / "outside")
    with pytest.raises(SpoolUnusable, match=r"the schedule s in .* cannot be changed: Too many levels"):
        await taken(directory, "s", keep(b"2"))
    assert not (tmp_path / "outside").exists()
    locks.unlink()
    locks.mkdir()
    with pytest.raises(SpoolUnusable, match="Is a directory"):
        await taken(directory, "s", keep(b"2"))


@pytest.mark.anyio
async def test_a_sign_of_life_is_the_time_of_the_file(directory: DirectorySpool, tmp_path: Path) -> None:
    await taken(directory, "s", keep(b"1"))
    file = area(directory) / file_name("s")
    os.utime(file, (1e9, 1e9))
    assert (await directory.records())["s"].known == 1e9
    await directory.keep_alive(["s"])
    assert (await directory.records())["s"].known > 1.7e9
    file.unlink()
    file.symlink_to(tmp_path / "outside")
    (tmp_path / "outside").touch()
    os.utime(tmp_path / "outside", (1e9, 1e9))
    await directory.keep_alive(["s"])
    assert (tmp_path / "outside").stat().st_mtime == 1e9, "nothing is followed"


@pytest.mark.anyio
async def test_files_are_private(directory: DirectorySpool) -> None:
    before = os.umask(0)
    try:
        await taken(directory, "s", keep(b"1"))
    finally:
        os.umask(before)
    for path in (area(directory), directory.path / ".aspool" / "schedules.lock", *area(directory).iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
