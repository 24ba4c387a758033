"""Parked names: they are not tried until what they wait for may be over, and then the earliest first."""

import os
from pathlib import Path

import pytest

from aspool.spools.directory.claim import BUSY, GONE, Candidate, Skip
from aspool.spools.directory.index import NEVER
from aspool.spools.directory.limits.gate import LIMITED, PAUSED, UNKNOWN_TASK, Reason
from aspool.spools.directory.look import Look
from aspool.spools.directory.names import FileName, microseconds
from aspool.spools.directory.scan import Found, Passed, scan
from aspool.spools.directory.sight import Sight
from aspool.spools.directory.tree import Place, rank_of

NOW = 1_700_000_000.0
TOP, FIVE = Place("", -1), Place("5", -1, rank_of("5"))
ONE, TWO = Reason(LIMITED, "one"), Reason(PAUSED, "two")


def name(ago: float, id: str = "x") -> str:
    return str(FileName(microseconds(NOW - ago), id))


def looked(*found: Found) -> Look:
    look = Look()
    for each in found:
        look.add_place(each.place)
    by_path = {each.place.path: each for each in found}
    while (errand := look.next_scan()) is not None:
        look.install(by_path[errand.place.path])
    return look


def parked(look: Look, reason: Reason, count: int = 1000) -> list[Candidate]:
    """Take them all, and let each wait."""
    candidates = look.take(count, NOW)
    for candidate in candidates:
        look.skipped(candidate, Skip(reason.why, reason=reason), NOW)
    return candidates


def test_they_wait_until_somebody_stirs_them() -> None:
    look = looked(Found(TOP, [[name(1), name(2), name(3)]]))
    first, second, third = parked(look, ONE)
    assert look.take(9, NOW) == []
    assert look.next_due() is None
    assert not look.stir(TWO)
    assert look.stir(ONE)
    assert look.next_due() == 0.0
    look.let_in({ONE: 2})
    assert look.take(9, NOW) == [first, second]
    look.let_in({ONE: 2})
    assert look.take(9, NOW) == [], "two are on their way"
    look.skipped(first, Skip(GONE), NOW)
    look.hold(second, second.name)
    look.let_in({ONE: 2})
    assert look.take(9, NOW) == [third]
    look.let_in({ONE: 0})
    assert look.next_due() is None


def test_the_most_urgent_come_first() -> None:
    look = looked(Found(TOP, [[name(9)]]), Found(FIVE, [[name(1), name(2)]]))
    parked(look, ONE)
    look.stir(ONE)
    order = []
    for _ in range(3):
        look.let_in({ONE: 1})
        (candidate,) = look.take(9, NOW)
        look.hold(candidate, candidate.name)
        order.append(candidate)
    assert order == [Candidate(FIVE, name(2)), Candidate(FIVE, name(1)), Candidate(TOP, name(9))]


def test_they_stand_in_line_with_the_others() -> None:
    look = looked(Found(TOP, [[name(1), name(3)]]))
    parked(look, ONE, 1)
    look.stir(ONE)
    look.let_in({ONE: 1})
    look.seen_again(TOP, name(5), NOW - 5)
    assert [name for _, name in look.take(9, NOW)] == [name(5), name(3), name(1)]


def test_who_loses_the_race_waits_for_the_next_chance() -> None:
    look = looked(Found(TOP, [[name(1), name(2)]]))
    parked(look, ONE)
    look.stir(ONE)
    look.let_in({ONE: 1})
    parked(look, ONE)
    assert not look.stirred
    assert look.next_due() is None


def test_a_chance_that_came_while_it_was_tried_is_not_lost() -> None:
    look = looked(Found(TOP, [[name(1)]]))
    (candidate,) = look.take(1, NOW)
    look.stir(ONE)  # the slot was freed after the name was refused, before that is known here
    look.skipped(candidate, Skip(LIMITED, reason=ONE), NOW)
    assert look.stirred == {ONE}


