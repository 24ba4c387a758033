"""Records: what the code changes in one, states, turns, and records that are broken or forged."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from aspool import firing, schedule_record
from aspool.cron import Cron
from aspool.firing import deciding, fire
from aspool.protocol import Stored
from aspool.schedule_record import End, adopted, fresh
from aspool.schedules import FileMonitor, Signal, Timer, Unset
from aspool.turn import Turn

from .firings import NOW, changed, moments, nobody, record, schedule

# --- changes of the code ---------------------------------------------------------------------------------------------


def test_the_code_of_before_is_as_it_was() -> None:
    known = changed(fire(NOW + 1), record(Timer(1, 9))).record
    assert adopted(known, known.schedule, NOW + 50) is known
    assert adopted(None, known.schedule, NOW + 50) == fresh(known.schedule, NOW + 50)
    made = replace(known, schedule=replace(known.schedule, runtime=True))
    assert adopted(made, known.schedule, NOW + 50) == fresh(known.schedule, NOW + 50), "the code comes first"


def test_what_a_program_makes_once_more() -> None:
    """As long as it has something to do the same changes nothing; else, or if it is another, it begins anew."""
    made = replace(schedule(Timer(10, 2)), runtime=True)
    going_on = changed(fire(NOW + 10), fresh(made, NOW)).record
    assert adopted(going_on, made, NOW + 15) is going_on
    over = changed(
        firing.note_end(End("done", NOW + 20, NOW + 21, 1.0)), changed(fire(NOW + 20), going_on).record
    ).record
    assert (over.is_over, going_on.is_over) == (True, False)
    for before, after in ((over, made), (going_on, replace(made, arguments="[7]")), (over, replace(made, priority=3))):
        new = adopted(before, after, NOW + 25)
        assert new == replace(
            fresh(after, NOW + 25), last=before.last, last_id=before.last_id, own_id=before.own_id, runs=before.runs,
            end=before.end,
        )  # fmt: skip
        assert new.next_moment(NOW + 25) == NOW + 35
    lazy = replace(schedule(Timer(10), lazy=True), runtime=True)
    assert adopted(over, lazy, NOW + 25).state == "off"


def test_a_cron_that_a_program_makes_once_more_repeats_nothing() -> None:
    made = replace(schedule(Cron("* * * * *")), runtime=True)
    known = changed(fire(NOW + 60), fresh(made, NOW)).record
    for now in (NOW + 61, NOW - 3600):  # the clock was set back
        new = adopted(known, replace(made, arguments="[7]"), now)
        moment = new.next_moment(now)
        assert moment is not None
        assert moment > known.after


def test_options_change_and_the_phase_stays() -> None:
    known = changed(fire(NOW + 1), record(Timer(1, 9))).record
    now_all = schedule(Timer(1, 9), missed="all")
    assert adopted(known, now_all, NOW + 50) == replace(known, schedule=now_all)


def test_a_trigger_that_changed_counts_from_now() -> None:
    known = changed(fire(NOW + 1), record(Timer(1, 9))).record
    after = adopted(known, schedule(Timer(7, 9)), NOW + 50.5)
    assert (after.trigger, after.since, after.after, after.fired) == (Timer(7, 9), NOW + 50.5, NOW + 50.5, 0)
    cron = adopted(known, schedule(Cron("@daily")), NOW - 50)
    assert cron.after == known.after, "set back: a cron repeats nothing"
    paused = adopted(replace(known, state="paused"), schedule(Timer(7)), NOW)
    assert paused.state == "paused"


def test_what_was_started_stays_so_until_the_code_says_otherwise() -> None:
    lazy = schedule(Unset("timer"), lazy=True)
    started = changed(firing.start(Timer(5), NOW), fresh(lazy, NOW)).record
    assert (started.state, adopted(started, lazy, NOW + 1)) == ("on", started)
    retries = schedule(Unset("timer"), lazy=True, jitter=1.0)
    assert adopted(started, retries, NOW + 1).trigger == Timer(5)
    other = adopted(started, schedule(Unset("cron"), lazy=True), NOW + 1)
    assert (other.state, other.trigger) == ("off", Unset("cron"))


@pytest.mark.parametrize(("before", "after", "state"), [(True, False, "on"), (False, True, "off")])
def test_a_schedule_that_is_lazy_no_more(before: bool, after: bool, state: str) -> None:
    known = record(Timer(5), lazy=before)
    new = adopted(known, schedule(Timer(5), lazy=after), NOW + 1000)
    assert (new.state, new.after) == (state, NOW + 1000)


# --- states ----------------------------------------------------------------------------------------------------------


def test_what_passes_during_a_pause_is_not_made_up_for() -> None:
    before = record(Timer(10), missed="all")
    paused = changed(firing.become("paused", NOW, only_from="on"), before).record
    assert paused.next_moment(NOW + 100) is None
    assert firing.become("paused", NOW, only_from="on")(paused, nobody) is None
    assert firing.become("on", NOW, only_from="paused")(replace(paused, state="off"), nobody) is None
    on = changed(firing.become("on", NOW + 34, only_from="paused"), paused).record
    assert on.next_moment(NOW + 34) == NOW + 40, "it keeps its phase"


def test_only_the_newest_end_is_news() -> None:
    before = record(Timer(10))
    end = End("done", NOW + 20, NOW + 21, 1.0)
    noted = changed(firing.note_end(end), before)
    assert (noted.record.end, noted.durable) == (end, False)
    older = End("dead", NOW + 10, NOW + 30, 1.0, "no")
    assert firing.note_end(older)(noted.record, nobody) is None
    set_back = replace(noted.record, last=older.moment)
    assert changed(firing.note_end(older), set_back).record.end == older, "the clock was set back: it is the last"
    again = End("dead", NOW + 20, NOW + 50, 1.0, "no")
    assert changed(firing.note_end(again), noted.record).record.end == again


# --- turns -----------------------------------------------------------------------------------------------------------


def test_a_decision_reads_and_writes() -> None:
    made = schedule(Timer(1), fire="at-most-once", missed="all")
    turn = deciding(firing.no_change, made, NOW)(None, nobody)
    assert turn is not None
    data = turn.record
    assert data is not None
    assert schedule_record.read(data) == fresh(made, NOW)
    assert deciding(firing.no_change, made, NOW + 5)(data, nobody) is None
    assert deciding(fire(NOW + 0.5))(data, nobody) is None
    assert deciding(fire(NOW + 5))(None, nobody) is None, "it was removed"
    turn = deciding(fire(NOW + 3))(data, nobody)
    assert isinstance(turn, Turn)
    assert turn.record_first
    assert len(turn.messages) == 3
    assert firing.forget(None, nobody) is None
    assert firing.forget(data, nobody) == Turn(record=b"")


def test_what_could_be_put_is_not_put_again() -> None:
    start = fresh(schedule(Timer(1), missed="all"), NOW)
    turn = deciding(fire(NOW + 5))(schedule_record.written(start), nobody)
    assert turn is not None
    stored, full = Stored("a", duplicate=False), OSError("full")
    for count in range(1, 5):
        data = turn.record_after([stored] * count + [full] * (5 - count))
        part = schedule_record.read(data or b"")
        assert part is not None
        assert (part.after, part.last, part.fired) == (NOW + count, NOW + count, count)
        assert part.last_id == turn.messages[count - 1].id
        assert moments(changed(fire(NOW + 5), part)) == [NOW + number for number in range(count + 1, 6)]
    assert turn.record_after([full] * 5) is None
    assert turn.record_after([stored] * 5) == turn.record


def test_a_record_survives_being_written() -> None:
    for trigger in (Timer(1 / 3, 5), Cron("@daily", "Europe/Paris"), FileMonitor("/a"), Signal("☠"), Unset("cron")):
        before = replace(
            record(trigger, lazy=True), since=NOW + math.pi, end=End("dead", NOW, NOW, 0.1, "no"), last_id="a", last=NOW
        )
        assert schedule_record.read(schedule_record.written(before)) == before
        assert json.loads(schedule_record.written(before))["trigger"]["kind"] == trigger.kind


# --- records that are broken or forged -------------------------------------------------------------------------------


def with_changes(changes: dict[str, Any]) -> bytes:
    """A good record as JSON in which some values, by their dotted paths, are others."""
    data = json.loads(schedule_record.written(record(Timer(10), missed="all")))
    for path, value in changes.items():
        *above, last = path.split(".")
        place = data
        for key in above:
            place = place[key]
        place[last] = value
    return json.dumps(data).encode()


END = {"state": "done", "moment": NOW, "ended": NOW, "took": 1.0, "reason": ""}
GOOD = with_changes({"end": END, "last_id": "a.b", "last": NOW})


def test_the_corpus_begins_with_a_good_one() -> None:
    found = schedule_record.read(GOOD)
    assert found is not None
    assert found.end == End(**END)  # type: ignore[arg-type]  # of a dict
    assert schedule_record.read(with_changes({"unknown": 1, "schedule.later": 2})) is not None, "a later version's"


@pytest.mark.parametrize("cut", [0, 1, 10, 100, len(GOOD) // 2, len(GOOD) - 1])
def test_truncated_ones_are_none(cut: int) -> None:
    assert schedule_record.read(GOOD[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"{}", b"1", b"\0" * 1000, b"\xff\xfe", b"[" * 100_000, b'{"schedule":' * 50_000,
        b" " * (schedule_record.LONGEST_RECORD + 1), GOOD + b"}", GOOD.replace(b"tick", b"\xff\xff\xff\xff"),
        GOOD.replace(b"tick", b"\\ud800"), b"9" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_record(data: bytes) -> None:
    assert schedule_record.read(data) is None


ODD: tuple[Any, ...] = (-1, 1e300, 1e10, math.nan, math.inf, -math.inf, "x", [], {}, 10**400)
WRONG: list[tuple[str, Any]] = [
    *((path, value) for path in ("since", "after", "last") for value in ODD),
    ("since", None), ("after", None), ("fired", "x"), ("fired", 1.5), ("fired", 1e300), ("runs", []),
    ("trigger", None), ("trigger", {}), ("trigger", {"kind": "bomb"}), ("trigger", {"kind": "timer"}),
    ("trigger.seconds", 0), ("trigger.seconds", -1), ("trigger.seconds", math.nan), ("trigger.seconds", 1e-300),
    ("trigger.seconds", 1e300), ("trigger.iterations", 0), ("trigger.iterations", -5), ("schedule.trigger.seconds", 0),
    ("trigger", {"kind": "cron", "expression": "61 * * * *"}), ("trigger", {"kind": "cron", "expression": "x" * 5000}),
    ("trigger", {"kind": "cron", "expression": "@daily", "tz": "../../etc/passwd"}),
    ("trigger", {"kind": "cron", "expression": "@daily", "tz": "/etc/passwd"}),
    ("trigger", {"kind": "filemon", "path": ""}), ("trigger", {"kind": "signal", "signal": "a/b"}),
    ("state", "dead"), ("state", None), ("seen", 7), ("schedule", None), ("schedule", {}), ("schedule.name", None),
    ("schedule.name", []), ("schedule.options.grace", -1), ("schedule.options.jitter", 1e300),
    ("schedule.options.jitter", math.nan), ("schedule.options.missed", "none"), ("schedule.options.target", "x"),
    ("schedule.priority", -1), ("schedule.priority", 10**9), ("schedule.message", []), ("schedule.arguments", {}),
    ("last_id", "../../../etc/passwd"), ("last_id", ".."), ("last_id", "a/b"), ("last_id", "x" * 81),
    ("last_id", "\0"), ("last_id", 5), ("end", {}), ("end", {**END, "moment": 1e300}), ("end", {**END, "ended": -1}),
    ("end", {**END, "took": math.nan}), ("end", {**END, "reason": []}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda each: repr(each)[:40])
def test_values_that_cannot_be(path: str, value: Any) -> None:
    assert schedule_record.read(with_changes({path: value})) is None


@pytest.mark.parametrize("path", ["fired", "runs"])
@pytest.mark.parametrize("value", [-(10**30), -1, 10**30])
def test_odd_counts_harm_nobody(path: str, value: int) -> None:
    data = with_changes({path: value, "trigger.iterations": 5})
    found = schedule_record.read(data)
    if found is None:
        return  # that is fine, too
    assert len(list(found.upcoming(NOW, 3))) <= 3
    for change in (fire(NOW + 100), firing.raise_signal(NOW), firing.run_now(NOW)):
        turn = deciding(change)(data, nobody)
        assert turn is None or len(turn.messages) <= 10


@pytest.mark.parametrize("change", [fire(NOW), firing.raise_signal(NOW), firing.run_now(NOW), firing.no_change])
def test_the_schedule_of_the_code_begins_anew(change: firing.Change) -> None:
    made = schedule(Timer(10))
    turn = deciding(change, made, NOW)(with_changes({"after": math.nan}), nobody)
    assert turn is not None
    new = schedule_record.read(turn.record or b"")
    assert new is not None
    assert (new.schedule, new.since) == (made, NOW)
    assert deciding(change)(with_changes({"after": math.nan}), nobody) is None, "and nobody else's"


@pytest.mark.parametrize("at", [0.0, 1.0, NOW - 1e6, NOW, NOW + 1e6, 9_999_999_999.0])
@pytest.mark.parametrize("seconds", [0.001, 1.0, 3e8])
def test_odd_moments_make_no_endless_loop(at: float, seconds: float) -> None:
    for path in ("since", "after"):
        data = with_changes({path: at, "trigger.seconds": seconds})
        turn = deciding(fire(NOW))(data, nobody)
        assert turn is None or len(turn.messages) <= firing.MOST
        found = schedule_record.read(data)
        assert found is not None
        assert len(list(found.upcoming(NOW, 5))) <= 5
