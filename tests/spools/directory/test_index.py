"""The index: earliest first, bounded, and complete up to its horizon, whatever comes in whatever order."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aspool.spools.directory.index import Index


def taken(index: Index, now: int) -> list[str]:
    names = []
    while (name := index.take(now)) is not None:
        names.append(name)
    return names


def test_names_come_out_by_due_moment_and_only_when_due() -> None:
    index = Index()
    for due, name in [(30, "c"), (10, "b"), (20, "z"), (10, "a")]:
        index.add(due, name)
    assert (len(index), index.first_due(), index.horizon) == (4, 10, None)
    assert index.take(9) is None
    assert taken(index, 20) == ["a", "b", "z"]
    assert (index.first_due(), len(index)) == (30, 1)
    assert taken(index, 30) == ["c"]
    assert index.first_due() is None


def test_a_scan_replaces_what_was_known() -> None:
    index = Index(limit=10)
    index.add(1, "old")
    index.replace([(3, "b"), (2, "a")], None)
    assert taken(index, 99) == ["a", "b"]
    assert index.horizon is None
    assert not index.is_low


def test_a_scan_that_was_cut_has_a_horizon_and_names_beyond_it_are_left_to_the_next() -> None:
    index = Index(limit=10)
    index.replace([(due, str(due)) for due in range(10, 20)], 20)
    index.add(20, "beyond")
    index.add(25, "beyond")
    index.add(5, "early")
    index.add(19, "last")
    assert len(index) == 12
    assert taken(index, 99)[0] == "early"


def test_too_many_names_are_cut_and_the_cut_is_the_horizon() -> None:
    index = Index(limit=10)
    index.replace([(due, str(due)) for due in reversed(range(100))], None)
    assert (len(index), index.horizon) == (10, 9)
    index.replace([(due, str(due)) for due in range(15)], 5)
    assert index.horizon == 5  # what the scan did not keep is still unknown


def test_a_long_stream_of_names_is_cut_too() -> None:
    index = Index(limit=10)
    for due in reversed(range(1000)):
        index.add(due, str(due))
    assert len(index) <= 20
    assert index.horizon is not None
    assert taken(index, 9) == [str(due) for due in range(10)]


def test_names_that_must_be_tried_do_not_move_the_horizon_outwards() -> None:
    index = Index(limit=2)
    index.replace([(1, "a"), (2, "b")], 10)
    for due in range(20, 23):
        index.insert(due, "foreign")
    assert index.horizon is not None
    assert index.horizon <= 10


@pytest.mark.parametrize(
    ("count", "horizon", "low"),
    [(50, 99, False), (11, 99, False), (10, 99, True), (0, 99, True), (0, None, False)],
)
def test_it_is_low_when_it_was_cut_and_is_nearly_used_up(count: int, horizon: int | None, low: bool) -> None:
    index = Index(limit=100)
    index.replace([(due, "x") for due in range(count)], horizon)
    assert index.is_low is low


class Directory(RuleBasedStateMachine):
    """A directory beside an index of it: nothing that is due before the horizon may be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(limit=4)
        self.files: set[tuple[int, str]] = set()
        self.count = 0

    @rule(due=st.integers(0, 30))
    def publish(self, due: int) -> None:
        self.count += 1
        self.files.add((due, f"{self.count:04}"))
        self.index.add(due, f"{self.count:04}")

    @rule(due=st.integers(0, 30))
    def put_back(self, due: int) -> None:
        self.count += 1
        self.files.add((due, f"{self.count:04}"))
        self.index.insert(due, f"{self.count:04}")

    @rule()
    def scan(self) -> None:
        kept = sorted(self.files)[: self.index.limit]
        self.index.replace(kept, kept[-1][0] if len(kept) < len(self.files) else None)

    @rule(now=st.integers(0, 30))
    def work(self, now: int) -> None:
        name = self.index.take(now)
        self.files = {entry for entry in self.files if entry[1] != name}

    @invariant()
    def nothing_before_the_horizon_is_missing(self) -> None:
        known = set(self.index.entries())
        horizon = self.index.horizon
        assert {entry for entry in self.files if horizon is None or entry[0] < horizon} <= known
        assert known <= self.files

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.index) <= 2 * self.index.limit


TestDirectory = Directory.TestCase
