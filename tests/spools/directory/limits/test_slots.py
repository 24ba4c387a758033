"""Slots: as many holders as the limit says, whoever they are; the kernel and the child of a job see to the rest."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from aspool.spools.directory.limits.slots import AREA, Slots, file_name
from aspool.spools.directory.locks import HAVE_OFD
from aspool.spools.directory.tree import PRIVATE, Place, Tree
from aspool.spools.directory.watch import Watch

pytestmark = pytest.mark.skipif(not HAVE_OFD, reason="without OFD locks a process is one holder")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(str(tmp_path / "spool"))
    made.open()
    yield made
    made.close()


@pytest.fixture
def area(tree: Tree) -> Path:
    return Path(tree.path) / PRIVATE / AREA


def test_never_more_than_the_limit_over_all_workers(tree: Tree) -> None:
    one, other = Slots(tree), Slots(tree)
    held = [one.take("t", 3), other.take("t", 3), one.take("t", 3)]
    assert None not in held
    assert one.take("t", 3) is None
    assert other.take("t", 3) is None
    assert (one.count_free("t", 3), other.count_free("t", 4)) == (0, 1)
    assert held[0] is not None
    held[0].free()
    held[0].free()
    assert other.count_free("t", 3) == 1
    assert other.take("t", 3) is not None
    assert one.take("t", 3) is None
    assert one.take("another", 1) is not None


def test_a_lower_limit_of_a_newer_worker_counts_for_that_one(tree: Tree) -> None:
    old, new = Slots(tree), Slots(tree)
    assert old.take("t", 2) is not None
    assert new.take("t", 1) is None
    assert old.take("t", 2) is not None
    assert new.count_free("t", 1) == 0


def test_very_many_slots_cost_no_more_than_those_that_are_taken(tree: Tree) -> None:
    slots = Slots(tree)
    assert slots.take("t", 1_000_000_000) is not None
    assert slots.count_free("t", 1_000_000_000) == 999_999_999


def test_a_worker_that_leaves_keeps_what_its_jobs_still_have(tree: Tree) -> None:
    one, other = Slots(tree), Slots(tree)
    slot = one.take("t", 1)
    assert slot is not None
    one.leave()
    assert other.take("t", 1) is None
    slot.free()
    assert other.take("t", 1) is not None


def test_the_child_of_a_job_keeps_its_slot_when_the_worker_has_died(tree: Tree) -> None:
    one, other = Slots(tree), Slots(tree)
    slot = one.take("t", 1)
    assert slot is not None
    with ExitStack() as child:
        slot.guard(os.getpid()).hold(child)
        slot.free()  # as the kernel does it
        assert other.take("t", 1) is None
        assert other.count_free("t", 1) == 0
    assert other.take("t", 1) is not None


def heard(watch: Watch) -> list[str]:
    return [event.name for event in watch.read() or []]


def test_a_free_slot_is_announced_and_looking_for_one_is_not(tree: Tree) -> None:
    watch = Watch()
    watch.add_area(Place(f"{PRIVATE}/{AREA}", tree.area(AREA)))
    one, other = Slots(tree), Slots(tree)
    slot = one.take("t", 1)
    assert slot is not None
    assert other.take("t", 1) is None
    assert heard(watch) == ["t"], "the file is new"
    for _ in range(3):
        assert other.take("t", 1) is None
        assert other.count_free("t", 1) == 0
    assert heard(watch) == []
    slot.free()
    assert heard(watch) == ["t"]
    again = one.take("t", 1)
    assert again is not None
    with ExitStack() as child:
        again.guard(os.getpid()).hold(child)
        assert heard(watch) == []
    assert heard(watch) == ["t"], "a child that dies says so"
    watch.close()


def test_a_file_that_somebody_removed_is_made_again(tree: Tree, area: Path) -> None:
    one, other = Slots(tree), Slots(tree)
    slot = one.take("t", 1)
    assert slot is not None
    (area / "t").unlink()
    assert other.take("t", 1) is not None, "nobody can know of the first any more"
    assert one.take("t", 1) is None
    slot.free()
    assert one.take("t", 1) is None


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_what_is_no_file_gives_no_slot(tree: Tree, area: Path, tmp_path: Path, kind: str) -> None:
    {
        "directory": lambda: (area / "t").mkdir(),
        "link": lambda: (area / "t").symlink_to(tmp_path / "elsewhere"),
        "pipe": lambda: os.mkfifo(area / "t"),
    }[kind]()
    slots = Slots(tree)
    with pytest.raises(OSError, match=r"t|directory"):
        slots.take("t", 1)
    assert not (tmp_path / "elsewhere").exists()


def test_every_task_has_a_file_of_its_own() -> None:
    names = ["a", "A", "a/b", "a%2Fb", "../x", ".", "", "ö", "x" * 300, "x" * 299 + "y", "raw", "turn", "\ud800"]
    files = [file_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all("/" not in file and len(file.encode()) < 120 and file not in ("raw", "turn", "spool") for file in files)
