"""The scan: what it finds, skips, cuts and divides."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspool.spools.directory import scan as module
from aspool.spools.directory.index import NEVER, due_of, name_of
from aspool.spools.directory.names import PREFIX, FileName
from aspool.spools.directory.ranks import Share
from aspool.spools.directory.scan import Found, scan
from aspool.spools.directory.tree import Place

FAR = 9_000_000_000_000_000  # microseconds


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield Place("", fd)
    os.close(fd)


def touch(directory: Path, *dues: int, id: str = "x") -> list[str]:
    names = [str(FileName(due, id)) for due in dues]
    for name in names:
        (directory / name).touch()
    return names


def found_names(found: Found) -> list[str]:
    return [name for _, name in sorted(found.entries)]


def test_task_files_and_numbered_directories(place: Place, tmp_path: Path) -> None:
    names = touch(tmp_path, 3, 1, 2)
    for directory in ("5", "x5", f"{PREFIX}7"):
        (tmp_path / directory).mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(names[0])
    (tmp_path / "6").touch()
    (tmp_path / "README").touch()
    found = scan(place, 10)
    assert found.entries == [(3, names[0]), (2, names[2]), (1, names[1])]
    assert found.directories == ["5"]
    assert (found.horizon, found.read) == (NEVER, 9)
    assert found.mtime == tmp_path.stat().st_mtime_ns


def test_a_name_in_the_form_of_uwsgi_is_due_at_its_mtime(place: Place, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}host_1_2").touch()
    os.utime(tmp_path / f"{PREFIX}host_1_2", (5.5, 5.5))
    ours = touch(tmp_path, 4_999_999, 5_000_001)
    assert sorted(scan(place, 10).entries) == [
        (4_999_999, ours[0]), (5_000_000, f"{PREFIX}host_1_2"), (5_000_001, ours[1])
    ]  # fmt: skip


@pytest.mark.parametrize("count", [10, 1000])
def test_a_large_directory_is_cut(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(module, "RUN", 16)
    names = touch(tmp_path, *range(count))
    found = scan(place, 100)
    kept = found_names(found)
    assert kept == names[: len(kept)]
    assert len(kept) == pytest.approx(min(count, 100), rel=0.2)
    assert found.horizon == (NEVER if count == 10 else names[len(kept)])
    assert found.read == count


def test_few_names_are_kept_that_are_not_due(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN", 16)
    later = touch(tmp_path, *range(FAR, FAR + 500))
    due = touch(tmp_path, *range(50))
    found = scan(place, 200, 20)
    kept = found_names(found)
    assert kept[:50] == due
    assert kept[50:] == later[: len(kept) - 50]
    assert 10 < len(kept) - 50 < 40
    assert due_of(found.horizon) < FAR + 500


def test_names_that_are_skipped_do_not_count(place: Place, tmp_path: Path) -> None:
    names = touch(tmp_path, *range(50))
    assert found_names(scan(place, 10, skip=frozenset(names[:45]))) == names[45:]


def test_names_are_divided_among_workers(place: Place, tmp_path: Path) -> None:
    names = touch(tmp_path, *range(200))
    scans = [scan(place, 1000, share=Share(rank, 3)) for rank in range(3)]
    mine = [{name_of(key) for run in found.mine for key in run} for found in scans]
    assert set.union(*mine) == set(names)
    assert sum(map(len, mine)) == 200
    assert all(len(part) > 30 for part in mine)
    for found in scans:
        assert found_names(found) == names
        assert all(run == sorted(run, reverse=True) for run in (*found.mine, *found.others))
