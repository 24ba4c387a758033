"""The index: earliest first, bounded, and complete up to its horizon, whatever comes in whatever order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aspool.spools.directory.index import NEVER, RUN, Index, Run, cut, due_of, key_of, moment, name_of
from aspool.spools.directory.names import PREFIX, FileName

ALWAYS = moment(10**15)


def name(due: int, id: str = "x") -> str:
    return str(FileName(due, id))


def runs(*dues: int) -> list[Run]:
    return [[name(due) for due in sorted(dues, reverse=True)]]


def taken(index: Index, now: int) -> list[int]:
    return [due_of(key) for key in index.take(1000, moment(now))]


# --- keys ------------------------------------------------------------------------------------------------


def test_a_name_of_ours_is_its_own_key() -> None:
    assert key_of(name(5), 5) == name(5)
    assert (name_of(name(5)), due_of(name(5))) == (name(5), 5)


@pytest.mark.parametrize("foreign", [f"{PREFIX}host_1_2_3_1700000000_5", PREFIX, f"{PREFIX}é_ü", name(7), "\udcff"])
def test_a_name_due_when_it_does_not_say_has_a_key_that_does(foreign: str) -> None:
    key = key_of(foreign, 5)
    assert (name_of(key), due_of(key)) == (foreign, 5)
    assert moment(4) < name(5) < moment(5) < name(6)
    assert moment(4) < key < moment(5)


@pytest.mark.parametrize(("due", "kept"), [(-5, 0), (10**20, 10**16 - 1)])
def test_a_moment_that_no_name_can_say_is_the_next_that_one_can(due: int, kept: int) -> None:
    assert due_of(key_of("x", due)) == kept
    assert due_of(moment(due)) == kept
    assert key_of("x", due) < NEVER


@given(st.lists(st.tuples(st.integers(0, 10**16 - 1), st.sampled_from("ab"), st.booleans())))
def test_keys_sort_by_due_moment(entries: list[tuple[int, str, bool]]) -> None:
    keys = [key_of(name(due, id) if ours else PREFIX + id, due) for due, id, ours in entries]
    assert [due_of(key) for key in sorted(keys)] == sorted(due for due, _, _ in entries)


# --- the cut ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "later", "now", "kept"),
    [
        (100, 100, 99, 100),  # as many as wanted
        (30, 30, 0, 30),
        (30, 10, 0, 11),  # one is due now
        (30, 10, 15, 26),
        (30, 10, 80, 30),
    ],
)
def test_the_earliest_are_kept_and_few_that_are_not_due(limit: int, later: int, now: int, kept: int) -> None:
    numbers = list(range(100))
    random.Random(1).shuffle(numbers)
    cut_runs = [*runs(*numbers[:40]), *runs(*numbers[40:50]), [], *runs(*numbers[50:])]
    horizon = cut(cut_runs, limit, later, moment(now))
    assert sorted(due_of(key) for run in cut_runs for key in run) == list(range(kept))
    assert horizon == (name(kept) if kept < 100 else NEVER)
    assert all(run == sorted(run, reverse=True) for run in cut_runs)


def test_a_large_cut_is_about_right() -> None:
    numbers = list(range(100_000))
    random.Random(2).shuffle(numbers)
    many = [run for start in range(0, len(numbers), RUN) for run in runs(*numbers[start : start + RUN])]
    horizon = cut(many, 50_000, 10_000, moment(20_000))
    left = sorted(due_of(key) for run in many for key in run)
    assert left == list(range(due_of(horizon)))
    assert len(left) == pytest.approx(30_000, rel=0.05)


# --- the index -------------------------------------------------------------------------------------------


def test_names_come_out_by_due_moment_and_only_when_due() -> None:
    index = Index()
    for due in (30, 10, 20, 15):
        index.add(name(due))
    assert (len(index), index.first(), index.horizon) == (4, name(10), NEVER)
    assert taken(index, 9) == []
    assert taken(index, 20) == [10, 15, 20]
    assert (index.first(), len(index)) == (name(30), 1)
    assert index.take(0, ALWAYS) == []
    assert taken(index, 30) == [30]
    assert index.first() == NEVER


def test_runs_and_names_that_came_since_are_merged() -> None:
    index = Index()
    index.replace([*runs(1, 4, 9), *runs(2, 3, 8)], NEVER)
    for due in (5, 0, 10):
        index.add(name(due))
    assert [due_of(key) for key in index.take(4, ALWAYS)] == [0, 1, 2, 3]
    assert taken(index, 8) == [4, 5, 8]
    assert taken(index, 99) == [9, 10]
    assert len(index) == 0


def test_a_scan_replaces_what_was_known() -> None:
    index = Index()
    index.add(name(1, "old"))
    index.replace(runs(3, 2), NEVER)
    assert taken(index, 99) == [2, 3]


def test_names_beyond_the_horizon_are_left_to_the_next_scan() -> None:
    index = Index()
    index.replace(runs(*range(10, 20)), name(20))
    for due in (20, 25, 5, 19):
        index.add(name(due))
    assert len(index) == 12
    assert taken(index, 99) == [5, *range(10, 20), 19]


def test_a_long_stream_of_names_is_cut_too() -> None:
    index = Index(limit=10, later=10)
    for due in reversed(range(1000)):
        index.add(name(due))
    assert len(index) <= 20
    assert index.horizon < NEVER
    assert taken(index, 9) == list(range(10))


def test_of_a_stream_of_later_names_few_are_kept() -> None:
    index = Index(limit=1000, later=10)
    index.take(1, moment(99))
    for due in range(3000):
        index.add(name(due))
    assert len(index) < 1120
    assert taken(index, 99) == list(range(100))


def test_names_that_must_be_tried_do_not_move_the_horizon_outwards() -> None:
    index = Index(limit=2, later=2)
    index.replace(runs(1, 2), name(10))
    for due in range(20, 25):
        index.insert(name(due, "foreign"))
    assert index.horizon <= name(10)


class Directory(RuleBasedStateMachine):
    """A directory beside an index of it: nothing that is due before the horizon may be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(limit=4, later=2)
        self.files: set[str] = set()
        self.count = 0

    def _name(self, due: int) -> str:
        self.count += 1
        self.files.add(key := name(due, f"{self.count:04}"))
        return key

    @rule(due=st.integers(0, 30))
    def publish(self, due: int) -> None:
        self.index.add(self._name(due))

    @rule(due=st.integers(0, 30))
    def put_back(self, due: int) -> None:
        self.index.insert(self._name(due))

    @rule(pieces=st.integers(1, 3), now=st.integers(0, 30))
    def scan(self, pieces: int, now: int) -> None:
        files = sorted(self.files, reverse=True)
        found = [files[piece::pieces] for piece in range(pieces)]
        self.index.replace(found, cut(found, 4, 2, moment(now)))

    @rule(count=st.integers(0, 3), now=st.integers(0, 30))
    def work(self, count: int, now: int) -> None:
        entries = self.index.keys()
        due = sorted(key for key in entries if key <= moment(now))
        keys = self.index.take(count, moment(now))
        assert keys == due[:count]
        self.files -= set(keys)

    @invariant()
    def nothing_before_the_horizon_is_missing(self) -> None:
        known = set(self.index.keys())
        assert {key for key in self.files if key < self.index.horizon} <= known
        assert known <= self.files
        assert self.index.first() == min(known, default=NEVER)

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.index) == len(self.index.keys()) <= 8


TestDirectory = Directory.TestCase
