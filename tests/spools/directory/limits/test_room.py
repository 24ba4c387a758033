"""Bounded spools: what does not fit is refused in words, counting is cheap, and nothing is counted twice."""

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aspool import Body, DirectorySpool
from aspool.errors import CallError, NotSpooled, SpoolFull
from aspool.ids import new_id
from aspool.message import Message
from aspool.protocol import Stored
from aspool.spools.directory.limits import room
from aspool.spools.directory.names import PREFIX


def message(**changes: object) -> Message:
    now = time.time()
    made = Message(id=new_id(), task="t", spooled=now, due=now)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def bounded(path: Path, **options: Any) -> DirectorySpool:
    return DirectorySpool(path / "spool", durability="process", **options)


def put(spool: DirectorySpool, count: int, **changes: object) -> int:
    """How many of so many were taken."""
    answers = spool.put_blocking([message(**changes) for _ in range(count)])
    assert all(isinstance(answer, Stored | SpoolFull) for answer in answers)
    return sum(isinstance(answer, Stored) for answer in answers)


def files(path: Path) -> list[Path]:
    return sorted(path.rglob(f"{PREFIX}*"))


def test_ten_fit_and_no_more_until_one_has_gone(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=10)
    assert [put(spool, 1) for _ in range(11)] == [1] * 10 + [0]
    files(tmp_path)[0].unlink()
    assert [put(spool, 1), put(spool, 1)] == [1, 0]


def test_the_refusal_says_how_many_there_are_and_may_be(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=2)
    put(spool, 2)
    (answer,) = spool.put_blocking([message()])
    assert isinstance(answer, SpoolFull)
    assert isinstance(answer, NotSpooled)
    assert str(answer).startswith(
        f"the spool {tmp_path / 'spool'} is full: 2 messages wait or run, and max_waiting is 2"
    )


def test_messages_of_all_priorities_and_of_others_count(tmp_path: Path) -> None:
    other, spool = bounded(tmp_path), bounded(tmp_path, max_waiting=6)
    put(other, 1)
    put(other, 1, priority=7)
    put(other, 1, priority=9, due=time.time() + 1000)
    (tmp_path / "spool" / "7" / "3").mkdir()
    files(tmp_path / "spool" / "9")[0].rename(tmp_path / "spool" / "7" / "3" / f"{PREFIX}1_x_0_0")
    assert put(spool, 5, priority=7) == 3


def test_what_is_no_message_does_not_count(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=1)
    put(bounded(tmp_path), 1)
    top = tmp_path / "spool"
    files(top)[0].rename(top / ".aspool" / "dead" / f"{PREFIX}x")
    (top / "notes").touch()
    (top / f"{PREFIX}directory").mkdir()
    (top / "5").symlink_to(tmp_path)
    (top / "77").touch()
    assert put(spool, 2) == 1


def test_several_threads_together_do_not_exceed_it(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=50)
    with ThreadPoolExecutor(8) as threads:
        taken = sum(threads.map(lambda _: put(spool, 3), range(40)))
    assert taken == len(files(tmp_path)) <= 50
    while taken < 50:  # what was on its way was counted twice at most until the next count
        taken += put(spool, 50)
    assert len(files(tmp_path)) == 50


def test_another_process_may_take_it_over_the_bound_but_not_for_long(tmp_path: Path) -> None:
    one, other = bounded(tmp_path, max_waiting=20), bounded(tmp_path, max_waiting=20)
    assert put(one, 10) == 10
    assert put(other, 20) == 10
    over = 0
    while put(one, 1):  # until it counts again, in a moment
        over += 1
    assert len(files(tmp_path)) == 20 + over
    assert put(one, 5) == 0


def test_what_could_not_be_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    spool = bounded(tmp_path, max_waiting=3)
    put(spool, 1)
    with monkeypatch.context() as patched:
        patched.setattr("aspool.spools.directory.publish.os.link", refuse)
        patched.setattr("aspool.spools.directory.draft.os.link", refuse)
        assert not any(isinstance(answer, Stored) for answer in spool.put_blocking([message() for _ in range(5)]))
    assert put(spool, 5) == 2


