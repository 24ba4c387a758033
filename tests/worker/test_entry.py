"""A schedule as one worker knows it: what runs in it alone, and what could not be done."""

from dataclasses import replace
from typing import Any

import pytest

from aspool.firing import fire
from aspool.schedule_record import Record, fresh
from aspool.scheduled import BUSY
from aspool.schedules import Schedule, ScheduleOptions, Signal, Timer, Trigger
from aspool.spools.memory import MemorySpool
from aspool.worker.entry import FAILED, LONGEST, MOST_RUNS, Entry

NOW = 1_790_000_000.0


def record(trigger: Trigger, **options: Any) -> Record:
    given = ScheduleOptions(**{"target": "workers", **options})
    return fresh(Schedule(name="a", task="a", trigger=trigger, options=given), NOW)


def entry(known: Record) -> Entry:
    return Entry("a", MemorySpool(), known, b"")


def fired(one: Entry, now: float) -> Record:
    """The record after another worker has fired what is due."""
    changed = fire(now)(one.record, lambda _: False)
    assert changed is not None
    return changed.record


def test_what_another_worker_fired_runs_here_once() -> None:
    one = entry(record(Timer(10)))
    assert one.next_moment(NOW + 9) == NOW + 10
    known = fired(one, NOW + 10)
    assert one.learn(known, b"", NOW + 10.01) == [NOW + 10]
    assert one.learn(known, b"", NOW + 10.02) == []
    assert one.next_moment(NOW + 10) == NOW + 20


def test_what_is_for_one_worker_is_spooled_by_who_fired_it() -> None:
    one = entry(record(Timer(10), target="spooler"))
    assert one.learn(fired(one, NOW + 10), b"", NOW + 10) == []


def test_a_worker_that_begins_later_does_not_run_what_was_before() -> None:
    first = entry(record(Timer(10), missed="all"))
    late = entry(fired(first, NOW + 25))
    assert late.learn(late.record, b"", NOW + 25) == []
    assert late.learn(fired(late, NOW + 31), b"", NOW + 31) == [NOW + 30], "in the phase of all"


@pytest.mark.parametrize(("missed", "expected"), [("skip", []), ("latest", [30.0]), ("all", [10.0, 20.0, 30.0])])
def test_a_worker_that_learns_late_goes_by_the_policy(missed: str, expected: list[float]) -> None:
    one = entry(record(Timer(10), missed=missed, grace=1.0))
    other = entry(one.record)
    for seconds in (10, 20, 30):
        other.learn(fired(other, NOW + seconds), b"", NOW + seconds)
    assert one.learn(other.record, b"", NOW + 36) == [NOW + moment for moment in expected]


def test_iterations_are_those_of_the_schedule() -> None:
    one, other = entry(record(Timer(10, iterations=2))), entry(record(Timer(10, iterations=2)))
    for seconds in (10, 20):
        known = fired(one, NOW + seconds)
        assert one.learn(known, b"", NOW + seconds) == other.learn(known, b"", NOW + seconds) == [NOW + seconds]
    assert one.next_moment(NOW + 30) is other.next_moment(NOW + 30) is None


def test_what_was_raised_runs_here_as_often() -> None:
    one = entry(replace(record(Signal("s")), runs=7, last=NOW))
    assert one.learn(one.record, b"", NOW) == [], "raised before this worker began"
    assert one.learn(replace(one.record, runs=8, last=NOW + 5), b"", NOW + 500) == [NOW + 5], "late, and not lost"
    assert len(one.learn(replace(one.record, runs=10, last=NOW + 9), b"", NOW + 9)) == 2
    assert one.learn(replace(one.record, runs=3), b"", NOW + 9) == [], "the record was made anew"
    assert len(one.learn(replace(one.record, runs=10**30, last=NOW + 9), b"", NOW + 9)) == MOST_RUNS


def test_while_a_turn_is_under_way_it_asks_for_none() -> None:
    one = entry(record(Timer(10)))
    one.is_taken = True
    assert one.next_moment(NOW + 10) is None


def test_a_pause_has_no_moments() -> None:
    one = entry(record(Timer(10), missed="all"))
    one.learn(replace(one.record, state="paused"), b"", NOW)
    assert one.next_moment(NOW + 100) is None
    one.learn(replace(one.record, state="on", after=NOW + 100), b"", NOW)
    assert one.next_moment(NOW + 100) == NOW + 110


def test_a_clock_set_back_asks_for_a_turn_at_once() -> None:
    one = entry(record(Timer(10)))
    one.learn(fired(one, NOW + 10), b"", NOW + 10)
    assert one.next_moment(NOW - 3600) == NOW - 3600
    one.learn(fired(one, NOW - 3600), b"", NOW - 3600)
    assert one.next_moment(NOW - 3600) == pytest.approx(NOW - 3590, abs=0.01)


def test_what_could_not_be_done_is_tried_later_and_later() -> None:
    one = entry(record(Timer(1), target="spooler"))
    waits, now = [], NOW + 5
    for _ in range(10):
        one.put_off(now)
        again = one.next_moment(now)
        assert again is not None
        waits.append(again - now)
        now = again
    assert waits == [FAILED * 2**n for n in range(6)] + [LONGEST] * 4
    one.succeeded()
    assert one.next_moment(now) == NOW + 1


def test_what_another_has_is_asked_for_again_soon() -> None:
    one = entry(record(Timer(1), target="spooler"))
    now, waits = NOW + 5.0, []
    for _ in range(12):
        one.put_off(now, busy=True)
        again = one.next_moment(now)
        assert again is not None
        waits.append(again - now)
        now = again
    assert waits[0] == pytest.approx(BUSY, abs=1e-6)
    assert max(waits) == pytest.approx(1.0, abs=1e-6)


def test_a_clock_set_back_does_not_prolong_a_wait() -> None:
    one = entry(record(Timer(1), target="spooler"))
    one.put_off(NOW + 3600)
    one.learn(replace(one.record, since=NOW - 10, after=NOW - 10), b"", NOW)
    assert one.next_moment(NOW) == NOW - 9
