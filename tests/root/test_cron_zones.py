"""Cron where the clock is changed: every change of every zone from 2024 to 2030, beside a plain Vixie cron."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aspool.cron import LONGEST_CHANGE, Cron

from . import vixie

HOUR, DAY = 3600, 86400
YEARS = range(2024, 2031)
SPAN = 26  # hours on each side of a change

few = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Change:
    """At `instant` the clock goes from `before` to `after`, seconds east of UTC."""

    instant: int
    before: int
    after: int

    @property
    def lost(self) -> datetime:
        """A quarter of an hour into what is left out, or shown twice."""
        return datetime.fromtimestamp(self.instant + min(self.before, self.after) + 900, UTC)


def offset(zone: ZoneInfo, instant: int) -> int:
    found = datetime.fromtimestamp(instant, zone).utcoffset()
    assert found is not None
    return round(found.total_seconds())


def stamp(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> int:
    return round(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


def history(name: str, start: int, end: int) -> tuple[Change, ...]:
    """The changes of a zone: one look a day, and then by halves."""
    zone, changes = ZoneInfo(name), []
    offsets = [offset(zone, instant) for instant in range(start, end + 1, DAY)]
    for day, (before, after) in enumerate(pairwise(offsets)):
        if before != after:
            low, high = start + day * DAY, start + (day + 1) * DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            changes.append(Change(high, before, after))
    return tuple(changes)


@cache
def histories() -> dict[tuple[int, tuple[Change, ...]], list[str]]:
    """What the clocks do in these years -> the zones in which they do it."""
    start, end = stamp(YEARS[0]), stamp(YEARS[-1] + 1)
    found: dict[tuple[int, tuple[Change, ...]], list[str]] = {}
    for name in sorted(available_timezones()):
        found.setdefault((offset(ZoneInfo(name), start), history(name, start, end)), []).append(name)
    return found


@cache
def changes() -> list[tuple[Change, str]]:
    """Each change once, with a zone that has it."""
    return list({change: names[0] for (_, all_), names in histories().items() for change in all_}.items())


def firings(cron: Cron, start: int, end: int) -> list[int]:
    return list(_firings(cron, start, end))


def _firings(cron: Cron, start: int, end: int) -> Iterator[int]:
    found = cron.next_after(start - 1)
    while found is not None and found < end:
        yield round(found)
        found = cron.next_after(found)


def jobs(change: Change) -> Iterator[tuple[str, int, bool]]:
    """(expression, hours around the change, both days must match) of each sort."""
    lost = change.lost
    at, hour, week_day = f"{lost.minute} {lost.hour}", lost.hour, lost.isoweekday() % 7
    yield f"{at} * * *", SPAN, False
    yield f"{at} {lost.day} {lost.month} *", SPAN, False
    yield f"0,10,20,30,40,50 {hour} * * *", 5, False
    yield f"0-59/4 {hour} * * *", 3, False
    yield f"0 {hour},{(hour + 1) % 24} * * *", 5, False
    yield f"{lost.minute} 0-23 * * *", 5, False
    yield f"*/10 {hour} * * *", 5, False
    yield f"{lost.minute} * * * *", 5, False
    yield f"{lost.minute} */2 * * *", 5, False
    yield "*/5 * * * *", 2, False
    yield f"{at} * * {week_day}", 5, False
    yield f"{at} L * *", 5, False
    yield f"{at} * * {week_day}#{(lost.day + 6) // 7}", 5, False
    yield f"{at} * * L{week_day}", 5, False
    yield f"{at} 1-7 * {week_day}", SPAN, False
    yield f"{at} */2 * {week_day}", SPAN, False
    yield f"{at} 20-31 * {week_day}", SPAN, True
    yield f"*/20 {lost.minute} * * * *", 3, False
    yield f"5,35 {at} * * *", SPAN, False


@pytest.mark.parametrize("year", [pytest.param(year, marks=pytest.mark.heavy) for year in YEARS])
def test_around_each_change_it_fires_when_vixie_cron_does(year: int) -> None:
    of_year = [(change, name) for change, name in changes() if change.lost.year == year]
    assert len(of_year) > 50
    check_against_vixie(of_year)


def test_around_some_changes_it_fires_when_vixie_cron_does() -> None:
    check_against_vixie(changes()[::25])


def check_against_vixie(some: list[tuple[Change, str]]) -> None:
    for change, name in some:
        walked = vixie.walk(ZoneInfo(name), change.instant - SPAN * HOUR, change.instant + SPAN * HOUR)
        for text, hours, both in jobs(change):
            start, end = change.instant - hours * HOUR, change.instant + hours * HOUR
            near = walked[bisect_left(walked, (start,)) : bisect_left(walked, (end,))]
            runs = vixie.Job(text, both).runs(near)
            cron = Cron(text, name, seconds=len(text.split()) == 6, day_and=both)
            # The difference: what Vixie cron runs several times at one instant, a change, is one firing of ours.
            expected = sorted(set(runs))
            assert firings(cron, start, end) == expected, (text, name, change)
            for moment in (change.instant - 600, change.instant + 600):  # wherever one begins
                coming = [instant for instant in expected if instant > moment]
                found = cron.next_after(moment)
                assert found == coming[0] if coming else (found or end) >= end, (text, name, change)
            assert {instant for instant, times in Counter(runs).items() if times > 1} <= {change.instant}


def test_every_zone_is_among_them() -> None:
    covered = [name for names in histories().values() for name in names]
    assert sorted(covered) == sorted(available_timezones())
    assert len(covered) > 400
    assert max(abs(change.after - change.before) for change, _ in changes()) <= LONGEST_CHANGE
    assert {abs(change.after - change.before) for change, _ in changes()} >= {1800, 3600, 7200}


def test_every_zone_can_be_used() -> None:
    for name in available_timezones():
        fired = Cron("30 12 * * *", name).next_after(stamp(2026, 7, 1))
        assert fired is not None
        local = datetime.fromtimestamp(fired, ZoneInfo(name))
        assert (local.hour, local.minute) == (12, 30), name


# --- the differing cases, one by one ---------------------------------------------------------------------


def both_ways(text: str, name: str, change: int, hours: int = 6) -> tuple[list[int], list[int]]:
    """The firings around a change, as minutes from it: ours, and Vixie cron's."""
    start, end = change - hours * HOUR, change + hours * HOUR
    ours = firings(Cron(text, name), start, end)
    theirs = vixie.Job(text).runs(vixie.walk(ZoneInfo(name), start, end))
    return [(each - change) // 60 for each in ours], [(each - change) // 60 for each in theirs]


def test_several_times_that_are_left_out_are_one_firing() -> None:
    paris = stamp(2026, 3, 29, 1)
    assert both_ways("0,15,30,45 2 * * *", "Europe/Paris", paris) == ([0], [0, 0, 0, 0])
    assert both_ways("0 2,3 * * *", "Europe/Paris", paris) == ([0], [0, 0])
    assert both_ways("30 0-23 * * *", "Europe/Paris", paris, 2) == ([-90, -30, 0, 30, 90], [-90, -30, 0, 30, 90])


def test_a_jump_of_exactly_three_hours_leaves_nothing_out() -> None:
    casey = stamp(2020, 10, 3, 16, 1)  # Antarctica/Casey: 00:01 -> 03:01
    assert history("Antarctica/Casey", casey - 2 * DAY, casey + DAY) == (Change(casey, 8 * HOUR, 11 * HOUR),)
    assert both_ways("30 1 * * *", "Antarctica/Casey", casey) == ([0], [])
    assert both_ways("30 * * * *", "Antarctica/Casey", casey, 2) == ([-91, -31, 29, 89], [-91, -31, 29, 89])


def test_three_hours_that_come_twice_fire_once() -> None:
    casey = stamp(2010, 3, 4, 15)  # 02:00 -> 23:00 of the day before
    assert history("Antarctica/Casey", casey - DAY, casey + DAY) == (Change(casey, 11 * HOUR, 8 * HOUR),)
    for text, minutes in [("30 0 * * *", [-90]), ("30 1,2 * * *", [-30, 210])]:
        assert both_ways(text, "Antarctica/Casey", casey) == (minutes, minutes)


def test_a_day_that_is_left_out_is_not_made_up() -> None:
    apia = stamp(2011, 12, 30, 10)  # 30 December 2011 did not come to Samoa
    assert history("Pacific/Apia", apia - 10 * HOUR, apia + DAY) == (Change(apia, -10 * HOUR, 14 * HOUR),)
    for text, minutes in [("30 12 * * *", []), ("30 2 31 * *", [150]), ("0 * * * *", [-120, -60, 0, 60])]:
        hours = 2 if "* * * *" in text else 6
        assert both_ways(text, "Pacific/Apia", apia, hours) == (minutes, minutes)
    assert firings(Cron("30 2 30 12 *", "Pacific/Apia"), stamp(2011), stamp(2013)) == [stamp(2012, 12, 29, 12, 30)]


PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "time.md"
CASES = re.findall(
    r"^\| `(.+?)` \| (\S+), (\d+ \w+ \d{4}) \| (\S+) → (\S+) \| (.+?) \|", PAGE.read_text(), re.MULTILINE
)


def test_the_page_about_time_has_its_cases() -> None:
    assert len(CASES) >= 15
    assert {zone for _, zone, *_ in CASES} == {"Europe/Paris", "Australia/Lord_Howe", "Antarctica/Troll"}


@pytest.mark.parametrize(("text", "name", "day", "before", "after", "fires"), CASES)
def test_the_page_about_time_is_right(text: str, name: str, day: str, before: str, after: str, fires: str) -> None:
    zone = ZoneInfo(name)
    midnight = datetime.strptime(day, "%d %B %Y").replace(tzinfo=zone)
    start, end = round(midnight.timestamp()), round(midnight.replace(hour=4).timestamp())
    (change,) = history(name, start, start + DAY)
    shown = [datetime.fromtimestamp(change.instant + each, UTC) for each in (change.before, change.after)]
    assert [f"{each:%H:%M}" for each in shown] == [before, after]
    found = [f"{datetime.fromtimestamp(each, zone):%H:%M}" for each in firings(Cron(text, name), start, end)]
    assert ", ".join(found or ["never"]) == fires


# --- properties ------------------------------------------------------------------------------------------


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    ranges = st.tuples(value, value).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.integers(1, high).map(lambda step: f"*/{step}")
    lists = st.lists(value, min_size=2, max_size=4).map(lambda many: ",".join(map(str, many)))
    return st.just("*") | value.map(str) | ranges | steps | lists


days = st.just("*") | fields(1, 28)
expressions = st.tuples(fields(0, 59), fields(0, 23), days, st.just("*"), st.just("*") | fields(0, 7)).map(" ".join)
names = st.sampled_from(sorted(available_timezones()))
moments = st.floats(stamp(YEARS[0]), stamp(YEARS[-1] + 1))
near_changes = st.tuples(st.integers(0, 10**6), st.integers(-4 * 60, 4 * 60))


@few
@given(expressions, near_changes)
def test_any_expression_near_a_change(text: str, near: tuple[int, int]) -> None:
    change, name = changes()[near[0] % len(changes())]
    start, end = change.instant - 5 * HOUR, change.instant + 5 * HOUR
    expected = sorted(set(vixie.Job(text).runs(vixie.walk(ZoneInfo(name), start, end))))
    cron = Cron(text, name)
    assert firings(cron, start, end) == expected
    moment = change.instant + near[1] * 60  # also in the middle of an hour that comes twice
    found = cron.next_after(moment)
    assert found is not None
    assert [each for each in expected if each > moment][:1] in ([found], [])
    assert found >= end or found in expected


@few
@given(expressions, names, moments)
def test_firings_increase_and_do_not_depend_on_where_one_begins(text: str, name: str, moment: float) -> None:
    cron, zone, job = Cron(text, name), ZoneInfo(name), vixie.Job(text)
    last = moment
    for _ in range(5):
        fired = cron.next_after(last)
        assert fired is not None
        assert fired > last
        for between in (last + (fired - last) * 0.3, (last + fired) // 2, fired - 0.001):
            assert between >= fired or cron.next_after(max(last, between)) == fired  # a float may round up
        matches = job.matches(vixie.Minute.of(datetime.fromtimestamp(fired, zone)))
        makes_up = not job.is_wild and offset(zone, int(fired) - 1) < offset(zone, int(fired))
        assert matches or makes_up
        last = fired


@settings(few, max_examples=20)
@given(st.integers(0, 23), st.integers(0, 59), names, st.sampled_from(YEARS[:-1]))
def test_a_fixed_time_fires_once_a_day(hour: int, minute: int, name: str, year: int) -> None:
    start = stamp(year, 1, 15)
    fired = firings(Cron(f"{minute} {hour} * * *", name), start, start + 365 * DAY)
    assert len(fired) in (364, 365, 366)
    gaps = [after - before for before, after in pairwise(fired)]
    assert all(DAY - LONGEST_CHANGE <= gap <= DAY + LONGEST_CHANGE for gap in gaps)
