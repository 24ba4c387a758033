"""Notices of supervisors: told while they live, and not a moment longer."""

import os
from multiprocessing import get_context
from pathlib import Path

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
    assert directory.notices() == [{"pid": 2}]
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


def test_one_that_cannot_be_written_fails_nobody(directory: DirectorySpool) -> None:
    notice = directory.post()
    area(directory).joinpath("x").touch()
    for path in area(directory).iterdir():
        path.unlink()
    notice.write({"pid": 1})
    notice.close()
    assert directory.notices() == []
