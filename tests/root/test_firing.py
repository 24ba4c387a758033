"""What is due, what is spooled for it, what the record says after: decisions with a clock of the test's own."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aspool import firing
from aspool.cron import Cron
from aspool.firing import due_moments, fire, run_now
from aspool.ids import checked_id
from aspool.schedule_record import Record, fresh
from aspool.schedules import FileMonitor, Schedule, Signal, Timer, Unset

from .firings import DAY, NOW, changed, everybody, moments, nobody, record, schedule

# --- a timer through time --------------------------------------------------------------------------------------------


def ticks(before: Record, until: float) -> Iterator[tuple[float, Record]]:
    """Each moment that fires when somebody looks exactly when there is something to do."""
    now = NOW
    while (due := before.next_moment(now)) is not None and due <= until:
        now = due
        after = changed(fire(now), before)
        yield from ((moment, after.record) for moment in moments(after))
        before = after.record


def test_a_virtual_day_of_a_timer() -> None:
    fired = [moment for moment, _ in ticks(record(Timer(4)), NOW + DAY)]
    assert fired == [NOW + number for number in range(4, DAY + 1, 4)]


def test_iterations_are_for_ever() -> None:
    fired = list(ticks(record(Timer(1 / 3, 4)), NOW + DAY))
    assert [moment for moment, _ in fired] == [round(NOW + number / 3, 6) for number in range(1, 5)]
    last = fired[-1][1]
    assert (last.iterations_left, last.is_on, last.next_moment(NOW), last.fired) == (0, False, None, 4)
    assert fire(NOW + 100)(last, nobody) is None
    assert list(last.upcoming(NOW, 3)) == []
    again = changed(firing.start(Timer(1 / 3, 4), NOW + 100), last).record
    assert again.iterations_left == 4
    assert next(iter(again.upcoming(NOW + 100, 1))) == round(NOW + 100 + 1 / 3, 6)


def test_what_comes_next() -> None:
    before = record(Timer(10, 2))
    assert list(before.upcoming(NOW, 5)) == [NOW + 10, NOW + 20]
    assert list(before.upcoming(NOW + 15, 5)) == [NOW + 20, NOW + 30], "what was missed is not to come"
    for odd in (Signal("a"), FileMonitor("/a"), Unset("timer")):
        assert list(record(odd, lazy=True).upcoming(NOW, 3)) == []
    for state in ("off", "paused"):
        assert list(replace(before, state=state).upcoming(NOW, 3)) == []


# --- what was missed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace", [0.1, 2.0, 60.0])
@pytest.mark.parametrize("down", [3.0, 30.0, 500.0])
def test_missed_moments_go_by_policy_and_grace(grace: float, down: float) -> None:
    now = NOW + down + 0.5
    all_of_them = [NOW + number for number in range(1, int(down) + 1)]
    in_time = [moment for moment in all_of_them if moment >= now - min(grace, 5)]  # five of its seconds
    for missed, expected in (
        ("all", all_of_them),
        ("skip", in_time),
        ("latest", in_time or all_of_them[-1:]),
    ):
        before = record(Timer(1), missed=missed, grace=grace)
        after = changed(fire(now), before)
        assert moments(after) == expected
        assert after.record.after == (expected[-1] if expected else now)
        assert after.record.fired == len(expected)
        assert fire(now)(after.record, nobody) is None, "once"


@pytest.mark.parametrize(
    ("trigger", "missed", "count"),
    [
        (Timer(0.1), "latest", 6),
        (Timer(0.1), "skip", 6),
        (Timer(0.1), "all", 80),
        (Timer(0.01), "latest", 11),  # a worker is always a little late
        (Timer(1), "latest", 6),
        (Timer(2), "latest", 3),
        (Cron("* * * * * *", seconds=True), "latest", 5),
    ],
)
def test_a_fast_timer_makes_no_burst(trigger: Timer | Cron, missed: str, count: int) -> None:
    now = NOW + 8
    assert len(moments(changed(fire(now), record(trigger, missed=missed)))) == count


def test_a_month_of_a_second_is_quick() -> None:
    now = NOW + 31 * DAY + 7.5
    for trigger in (Timer(1), Timer(0.001), Cron("* * * * * *", seconds=True), Timer(3 * DAY), Cron("0 3 * * 1")):
        began = time.process_time()
        *_, moment = moments(changed(fire(now), record(trigger, grace=0.1)))
        assert time.process_time() - began < 5, "one by one they would take a minute"
        following = trigger.next_after(moment, NOW)
        assert moment <= now
        assert following is not None
        assert following > now, "it is the latest"


def test_many_missed_ones_are_made_up_for_in_several_turns() -> None:
    before, got = record(Timer(1), missed="all"), []
    now = NOW + 2 * firing.MOST + 10.5
    for count in (firing.MOST, firing.MOST, 10):
        after = changed(fire(now), before)
        assert len(after.messages) == count
        got += moments(after)
        before = after.record
    assert got == [NOW + number for number in range(1, 2 * firing.MOST + 11)]
    assert fire(now)(before, nobody) is None


def test_missed_ones_are_no_more_than_the_iterations() -> None:
    after = changed(fire(NOW + 100), record(Timer(1, 3), missed="all"))
    assert moments(after) == [NOW + 1, NOW + 2, NOW + 3]
    assert not after.record.is_on


def test_nothing_is_due_before_the_first() -> None:
    assert fire(NOW + 9.999)(record(Timer(10)), nobody) is None
    assert due_moments(record(Timer(10)), NOW, NOW + 9.999) == []
    assert changed(fire(NOW + 10), record(Timer(10))).messages


# --- overlap ---------------------------------------------------------------------------------------------------------


def test_a_firing_that_goes_on_leaves_out_the_next() -> None:
    before = record(Timer(1), overlap="skip")
    first = changed(fire(NOW + 1), before, everybody)
    assert moments(first) == [NOW + 1], "there is no last one yet"
    second = changed(fire(NOW + 2), first.record, {first.messages[0].id}.__contains__)
    assert second.messages == []
    assert (second.record.after, second.record.fired, second.record.last) == (NOW + 2, 1, NOW + 1)
    third = changed(fire(NOW + 5.5), second.record, nobody)
    assert moments(third) == [NOW + 5], "and one is enough for several"


def test_a_signal_that_overlaps_is_left_out_too() -> None:
    before = record(Signal("reload"), overlap="skip")
    first = changed(firing.raise_signal(NOW), before).record
    second = changed(firing.raise_signal(NOW), first, everybody)
    assert (second.messages, second.record.runs) == ([], 1)


# --- the clock is set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.001, 1 / 3, 1.0, 7.0, 60.0, 3600.0])
@pytest.mark.parametrize("back", [1.0, 5.0, 3600.0, 7200.0, 90_000.25])
def test_a_timer_keeps_its_interval_when_the_clock_is_set_back(seconds: float, back: float) -> None:
    fired = [moment for moment, _ in ticks(record(Timer(seconds)), NOW + 5 * seconds)]
    *_, (_, before) = ticks(record(Timer(seconds)), NOW + 5 * seconds)
    now = before.after - back
    later: list[float] = []
    real = 0.0  # seconds since then, by a clock that nobody sets
    while len(later) < 5:
        due = before.next_moment(now + real)
        assert due is not None
        real = max(real, due - now)
        if (after := fire(now + real)(before, nobody)) is not None:
            later += moments(after)
            before = after.record
        assert real < 7 * seconds + 2.1, "it waits no longer than it would"
    assert set(later).isdisjoint(fired), "no moment twice"
    assert later == sorted(set(later))


@pytest.mark.parametrize("expression", ["* * * * *", "*/5 * * * *", "30 2 * * *"])
def test_a_cron_repeats_nothing_when_the_clock_is_set_back(expression: str) -> None:
    before = record(Cron(expression))
    fired = [moment for moment, _ in ticks(before, NOW + 2 * DAY)]
    *_, (_, last) = ticks(before, NOW + 2 * DAY)
    for hours in range(3):
        now = last.after - hours * 3600
        assert fire(now)(last, nobody) is None
    next_one = last.next_moment(last.after)
    assert next_one is not None
    assert next_one > fired[-1]


def test_the_clock_set_forward_is_downtime() -> None:
    for missed, count in (("skip", 0), ("latest", 1), ("all", 60)):
        after = changed(fire(NOW + 3600.5), record(Timer(60), missed=missed, grace=0.0))
        assert len(after.messages) == count


# --- messages --------------------------------------------------------------------------------------------------------


def test_the_message_of_a_moment() -> None:
    made = Schedule(
        name="app.nightly", task="app.work", trigger=Cron("30 2 * * *", "Europe/Paris"), arguments='{"n":1}',
        priority=3, message={"retries": 7},
    )  # fmt: skip
    moment = datetime(2026, 11, 22, 1, 30, tzinfo=UTC).timestamp()
    (sent,) = changed(fire(moment + 1), fresh(made, moment - 60)).messages
    assert (sent.id, sent.unique, sent.task) == ("app.nightly.20261122T013000Z", True, "app.work")
    assert (sent.arguments, sent.priority, sent.options) == (b'{"n":1}', 3, {"retries": 7})
    assert (sent.spooled, sent.due, sent.expires) == (moment + 1, moment, None)
    assert sent.firing is not None
    assert (sent.firing.schedule, sent.firing.moment, sent.firing.tz) == ("app.nightly", moment, "Europe/Paris")


@pytest.mark.parametrize("name", ["a", "a.b-C_1", ".hidden", "x" * 41, "größer ☠", "a/../b", "\udcff", "", "a\nb"])
def test_ids_are_allowed_and_no_two_alike(name: str) -> None:
    ids = {firing.firing_id(name, NOW + at) for at in (0, 1e-6, 0.5, 1, 3600, 8e9)}
    assert len(ids) == 6
    assert all(checked_id(id) for id in ids)
    others = ["a_b", "größer_☠", "x" * 42, ".hiddem", "A"]
    assert ids.isdisjoint(firing.firing_id(other, NOW + at) for other in others for at in (0, 1))


def test_jitter_is_in_range_and_the_same_for_all() -> None:
    made = schedule(Timer(1), jitter=2.0)
    delays = [firing.jitter_of(made, NOW + n) for n in range(2000)]
    assert 0 <= min(delays) < 0.1
    assert 1.9 < max(delays) < 2
    assert sum(delays) / 2000 == pytest.approx(1, abs=0.1)
    assert firing.message_for(made, NOW, NOW + 1, "UTC", delays[0]).due == NOW + delays[0]
    (late,) = changed(fire(NOW + 1.5), fresh(made, NOW)).messages
    assert late.due == NOW + 1 + delays[1], "it is counted from the moment"
    assert firing.jitter_of(schedule(Timer(1), jitter=2.0, name="other"), NOW) != delays[0]
    assert firing.jitter_of(made, NOW, "another worker") != delays[0]
    assert firing.jitter_of(schedule(Timer(1)), NOW) == 0
    assert firing.jitter_of(made, 1_790_000_000.0) == pytest.approx(JITTER, abs=1e-6)


@pytest.mark.parametrize("change", [run_now(NOW), firing.raise_signal(NOW)])
def test_what_somebody_asks_for_now_is_not_put_off(change: firing.Change) -> None:
    (sent,) = changed(change, record(Signal("reload"), jitter=60.0)).messages
    assert sent.due == NOW


JITTER = 0.204693  # of app.tick at 1790000000, for ever: other processes and versions must reckon the same


# --- run, raise, see -------------------------------------------------------------------------------------------------


def test_raises_of_one_moment_are_several() -> None:
    before, ids = record(Signal("reload")), set()
    for number in range(1, 4):
        after = changed(firing.raise_signal(NOW), before)
        ids |= {message.id for message in after.messages}
        assert all(message.due <= NOW for message in after.messages), "it runs now"
        before = after.record
        assert before.runs == number
    assert len(ids) == 3
    for state in ("paused", "off"):
        assert firing.raise_signal(NOW)(replace(before, state=state), nobody) is None


def test_running_now_is_beside_the_schedule() -> None:
    before, ids = record(Timer(10, 2), missed="all"), set()
    for state in ("on", "paused", "off"):
        after = changed(run_now(NOW), replace(before, state=state))
        ids |= {message.id for message in after.messages}
        assert (after.record.after, after.record.fired, after.record.iterations_left) == (NOW, 0, 2)
        before = after.record
    assert len(ids) == 3
    assert moments(changed(fire(NOW + 20), replace(before, state="on"))) == [NOW + 10, NOW + 20]


@pytest.mark.parametrize("missed", ["skip", "latest"])
def test_what_a_path_looks_like(missed: str) -> None:
    def see(before: Record, seen: str, *, first: bool = False) -> tuple[Record, int]:
        found = firing.see(NOW, seen, first=first)(before, nobody)
        return (before, 0) if found is None else (found.record, len(found.messages))

    before, fired = see(record(FileMonitor("/a"), missed=missed), "", first=True)
    assert fired == 0, "what has never been seen did not change"
    before, fired = see(before, "1")
    assert fired == 1, "it was made"
    before, fired = see(before, "1", first=True)
    assert fired == 0
    before, fired = see(before, "2", first=True)
    assert fired == (missed == "latest"), "while nobody looked"
    before, fired = see(before, "")
    assert (fired, before.seen) == (0, ""), "it was removed"
    paused, fired = see(replace(before, state="paused"), "3")
    assert (fired, paused.seen) == (0, "3")
    assert see(before, "3")[1] == 1
