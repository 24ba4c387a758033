"""One place as a worker sees it: its own names first, those of others in time, scans only when they are worth it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from aspool.spools.directory import sight as module
from aspool.spools.directory.index import LATER, LIMIT, NEVER, Run, key_of, moment
from aspool.spools.directory.names import PREFIX, FileName, microseconds
from aspool.spools.directory.ranks import ALL, Share
from aspool.spools.directory.scan import Found
from aspool.spools.directory.sight import HESITATION, MANY, PATIENCE, RARELY, SOON, Errand, Sight
from aspool.spools.directory.tree import Place

PLACE = Place("5", -1)
NOW = 1_700_000_000.0
FIRST = Share(0, 2)


@dataclass
class Clock:
    passed: float = 0.0

    def time(self) -> float:
        return NOW + self.passed

    def monotonic(self) -> float:
        return 1e6 + self.passed


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def named(due: float) -> Iterator[str]:
    """Names due at that moment."""
    number = 0
    while True:
        yield str(FileName(microseconds(due), f"{number:06}"))
        number += 1


def own(due: float, count: int = 1, share: Share = FIRST) -> list[str]:
    names = named(due)
    return [next(name for name in names if share.has(name)) for _ in range(count)]


def others(due: float, count: int = 1) -> list[str]:
    return own(due, count, Share(1, 2))


def found(*names: str, horizon: str = NEVER, share: Share = FIRST, duration: float = 0.1) -> Found:
    runs: list[Run] = [sorted(names, reverse=True)]
    mine, rest = share.divide(runs)
    return Found(PLACE, mine, rest, horizon, read=len(names), mtime=7, duration=duration)


def seen(*names: str, share: Share = FIRST, horizon: str = NEVER) -> Sight:
    sight = Sight(PLACE, share)
    sight.begin_scan()
    sight.install(found(*names, share=share, horizon=horizon))
    return sight


def taken(sight: Sight, now: float = NOW, count: int = 1000) -> list[str]:
    return [name for _, name in sight.take(count, moment(microseconds(now)))]


# --- scans -----------------------------------------------------------------------------------------------


def test_a_new_place_is_scanned_once() -> None:
    sight = Sight(PLACE, ALL)
    assert sight.wants_scan
    assert not sight.is_known
    assert sight.begin_scan() == Errand(PLACE, LIMIT, LATER, frozenset(), ALL)
    assert not sight.wants_scan
    assert not sight.is_known
    sight.install(found())
    assert not sight.wants_scan
    assert sight.is_known


def test_what_is_claimed_or_waits_is_not_brought_again() -> None:
    names = own(NOW - 9, 3)
    sight = seen(*names)
    sight.hold(names[0])
    sight.hold_back(names[1], 1.0, 1.0)
    assert sight.begin_scan().skip == {names[0], names[1]}
    sight.install(found(*names))  # both came after the scan had begun
    assert taken(sight) == [names[2]]


def test_what_comes_while_a_scan_is_under_way_is_kept() -> None:
    came, back, put_back, again = (own(NOW - 9 - n)[0] for n in range(4))
    sight = seen(back, put_back, again)
    sight.hold_back(back, 1.0, 1.0)
    sight.hold(again)
    sight.begin_scan()
    sight.appeared(came, NOW)
    sight.release(back, NOW)
    sight.insert(put_back, microseconds(NOW))
    sight.let_go(again, NOW)
    sight.seen_again(again, NOW - 5)
    sight.install(found())
    assert sorted(taken(sight)) == sorted([came, back, put_back, again])


def test_what_ends_while_a_scan_is_under_way_is_not_tried_again() -> None:
    (name,) = own(NOW - 9)
    sight = seen(name)
    sight.hold(name)
    sight.begin_scan()
    sight.let_go(name, NOW)
    sight.install(found(name))
    assert taken(sight) == []
    sight.appeared(name, NOW)  # another file of this name
    assert taken(sight) == [name]


def test_what_appears_while_its_name_is_held_is_tried_after() -> None:
    """A message with a chosen id and moment may come again before the worker has heard that the first is dead."""
    (name,) = own(NOW - 9)
    sight = seen(name)
    assert taken(sight) == [name]
    sight.hold(name)
    sight.appeared(name, NOW)
    assert taken(sight) == []
    assert sight.let_go(name, NOW)
    assert taken(sight) == [name]
    assert not sight.let_go(name, NOW)


def test_a_cut_index_that_is_nearly_used_up_is_filled_again() -> None:
    names = own(NOW - 9, 2000, ALL)
    sight = seen(*names, share=ALL, horizon=moment(microseconds(NOW)))
    taken(sight, count=1799)
    assert not sight.wants_scan
    taken(sight, count=1)
    assert sight.wants_scan
    uncut = seen(*names, share=ALL)
    taken(uncut)
    assert not uncut.wants_scan


def test_later_names_that_are_used_up_too_soon_are_kept_in_larger_numbers(clock: Clock) -> None:
    sight = seen(*own(NOW - 9, 10, ALL), share=ALL, horizon=moment(microseconds(NOW)))
    for passed, times in [(3, 1), (1, 2), (1, 4), (3, 4), (1, 8), (1, 16), (1, 25), (1, 25)]:
        clock.passed += passed
        taken(sight)
        assert sight.begin_scan().later == times * LATER
        sight.install(found(*own(NOW - 9, 10, ALL), horizon=moment(microseconds(NOW)), share=ALL))
    sight.wanted = True
    sight.begin_scan()
    sight.install(found())  # all of it was read
    sight.wanted = True
    assert sight.begin_scan().later == LATER


@pytest.mark.parametrize(
    ("mtime", "age", "wanted"),
    [(7, 5.0, False), (8, 1.9, False), (8, 2.1, True), (7, 11.0, False), (7, 101.0, True), (None, 5.0, False)],
)
def test_the_poll_asks_for_scans_when_the_directory_changed_and_rarely(
    clock: Clock, mtime: int | None, age: float, wanted: bool
) -> None:
    sight = seen()
    clock.passed = age
    sight.poll(mtime, 1.0)
    assert sight.wanted is wanted


@pytest.mark.parametrize(("is_watched", "age", "wanted"), [(False, 2.1, True), (True, 9.9, False), (True, 10.1, True)])
def test_where_events_tell_of_new_names_a_change_is_less_of_a_reason(
    clock: Clock, is_watched: bool, age: float, wanted: bool
) -> None:
    sight = seen()
    sight.is_watched = is_watched
    clock.passed = age
    sight.poll(8, 5.0)
    assert sight.wanted is wanted


def test_after_a_scan_that_failed_the_next_poll_asks_for_another(clock: Clock) -> None:
    sight = Sight(PLACE, ALL)
    sight.begin_scan()
    sight.scan_failed()
    assert sight.is_known
    sight.poll(7, 1.0)
    assert sight.wanted


# --- own names and those of others -----------------------------------------------------------------------


def test_a_single_worker_takes_all_in_order() -> None:
    names = [*own(NOW - 9, 3), *others(NOW - 8, 3), *own(NOW - 7, 3)]
    assert taken(seen(*names, share=ALL)) == names


def test_own_names_come_first_and_older_ones_of_others_before_them() -> None:
    old, fresh = others(NOW - 10 - PATIENCE, 2), others(NOW - 9, 2)
    mine = own(NOW - 10, 2)
    sight = seen(*old, *fresh, *mine)
    assert taken(sight, count=4) == [*old, *mine]
    assert taken(sight) == fresh


def test_a_name_of_others_is_left_to_them_for_a_moment() -> None:
    (name,) = others(NOW)
    sight = seen()
    sight.appeared(name, NOW)
    assert taken(sight, NOW) == []
    assert sight.has_hesitated(moment(microseconds(NOW)))
    assert sight.next_due() == pytest.approx(NOW + HESITATION)
    assert taken(sight, NOW + HESITATION) == [name]
    assert not sight.has_hesitated(moment(microseconds(NOW)))
    assert sight.next_due() is None


def test_a_name_of_its_own_is_taken_at_once() -> None:
    (name,) = own(NOW)
    sight = seen()
    sight.appeared(name, NOW)
    assert taken(sight, NOW) == [name]


def test_a_name_of_uwsgi_is_tried_when_it_appears() -> None:
    sight = seen(share=ALL)
    sight.appeared(f"{PREFIX}host_1", NOW)
    sight.appeared("README", NOW)
    assert taken(sight, NOW - 0.001) == []
    assert taken(sight, NOW) == [f"{PREFIX}host_1"]


def test_names_that_are_held_are_no_news() -> None:
    (name,) = own(NOW)
    sight = seen()
    sight.hold(name)
    sight.appeared(name, NOW)
    assert taken(sight) == []


def test_when_many_names_of_others_were_gone_it_waits_for_a_scan(clock: Clock) -> None:
    sight = seen(*others(NOW - 9, 1000))
    clock.passed = SOON * 0.1 + 0.01
    for name in taken(sight, count=MANY + 1):
        sight.has_gone(name)
    assert not sight.wants_scan
    assert taken(sight) == []
    assert sight.wants_scan
    assert sight.next_due() == pytest.approx(clock.time() + PATIENCE)
    sight.begin_scan()
    assert taken(sight) == []
    sight.install(found(*others(NOW - 9, 5)))
    assert taken(sight) == others(NOW - 9, 5)


def test_it_waits_until_a_scan_is_allowed_again(clock: Clock) -> None:
    sight = seen(*others(NOW - 9, 1000))
    for name in taken(sight, count=MANY + 1):
        sight.has_gone(name)
    assert taken(sight) == []
    assert not sight.wants_scan
    assert sight.next_due() == pytest.approx(NOW + SOON * 0.1)
    clock.passed = SOON * 0.1
    assert taken(sight) == []
    assert sight.wants_scan


def test_a_scan_that_takes_long_is_not_waited_for_all_the_time(clock: Clock) -> None:
    sight = seen()
    sight.begin_scan()
    sight.install(found(*others(NOW - 9, 1000), duration=10.0))
    for name in taken(sight, count=MANY + 1):
        sight.has_gone(name)
    assert taken(sight) == []
    clock.passed = PATIENCE
    assert len(taken(sight, count=10)) == 10
    assert not sight.wants_scan


def test_own_names_go_on_while_those_of_others_rest() -> None:
    mine = own(NOW - 5, 3)
    sight = seen(*others(NOW - 9, 1000), *mine)
    for name in taken(sight, count=MANY + 1):
        sight.has_gone(name)
    assert taken(sight) == mine


def test_a_share_that_is_used_up_is_read_again_although_others_have_much_left(clock: Clock) -> None:
    sight = seen(*own(NOW - 5, 50), *others(NOW - 5, 500), horizon=moment(microseconds(NOW)))
    taken(sight, count=50)
    assert not sight.wants_scan
    clock.passed = RARELY * 0.1 + 0.01
    assert sight.wants_scan


# --- waiting ---------------------------------------------------------------------------------------------


def test_waits_are_doubled_until_the_name_is_claimed_or_gone() -> None:
    (name,) = own(NOW)
    sight = seen()
    assert [sight.hold_back(name, 0.01, 0.05) for _ in range(4)] == [0.01, 0.02, 0.04, 0.05]
    sight.hold(name)
    assert sight.hold_back(name, 0.01, 0.05) == 0.01
    sight.has_gone(name)
    assert sight.hold_back(name, 0.01, 0.05) == 0.01


def test_a_name_that_waits_is_tried_when_it_is_released_or_heard_of() -> None:
    names = own(NOW - 9, 2)
    sight = seen()
    for name in names:
        sight.hold_back(name, 1.0, 1.0)
        sight.insert(name, microseconds(NOW))
    assert taken(sight) == []
    sight.release(names[0], NOW)
    assert taken(sight) == [names[0]]
    sight.appeared(names[1], NOW)
    assert taken(sight) == [names[1]]


def test_the_next_moment_is_that_of_the_earliest_name() -> None:
    assert seen(*own(NOW + 5), *own(NOW + 3)).next_due() == NOW + 3
    assert seen(*own(NOW + 5), *others(NOW + 3)).next_due() == pytest.approx(NOW + 3 + HESITATION)
    assert key_of("x", microseconds(NOW)) < moment(microseconds(NOW))
