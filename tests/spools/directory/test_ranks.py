"""Ranks: every worker has one, no two have the same, and a dead one's is free."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.spools.directory import locks, ranks
from aspool.spools.directory.names import FileName
from aspool.spools.directory.ranks import ALL, FILE, Ranks, Share

pytestmark = pytest.mark.skipif(not locks.HAVE_OFD, reason="ranks need OFD locks")


@pytest.fixture
def area(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "OLDEST", -1.0)


@contextmanager
def workers(area: int, count: int) -> Iterator[list[Ranks]]:
    entered = [Ranks() for _ in range(count)]
    for each in entered:
        each.enter(area)
    yield entered
    for each in entered:
        each.leave()


# --- shares ----------------------------------------------------------------------------------------------


# Names of files: what is no UTF-8 in them comes as a low surrogate, and no other surrogate ever does.
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0")) | st.just("\udcff"), st.integers(1, 50)
)
def test_each_name_belongs_to_one_worker(name: str, count: int) -> None:
    assert sum(Share(rank, count).has(name) for rank in range(count)) == 1


@pytest.mark.parametrize("count", [2, 3, 4, 8, 16])
def test_shares_are_about_equal(count: int) -> None:
    names = [str(FileName(1_700_000_000_000_000 + n, f"{n:014x}")) for n in range(1000 * count)]
    for rank in range(count):
        assert sum(map(Share(rank, count).has, names)) == pytest.approx(1000, rel=0.15)


def test_all_is_everything() -> None:
    runs = [["c", "b"], ["a"]]
    assert ALL.divide(runs) == (runs, [])


# --- ranks -----------------------------------------------------------------------------------------------


def test_a_single_worker_has_everything(area: int) -> None:
    assert Ranks().share() == ALL
    with workers(area, 1) as (only,):
        assert only.share() == ALL


@pytest.mark.parametrize("count", [2, 5, 40])
def test_workers_have_ranks_in_the_order_of_their_coming(area: int, count: int) -> None:
    with workers(area, count) as entered:
        assert [each.share() for each in entered] == [Share(rank, count) for rank in range(count)]


def test_who_leaves_makes_room(area: int) -> None:
    with workers(area, 5) as entered:
        entered[1].leave()
        entered[3].leave()
        assert entered[1].share() == ALL
        assert [entered[n].share() for n in (0, 2, 4)] == [Share(rank, 3) for rank in range(3)]
        entered[3].enter(area)
        assert [entered[n].share() for n in (0, 3, 2, 4)] == [Share(rank, 4) for rank in range(4)]


def test_a_dead_process_has_no_rank(area: int) -> None:
    with workers(area, 1) as (here,):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            other = Ranks()
            other.enter(area)
            os.write(tell, b"%d" % other.share().workers)
            signal.pause()
        assert os.read(told, 1) == b"2"  # its parent's counts there, and not twice
        assert here.share() == Share(0, 2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert here.share() == ALL
        os.close(told)
        os.close(tell)


def test_a_forked_child_does_not_keep_the_rank(area: int) -> None:
    with workers(area, 2) as (one, other):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            os.write(tell, b"x")
            signal.pause()
        os.read(told, 1)
        other.leave()
        assert one.share() == ALL
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/null")])
def test_without_a_file_all_is_ones_own(area: int, tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / FILE)
    with workers(area, 1) as (only,):
        assert only.share() == ALL


def test_without_such_locks_all_is_ones_own(area: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "HAVE_OFD", False)
    with workers(area, 2) as entered:
        assert [each.share() for each in entered] == [ALL, ALL]


def test_a_lock_over_the_whole_file_harms_nobody(area: int, tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with (tmp_path / FILE).open("r+b") as file:
        assert locks.try_lock(file.fileno())
        with workers(area, 1) as (late,):
            assert late.share() == ALL
    with workers(area, 1) as (only,), (tmp_path / FILE).open("r+b") as file:
        assert not locks.try_lock(file.fileno())
        assert only.share() == ALL


def test_it_is_counted_at_most_once_in_a_while(area: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "OLDEST", 1000.0)
    monkeypatch.setattr(ranks, "NEWEST", 1000.0)
    with workers(area, 2) as (one, other):
        assert one.share() == Share(0, 2)
        other.leave()
        assert one.share() == Share(0, 2)
