"""Notices of supervisors: told while they live, and not a moment longer."""

import os
import shutil
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from aspool import DirectorySpool
from aspool.spools.directory.notices import NAMED


def area(spool: DirectorySpool) -> Path:
    return spool.path / ".aspool" / "workers"


def test_it_says_the_last_that_was_written(directory: DirectorySpool) -> None:
    notice = directory.post()
    assert directory.notices() == []
    notice.write({"pid": 1, "long": "x" * 5000})
    notice.write({"pid": 2})
    assert directory.notices() == [{"pid": 2, "owner": os.getuid()}]
    notice.close()
    assert (directory.notices(), list(area(directory).iterdir())) == ([], [])


def _post_and_die(path: Path) -> None:
    DirectorySpool(path).post().write({"pid": os.getpid()})
    os._exit(1)


def test_those_of_the_dead_are_nothing_and_go(directory: DirectorySpool) -> None:
    process = get_context("spawn").Process(target=_post_and_die, args=[directory.path])
    process.start()
    process.join()
    assert [path.name.startswith(NAMED) for path in area(directory).iterdir()] == [True]
    assert directory.notices() == []
    directory.scoreboard(1).close()  # the next worker sweeps
    assert list(area(directory).iterdir()) == []


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "[" * 100_000])
def test_broken_ones_are_left_out(directory: DirectorySpool, text: str) -> None:
    notice = directory.post()
    (path,) = area(directory).iterdir()
    path.write_text(text)
    assert directory.notices() == []
    assert directory.boards() == []
    notice.close()


def test_whose_it_is_cannot_be_forged(directory: DirectorySpool) -> None:
    notice = directory.post()
    notice.write({"pid": 1, "owner": 0})
    (path,) = area(directory).iterdir()
    if os.getuid() == 0:
        os.chown(path, 4711, -1)
    assert directory.notices() == [{"pid": 1, "owner": path.stat().st_uid}]
    notice.close()


def test_one_that_is_read_all_the_time_is_locked_nevertheless(directory: DirectorySpool) -> None:
    """A reader has the file locked for a moment, and so may be in the way of its maker."""
    stop = Event()
    reader = Thread(target=lambda: [directory.notices() for _ in iter(stop.is_set, True)])
    directory.post().close()  # the area is there
    reader.start()
    try:
        for number in range(300):
            notice = directory.post()
            notice.write({"pid": number})
            assert [found["pid"] for found in directory.notices()] == [number]
            notice.close()
    finally:
        stop.set()
        reader.join()


@pytest.mark.parametrize("put_aside", [False, True])
def test_a_spool_that_is_made_again_has_it_again(directory: DirectorySpool, put_aside: bool) -> None:
    notice = directory.post()
    notice.write({"pid": 1})
    if put_aside:
        directory.path.rename(directory.path.with_name("aside"))
    else:
        shutil.rmtree(directory.path)
    notice.write({"pid": 2})  # there is no spool
    again = DirectorySpool(directory.path)
    again.put_blocking([])
    assert again.notices() == []
    notice.write({"pid": 3})
    assert [found["pid"] for found in again.notices()] == [3]
    notice.close()
    assert again.notices() == []
    notice.write({"pid": 4})
    assert list(area(again).iterdir()) == []


def test_no_record_fails_it(directory: DirectorySpool) -> None:
    notice = directory.post()
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for record in ({"x": endless}, {"x": deep}, {("x",): 1}):
        notice.write(record)  # type: ignore[arg-type]  # no JSON has such keys
    notice.write({"pid": 1, "x": object(), "y": "\udc80"})
    assert [found["pid"] for found in directory.notices()] == [1]
    notice.close()


def test_one_that_cannot_be_written_fails_nobody(directory: DirectorySpool) -> None:
    notice = directory.post()
    area(directory).joinpath("x").touch()
    for path in area(directory).iterdir():
        path.unlink()
    notice.write({"pid": 1})
    notice.close()
    assert directory.notices() == []
