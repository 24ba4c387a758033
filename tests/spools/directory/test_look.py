"""All places: the most urgent first, none before all are known, and what is held back comes again."""

import pytest

from aspool.spools.directory.claim import BUSY, GONE, LATER, STRANGE, Candidate, Skip
from aspool.spools.directory.index import LIMIT, NEVER
from aspool.spools.directory.look import FIRST_WAIT, LEAST, STRANGE_WAIT, Look
from aspool.spools.directory.names import FileName, microseconds
from aspool.spools.directory.ranks import Share
from aspool.spools.directory.scan import Found
from aspool.spools.directory.tree import Place, rank_of
from aspool.spools.directory.watch import Appeared

NOW = 1_700_000_000.0
TOP = Place("", -1)


def place(path: str) -> Place:
    return Place(path, -1, rank_of(path))


def name(ago: float, id: str = "x") -> str:
    return str(FileName(microseconds(NOW - ago), id))


def looked(*found: Found, frequency: float = 30.0) -> Look:
    """A look that knows what these scans have found."""
    look = Look(frequency)
    for each in found:
        assert look.add_place(each.place)
    by_path = {each.place.path: each for each in found}
    while (errand := look.next_scan()) is not None:
        look.install(by_path[errand.place.path])
    return look


def taken(look: Look, now: float = NOW) -> list[str]:
    return [name for _, name in look.take(1000, now)]


def test_urgent_places_come_first() -> None:
    low, high, top = Found(place("10"), [["c"]]), Found(place("2"), [["b", "a"]]), Found(TOP, [["d"]])
    look = looked(low, top, high)
    assert look.places() == [high.place, low.place, TOP]
    assert look.take(2, NOW) == [Candidate(high.place, "a"), Candidate(high.place, "b")]
    assert look.take(2, NOW) == [Candidate(low.place, "c"), Candidate(TOP, "d")]


def test_nothing_is_taken_before_all_places_are_known() -> None:
    look = Look()
    assert taken(look) == []
    low, high = place("10"), place("2")
    assert look.add_place(low)
    assert look.add_place(high)
    assert not look.add_place(low)
    first, second = look.next_scan(), look.next_scan()
    assert first is not None
    assert second is not None
    assert (first.place, second.place) == (high, low)
    assert look.next_scan() is None
    look.install(Found(low, [["c"]]))
    assert taken(look) == []
    assert look.next_due() is None
    assert not look.has_looked
    look.scan_failed(high)  # whatever is in it cannot be known
    assert look.has_looked
    assert taken(look) == ["c"]


def test_a_place_that_turns_up_later_holds_nobody_up() -> None:
    look = looked(Found(TOP, [[name(1)]]))
    assert look.next_due() is not None
    look.add_place(place("5"))
    assert taken(look) == [name(1)]


def test_places_share_the_memory() -> None:
    look = looked(*(Found(place(str(number))) for number in range(10)))
    look.want_all()
    errand = look.next_scan()
    assert errand is not None
    assert errand.limit == LIMIT // 10
    many = looked(*(Found(place(str(number))) for number in range(2 * LIMIT // LEAST)))
    many.want_all()
    errand = many.next_scan()
    assert errand is not None
    assert errand.limit == LEAST


def test_a_place_that_was_made_again_is_another() -> None:
    old, new = place("5"), place("5")
    look = looked(Found(old, [[name(1)]]))
    look.hold(Candidate(old, name(1)), name(1))
    look.add_place(new)
    assert look.places() == [new]
    assert look.wants_scan
    look.next_scan()
    look.install(Found(old, [[name(2)]]))  # too late
    look.install(Found(new, [[name(1)]]))
    look.let_go(old, name(1), NOW)
    assert taken(look) == [name(1)]


def test_what_is_forgotten_is_not_taken() -> None:
    look = looked(Found(place("5"), [["a"]]), Found(TOP, [["b"]]))
    five, top = look.places()
    look.skipped(Candidate(five, "c"), Skip(BUSY), NOW)
    look.forget_place(five)
    look.appeared([Appeared(five, name(1), False)], NOW)
    assert taken(look, NOW + 9) == ["b"]
    look.forget_all()
    look.seen_again(top, "b", NOW)
    assert look.places() == []
    assert taken(look) == []


@pytest.mark.parametrize(("why", "wait"), [(BUSY, FIRST_WAIT), (STRANGE, STRANGE_WAIT)])
def test_a_name_that_could_not_be_claimed_waits(why: str, wait: float) -> None:
    look = looked(Found(TOP, [[name(1)]]))
    (candidate,) = look.take(1, NOW)
    look.skipped(candidate, Skip(why), NOW)
    assert taken(look, NOW + 0.9 * wait) == []
    assert look.next_due() == pytest.approx(NOW + wait)
    assert taken(look, NOW + 1.1 * wait) == [name(1)]


def test_a_refused_lock_is_tried_at_the_frequency_at_least() -> None:
    look = looked(Found(TOP), frequency=0.05)
    now = NOW
    for wait in (0.01, 0.02, 0.04, 0.05, 0.05):
        look.skipped(Candidate(TOP, name(1)), Skip(BUSY), now)
        now += wait + 0.001
        assert taken(look, now) == [name(1)]


def test_a_name_that_is_due_later_or_gone_is_not_tried_again_now() -> None:
    look = looked(Found(TOP, [[name(1, "b"), name(1, "a")]]))
    gone, later = look.take(2, NOW)
    look.skipped(gone, Skip(GONE), NOW)
    look.skipped(later, Skip(LATER, NOW + 5), NOW)
    assert taken(look) == []
    assert look.next_due() == NOW + 5
    assert taken(look, NOW + 5) == [later.name]


def test_a_name_that_is_due_within_the_same_microsecond_is_not_tried_for_ever() -> None:
    look = looked(Found(TOP, [[name(0)]]))
    (candidate,) = look.take(1, NOW - 2e-7)
    look.skipped(candidate, Skip(LATER, NOW), NOW - 2e-7)
    assert taken(look, NOW - 2e-7) == []
    assert taken(look, NOW + 1e-6) == [candidate.name]


def test_what_was_not_tried_is_put_back() -> None:
    look = looked(Found(TOP, [[name(1), name(2)]]))
    look.put_back(look.take(2, NOW), NOW)
    assert taken(look) == [name(2), name(1)]


def test_when_the_names_are_divided_anew_all_are_read_again() -> None:
    look = looked(Found(TOP), Found(place("5")))
    assert not look.divide(Share(0, 1))
    assert not look.wants_scan
    assert look.divide(Share(1, 3))
    assert not look.divide(Share(1, 3))
    errands = [look.next_scan(), look.next_scan()]
    assert [errand.share for errand in errands if errand is not None] == [Share(1, 3), Share(1, 3)]
    look.add_place(place("6"))
    errand = look.next_scan()
    assert errand is not None
    assert errand.share == Share(1, 3)


def test_it_has_not_looked_while_it_leaves_something_to_others() -> None:
    look = looked(Found(TOP, [], [[name(0)]], NEVER))
    assert taken(look, NOW) == []
    assert not look.has_looked
    assert taken(look, NOW + 1) == [name(0)]
    assert look.has_looked