def test_a_refused_lock_lets_the_next_one_try() -> None:
    look = looked(Found(TOP, [[name(1), name(2)]]))
    busy, following = parked(look, ONE)
    look.stir(ONE)
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == [busy]
    look.skipped(busy, Skip(BUSY), NOW)
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == [following]


def test_a_name_that_came_up_twice_leaves_no_trace() -> None:
    look = looked(Found(TOP, [[name(1)], [name(1)]]))
    assert len(parked(look, ONE)) == 2
    look.stir(ONE)
    look.let_in({ONE: 1})
    (candidate,) = look.take(9, NOW)
    look.hold(candidate, candidate.name)
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == []
    assert not look.stirred


def test_a_claim_under_a_new_name_ends_the_way_of_the_old_one() -> None:
    look = looked(Found(TOP, [[name(1), name(2)]]))
    first, second = parked(look, ONE)
    look.stir(ONE)
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == [first]
    look.hold(first, first.name[:-1] + "1")  # the death of its last worker was counted
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == [second]


def test_scans_and_news_leave_them_alone() -> None:
    look = looked(Found(TOP, [[name(1)]]))
    parked(look, ONE)
    look.want_all()
    errand = look.next_scan()
    assert errand is not None
    assert name(1) in errand.skip
    look.install(Found(TOP, [[name(1)]]))  # it had begun before
    assert look.take(9, NOW) == []


def test_what_was_not_tried_is_still_on_its_way() -> None:
    look = looked(Found(TOP, [[name(1)]]))
    parked(look, ONE)
    look.stir(ONE)
    look.let_in({ONE: 1})
    look.put_back(look.take(9, NOW), NOW)
    look.let_in({ONE: 1})
    assert look.take(9, NOW) == [Candidate(TOP, name(1))]


def test_an_unknown_task_is_tried_again_when_its_time_is_over() -> None:
    look = looked(Found(TOP, [[name(1)]]))
    (candidate,) = look.take(1, NOW)
    look.skipped(candidate, Skip(UNKNOWN_TASK, NOW + 30), NOW)
    assert look.take(9, NOW + 29) == []
    assert look.next_due() == NOW + 30
    assert look.take(9, NOW + 30) == [candidate]


# --- more than can be remembered ------------------------------------------------------------------------------


@pytest.fixture
def sight() -> Sight:
    made = Sight(TOP, share=looked(Found(TOP))._share)
    made.limit(2)
    return made


def test_names_beyond_the_bound_are_passed_over_by_scans(sight: Sight) -> None:
    for ago in (9, 8, 7, 6, 5):
        sight.park(name(ago), ONE, NOW)
    assert len(sight.parked) == 2
    passed = sight.begin_scan().passed
    assert [passed.has(name(ago)) for ago in (8, 7, 6, 5, 4)] == [False, True, True, True, False]
    sight.install(Found(TOP, [[name(4)]]))
    sight.insert(name(6, "new"), microseconds(NOW - 6))
    sight.begin_scan()
    sight.install(Found(TOP, [[name(4)]]))
    assert [name for _, name in sight.take(9, NEVER)] == [name(6, "new"), name(4)], "what is known is not forgotten"


def test_when_the_remembered_ones_are_used_up_the_others_are_looked_for(sight: Sight) -> None:
    for ago in (9, 8, 7):
        sight.park(name(ago), ONE, NOW)
    sight.begin_scan()
    sight.install(Found(TOP))
    assert sight.reasons == {ONE}
    assert sight.let_in(ONE, 5) == 2
    for _, taken in sight.take(9, NEVER):
        sight.parked.tried(taken)
    assert not sight.wants_scan
    assert sight.let_in(ONE, 0) == 0
    assert not sight.wants_scan
    sight.let_in(ONE, 1)
    errand = sight.begin_scan()
    assert not errand.passed.has(name(7))
    assert sight.reasons == set()


def test_a_scan_leaves_out_what_was_passed(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for ago in (9, 8, 7, 6):
        (tmp_path / name(ago)).touch()
    found = scan(Place("", fd), 9, passed=Passed(name(8), name(7)))
    os.close(fd)
    assert [name for _, name in sorted(found.entries)] == [name(9), name(6)]