def test_duplicates_do_not_count(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=2)
    answers = spool.put_blocking([message(id="same", unique=True) for _ in range(5)])
    assert [isinstance(answer, Stored) and answer.duplicate for answer in answers] == [False] + [True] * 4
    assert put(spool, 2) == 1


def watched_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The directories that are read from now on."""
    read: list[int] = []
    real = os.scandir

    def scandir(fd: int) -> Any:
        read.append(fd)
        return real(fd)

    monkeypatch.setattr("aspool.spools.directory.limits.room.os.scandir", scandir)
    return read


def test_counting_is_not_repeated_without_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHEAP", 0.0)
    monkeypatch.setattr(room, "RARELY", 1e9)
    read = watched_reads(monkeypatch)
    spool = bounded(tmp_path, max_waiting=1000)
    put(bounded(tmp_path), 5, priority=3)
    for _ in range(200):
        assert put(spool, 1)
    assert len(read) == 2, "once for each directory"


def test_a_directory_in_which_nothing_changed_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RARELY", 0)
    put(bounded(tmp_path), 5, priority=3)
    spool = bounded(tmp_path, max_waiting=1000)
    old = time.time() - 100
    for directory in (tmp_path / "spool" / "3", tmp_path / "spool"):
        os.utime(directory, (old, old))
    put(spool, 1)
    read = watched_reads(monkeypatch)
    put(spool, 1)
    assert len(read) == 1, "the top has changed, the priority has not"


def test_an_unbounded_spool_counts_nothing(tmp_path: Path) -> None:
    assert bounded(tmp_path)._publisher._room is None


def test_so_many_bytes_stay_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = bounded(tmp_path, min_free=1_000_000)
    assert put(spool, 1) == 1
    real = os.fstatvfs

    def nearly_full(fd: int) -> os.statvfs_result:
        found = list(real(fd))
        found[1], found[4] = 1, 1_010_000  # f_frsize, f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr("aspool.spools.directory.limits.room.os.fstatvfs", nearly_full)
    assert put(spool, 1) == 1
    (answer,) = spool.put_blocking([message(body=Body(b"x" * 10_000))])
    assert isinstance(answer, SpoolFull)
    assert "min_free=1000000" in str(answer)
    assert put(spool, 20) == 9, "each of them takes some"


@pytest.mark.anyio
async def test_a_stream_is_not_read_when_there_is_no_room(tmp_path: Path) -> None:
    async def never() -> object:
        raise AssertionError("it was read")
        yield b""

    spool = bounded(tmp_path, max_waiting=1)
    put(spool, 1)
    (answer,) = await spool.put([message(body=Body(never()))])  # type: ignore[arg-type]
    assert isinstance(answer, SpoolFull)
    files(tmp_path)[0].unlink()

    async def chunks() -> object:
        yield b"abc"

    assert isinstance((await spool.put([message(body=Body(chunks()))]))[0], Stored)  # type: ignore[arg-type]


def test_a_child_of_a_fork_may_put(tmp_path: Path) -> None:
    spool = bounded(tmp_path, max_waiting=3)
    put(spool, 1)
    reading, writing = os.pipe()
    room_of = spool._publisher._room
    assert room_of is not None
    with room_of._lock:
        child = threading.Thread(target=_put_in_child, args=(spool, writing))
        child.start()
        child.join()
    os.close(writing)
    assert os.read(reading, 10) == b"2"
    os.close(reading)
    assert put(spool, 1) == 0


def _put_in_child(spool: DirectorySpool, writing: int) -> None:
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(put(spool, 5)).encode())
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9"])
def test_a_bound_is_a_whole_number(tmp_path: Path, value: int) -> None:
    for name in ("max_waiting", "min_free", "concurrency"):
        if (name, value) != ("concurrency", 1):
            with pytest.raises(CallError, match=name):
                bounded(tmp_path, **{name: value})


def test_very_many_that_cannot_be_written_are_told_so_one_by_one(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(f"{size} bytes cannot be read")

    spool = bounded(tmp_path, max_waiting=1)
    answers = spool.put_blocking([message(body=Body(Broken())) for _ in range(1050)])
    assert {type(answer) for answer in answers} == {NotSpooled}
    assert put(spool, 2) == 1
