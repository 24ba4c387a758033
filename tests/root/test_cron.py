"""Cron expressions: what they mean on a clock that nobody changes, what is refused in which words, uWSGI's numbers."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aspool.cron import Cron, uwsgi_cron
from aspool.errors import ScheduleRefused
from aspool.moments import LATEST

from . import vixie

DAY = 86400
MONDAY = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # 1 June 2026 is a Monday


def after(cron: Cron, moment: float = MONDAY - 1, count: int = 3) -> list[str]:
    """The next firings, in UTC."""
    found = []
    for _ in range(count):
        fired = cron.next_after(moment)
        assert fired is not None
        found.append(datetime.fromtimestamp(fired, UTC).strftime("%Y-%m-%d %H:%M:%S"))
        moment = fired
    return found


def refusal(cron: Cron) -> str | None:
    try:
        cron.check()
    except ScheduleRefused as refused:
        return str(refused)
    return None


# --- meaning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("*/5 * * * *", ["2026-06-01 00:00:00", "2026-06-01 00:05:00"]),
        ("30 2 * * *", ["2026-06-01 02:30:00", "2026-06-02 02:30:00"]),
        ("10/20 * * * *", ["2026-06-01 00:10:00", "2026-06-01 00:30:00", "2026-06-01 00:50:00", "2026-06-01 01:10:00"]),
        ("0 22-1 * * *", ["2026-06-01 00:00:00", "2026-06-01 01:00:00", "2026-06-01 22:00:00", "2026-06-01 23:00:00"]),
        ("0 5-5 * * *", ["2026-06-01 05:00:00", "2026-06-02 05:00:00"]),
        ("0 05-5/10 * * *", ["2026-06-01 05:00:00", "2026-06-02 05:00:00"]),
        ("0 0 * * Sun-SUN", ["2026-06-07 00:00:00", "2026-06-14 00:00:00"]),
        ("0 0 * * 0-7", ["2026-06-01 00:00:00", "2026-06-02 00:00:00"]),
        ("0 0 * * 5-7", ["2026-06-05 00:00:00", "2026-06-06 00:00:00", "2026-06-07 00:00:00", "2026-06-12 00:00:00"]),
        ("0 0 * * mon,Wed", ["2026-06-01 00:00:00", "2026-06-03 00:00:00", "2026-06-08 00:00:00"]),
        ("0 0 1 JAN *", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        (
            "0 0 1 nov-feb *",
            ["2026-11-01 00:00:00", "2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00"],
        ),
        ("0 0 L * *", ["2026-06-30 00:00:00", "2026-07-31 00:00:00", "2026-08-31 00:00:00"]),
        ("0 0 15,l 2 *", ["2027-02-15 00:00:00", "2027-02-28 00:00:00", "2028-02-15 00:00:00", "2028-02-29 00:00:00"]),
        ("0 0 6W * *", ["2026-06-05 00:00:00", "2026-07-06 00:00:00"]),
        ("0 0 * * 5#2", ["2026-06-12 00:00:00", "2026-07-10 00:00:00"]),
        ("0 0 * * fri#2,1#1", ["2026-06-01 00:00:00", "2026-06-12 00:00:00", "2026-07-06 00:00:00"]),
        ("0 0 * * L5", ["2026-06-26 00:00:00", "2026-07-31 00:00:00"]),
        ("0 0 ? * ?", ["2026-06-01 00:00:00", "2026-06-02 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 31 2,4,5 *", ["2027-05-31 00:00:00", "2028-05-31 00:00:00"]),
        ("@hourly", ["2026-06-01 00:00:00", "2026-06-01 01:00:00"]),
        ("@Daily", ["2026-06-01 00:00:00", "2026-06-02 00:00:00"]),
        (" @midnight\n", ["2026-06-01 00:00:00", "2026-06-02 00:00:00"]),
        ("@weekly", ["2026-06-07 00:00:00", "2026-06-14 00:00:00"]),
        ("@monthly", ["2026-06-01 00:00:00", "2026-07-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@annually", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("  0  0\t1 *   * ", ["2026-06-01 00:00:00", "2026-07-01 00:00:00"]),
    ],
)
def test_an_expression_means(expression: str, first: list[str]) -> None:
    cron = Cron(expression)
    cron.check()
    assert after(cron, count=len(first)) == first


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        (
            "*/20 * * * * *",
            ["2026-06-01 00:00:00", "2026-06-01 00:00:20", "2026-06-01 00:00:40", "2026-06-01 00:01:00"],
        ),
        ("5 30 2 * * *", ["2026-06-01 02:30:05", "2026-06-02 02:30:05"]),
        ("0 0 0 L * *", ["2026-06-30 00:00:00", "2026-07-31 00:00:00"]),
        ("@hourly", ["2026-06-01 00:00:00", "2026-06-01 01:00:00"]),
    ],
)
def test_six_fields_begin_with_the_second(expression: str, first: list[str]) -> None:
    assert after(Cron(expression, seconds=True), count=len(first)) == first


def test_either_of_two_days_is_enough_unless_one_begins_with_a_star() -> None:
    assert after(Cron("0 0 3 * 5")) == ["2026-06-03 00:00:00", "2026-06-05 00:00:00", "2026-06-12 00:00:00"]
    assert after(Cron("0 0 */2 * 5")) == ["2026-06-05 00:00:00", "2026-06-19 00:00:00", "2026-07-03 00:00:00"]
    assert after(Cron("0 0 1-7 * */5")) == ["2026-06-05 00:00:00", "2026-06-07 00:00:00", "2026-07-03 00:00:00"]
    assert after(Cron("0 0 1-7 * 5", day_and=True)) == [
        "2026-06-05 00:00:00",
        "2026-07-03 00:00:00",
        "2026-08-07 00:00:00",
    ]
    assert after(Cron("0 0 13 * 5#2", day_and=True), count=2) == ["2026-11-13 00:00:00", "2027-08-13 00:00:00"]


def test_the_next_firing_is_strictly_later() -> None:
    cron = Cron("0 0 * * *")
    assert cron.next_after(MONDAY) == MONDAY + DAY
    assert cron.next_after(math.nextafter(MONDAY, 0.0)) == MONDAY  # a float's step before it
    assert cron.next_after(MONDAY - 0.25) == MONDAY
    assert cron.next_after(MONDAY + 0.25) == MONDAY + DAY
    assert cron.next_after(MONDAY, since=MONDAY + 1) == MONDAY + DAY


def test_firings_are_of_the_years_1970_to_2286() -> None:
    cron = Cron("0 0 * * *")
    assert cron.next_after(-1.0) == 0.0
    assert cron.next_after(-1e300) == 0.0
    assert cron.next_after(LATEST - DAY) is not None
    for moment in (LATEST - 1, LATEST, 1e300, math.inf, math.nan):
        assert cron.next_after(moment) is None


def test_the_clock_of_a_zone_is_meant() -> None:
    assert after(Cron("30 12 * * *", "Asia/Kolkata"), count=1) == ["2026-06-01 07:00:00"]
    assert after(Cron("0 0 1 * *", "America/New_York"), count=1) == ["2026-06-01 04:00:00"]
    assert after(Cron("0 0 1 * *", "Pacific/Kiritimati"), count=1) == ["2026-06-30 10:00:00"]


def test_threads_share_an_expression() -> None:
    cron = Cron("*/5 * * * *", "Europe/Paris")

    def chain(begin: int) -> bool:
        moment = MONDAY + begin * 77_777.0
        for _ in range(400):
            found = cron.next_after(moment)
            assert found is not None
            if not moment < found <= moment + 300:
                return False
            moment = found
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(chain, range(8)))
    finally:
        sys.setswitchinterval(interval)


def test_croniter_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, aspool.cron; aspool.cron.Cron('@daily', 'Europe/Paris'); "
        "print([name for name in ('croniter', 'dateutil', 'zoneinfo') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# --- croniter's arithmetic, beside the plain reference -----------------------------------------------------


def texts(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    ranges = st.tuples(value, value).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.tuples(ranges, st.integers(1, high)).map(lambda both: f"{both[0]}/{both[1]}")
    stars = st.integers(1, high).map(lambda step: f"*/{step}")
    lists = st.lists(value.map(str) | ranges, min_size=2, max_size=3).map(",".join)
    return st.just("*") | value.map(str) | ranges | stepped | stars | lists


@settings(deadline=None, max_examples=60)
@given(texts(1, 31) | st.just("L"), texts(1, 12), texts(0, 7) | st.sampled_from(["2#1", "0#5", "L3"]), st.booleans())
def test_days_are_those_of_the_plain_reference(day: str, month: str, weekday: str, both: bool) -> None:
    text = f"0 0 {day} {month} {weekday}"
    cron = Cron(text, day_and=both)
    if (why := refusal(cron)) is not None:
        assert "never matches" in why or "only one can be given" in why
        assume(False)
    job = vixie.Job(text, both)
    first = datetime(2027, 1, 1, tzinfo=UTC)
    numbers = range(first.toordinal(), first.toordinal() + 800)
    expected = [day for day in numbers if job.matches(vixie.minute(day * 1440))]
    moment, found = first.timestamp() - 1, []
    while (fired := cron.next_after(moment)) is not None and fired < first.timestamp() + 800 * DAY:
        found.append(datetime.fromtimestamp(fired, UTC).toordinal())
        moment = fired
    assert found == expected


@settings(deadline=None, max_examples=60)
@given(texts(0, 59), texts(0, 23))
def test_times_are_those_of_the_plain_reference(minute: str, hour: str) -> None:
    text = f"{minute} {hour} * * *"
    begin = round(MONDAY) + 13 * 3600
    expected = vixie.Job(text).runs(vixie.walk(UTC, begin, begin + DAY))[:100]
    moment, found = begin - 1.0, []
    for _ in expected:
        fired = Cron(text).next_after(moment)
        assert fired is not None
        found.append(round(fired))
        moment = fired
    assert found == expected


# --- refusals --------------------------------------------------------------------------------------------

WRONG = [
    ("61 * * * *", "the minute is '61', and goes from 0 to 59"),
    ("0,7-60 * * * *", "the minute is '7-60', and goes from 0 to 59"),
    ("0 24 * * *", "the hour is '24', and goes from 0 to 23"),
    ("0 0 0 * *", "the day of the month is '0', and goes from 1 to 31, or L for the last"),
    ("0 0 32 * *", "the day of the month is '32', and goes from 1 to 31, or L for the last"),
    ("0 0 1 13 *", "the month is '13', and goes from 1 to 12, or JAN to DEC"),
    ("0 0 * * 8", r"the day of the week is '8', and goes from 0 to 7 \(0 and 7 are Sunday\), or SUN to SAT"),
    ("0 0 * Foo *", "the month is 'Foo', which cannot be read: it goes from 1 to 12, or JAN to DEC, with ranges"),
    ("0 0 * * L", "the day of the week is 'L', which cannot be read"),
    ("0 0 * * 5#6", "the day of the week is '5#6', which cannot be read"),
    ("*/0 * * * *", r"the minute is '\*/0', which cannot be read"),
    ("*/90 * * * *", r"the minute is '\*/90', and a step is at most 60: for longer intervals there are timers"),
    ("0-30/61 * * * *", "the minute is '0-30/61', and a step is at most 60"),
    ("0 1,*/25 * * *", r"the hour is '1,\*/25', and a step is at most 24"),
    ("0 0 10/32 * *", "the day of the month is '10/32', and a step is at most 31"),
    ("0 0 1 */13 *", r"the month is '\*/13', and a step is at most 12"),
    ("0 0 * * */8", r"the day of the week is '\*/8', and a step is at most 7"),
    ("-5 * * * *", "the minute is '-5', which cannot be read"),
    ("5, * * * *", "the minute is '5,', which cannot be read"),
    ("1--5 * * * *", "the minute is '1--5', which cannot be read"),
    ("1_0 * * * *", "the minute is '1_0', which cannot be read"),
    ("\u0665 * * * *", "the minute is '\u0665', which cannot be read"),
    ("0 0 L-3 * *", "the day of the month is 'L-3', which cannot be read"),
    ("0 0 32W * *", "the day of the month is '32W', and goes from 1 to 31"),
    ("H * * * *", r"the minute is 'H', and hashed and random values \(H, R\) are not known here"),
    ("0 R(0-3)/2 * * *", "the hour is 'R"),
    ("0 0 * * 5,3#2", "the day of the week is '5,3#2', and such values cannot be mixed"),
    ("0 0 * * 0#1,1,2,3,4,5,6", "the day of the week is '0#1,1,2,3,4,5,6', and such values cannot be mixed"),
    ("0 0 15W,3 * *", "the day of the month is '15W,3', and such values cannot be mixed"),
    ("0 0 1 * 5#2", "the day of the month is '1' and the day of the week '5#2', and of these only one can be given"),
    ("0 0 15W * 1", "the day of the month is '15W' and the day of the week '1', and of these only one can be given"),
    ("0 0 L * L5", "only one can be given: make two schedules"),
    ("", "it has 0 fields, and 5 are needed: minute, hour, day of the month, month, day of the week"),
    ("*", "it has 1 field, and 5 are needed"),
    ("* * * *", "it has 4 fields, and 5 are needed"),
    ("* * * * * *", "it has 6 fields: say seconds=True if the first of them is the second; otherwise 5 are needed"),
    ("* * * * * * *", "it has 7 fields, and a year cannot be given"),
    ("0 0 * * *\n0 1 * * *", "it has 10 fields"),
    ("@reboot", "a spool does not start with a machine"),
    ("@weakly", "the words are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"),
    ("@daily *", "the words are"),
]


@pytest.mark.parametrize(("expression", "why"), WRONG)
def test_a_wrong_expression_is_refused_with_field_and_value(expression: str, why: str) -> None:
    with pytest.raises(ScheduleRefused, match=why) as refused:
        Cron(expression).check()
    assert str(refused.value).startswith(f"the cron expression {expression!r} is wrong: ")
    with pytest.raises(ScheduleRefused, match=why):
        Cron(expression).next_after(0.0)


def test_seconds_ask_for_six_fields() -> None:
    with pytest.raises(
        ScheduleRefused, match=r"it has 5 fields, and 6 are needed: second, minute, .* for seconds=True"
    ):
        Cron("* * * * *", seconds=True).check()
    with pytest.raises(ScheduleRefused, match="the second is '60', and goes from 0 to 59"):
        Cron("60 * * * * *", seconds=True).check()
    with pytest.raises(ScheduleRefused, match="the day of the week is '9'"):
        Cron("0 * * * * 9", seconds=True).check()


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 0 30 2 *", "there is no day 30 in month 2"),
        ("0 0 31 4,JUN,9,11 *", "there is no day 31 in month 4,jun,9,11"),
        ("0 0 1-7 * 5#3", "there is no day 1-7 in any month that is day 5#3 of the week"),
    ],
)
def test_what_never_matches_is_refused(expression: str, why: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        Cron(expression, day_and=True).check()
    assert str(refused.value) == f"the cron expression {expression!r} never matches: {why}"


@pytest.mark.parametrize("weekday", range(7))
def test_a_29_february_of_each_week_day_comes(weekday: int) -> None:
    Cron(f"0 0 29 2 {weekday}", day_and=True).check()
    assert Cron(f"0 0 29 2 {weekday}", day_and=True).next_after(4_100_000_000.0) is not None  # 2100 has none


@pytest.mark.parametrize("expression", [5, None, b"* * * * *", ["*"] * 5, {}])
def test_an_expression_is_a_text(expression: Any) -> None:
    with pytest.raises(ScheduleRefused, match="a cron expression is a text such as"):
        Cron(expression).check()


def test_a_huge_expression_is_refused_in_few_words() -> None:
    with pytest.raises(ScheduleRefused, match="may have 1000 characters, and this one has 1001") as refused:
        Cron("*" * 1001).check()
    assert len(str(refused.value)) < 100


@settings(deadline=None, max_examples=300)
@given(
    st.text(max_size=30)
    | st.lists(st.text("0123456789*/,-#?lLwWhHrRmonjaufeb()@", min_size=1, max_size=6), min_size=4, max_size=7).map(
        " ".join
    ),
    st.booleans(),
    st.booleans(),
)
def test_any_text_is_taken_or_refused_in_words(text: str, seconds: bool, both: bool) -> None:
    cron = Cron(text, seconds=seconds, day_and=both)
    if refusal(cron) is not None:
        return
    fired = cron.next_after(MONDAY)
    assert fired is not None
    assert fired > MONDAY


# --- zones -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Pariss", "'Europe/Paris'"),
        ("paris", "'Europe/Paris'"),
        ("europe/paris", "'Europe/Paris'"),
        ("Pari", "'Europe/Paris'"),
        ("new york", "'America/New_York'"),
        ("utc", "'UTC'"),
        ("Kolkatta", "'Asia/Kolkata'"),
    ],
)
def test_an_unknown_zone_is_named_with_near_ones(name: str, near: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        Cron("@daily", name).check()
    assert str(refused.value).startswith(f"there is no zone {name!r}; there is {near}")
    assert str(refused.value).count("'") <= 2 + 3 * 2


@pytest.mark.parametrize("name", ["CEST", "PST", "IST"])
def test_an_abbreviation_is_no_zone(name: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        Cron("@daily", name).check()
    assert str(refused.value) == f"there is no zone '{name}': a zone is named by a place in it, such as 'Europe/Paris'"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../etc/passwd", "/etc/passwd", "Europe", "Europe/", "zone.tab", "a\0b", "\ud800", "x" * 5000, "É"],
)
def test_what_is_no_name_of_a_zone_does_no_harm(name: str) -> None:
    with pytest.raises(ScheduleRefused, match="there is no zone") as refused:
        Cron("@daily", name).check()
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("name", [None, 2, UTC, b"UTC"])
def test_a_zone_is_given_by_its_name(name: Any) -> None:
    with pytest.raises(ScheduleRefused, match=r"tz=.* is no name of a zone: give one such as 'Europe/Paris'"):
        Cron("@daily", name).check()


def test_without_a_zone_database_utc_works_and_others_say_what_to_install() -> None:
    code = (
        "import sys, zoneinfo; zoneinfo.reset_tzpath([]); sys.modules['tzdata'] = None\n"
        "from aspool.cron import Cron\n"
        "print(Cron('@daily').next_after(0.0))\n"
        "try: Cron('@daily', 'Europe/Paris').check()\n"
        "except ValueError: pass\n"
        "except Exception as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        "86400.0",
        "the zone 'Europe/Paris' cannot be read: this system has no zone database; `pip install tzdata` brings one",
    ]


# --- uWSGI's numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "expression"),
    [
        ({}, "* * * * *"),
        ({"minute": -5}, "*/5 * * * *"),
        ({"minute": 0, "hour": -2}, "0 */2 * * *"),
        ({"minute": 59, "hour": 23, "day": 31, "month": 12}, "59 23 31 12 *"),
        ({"minute": 0, "hour": 0, "month": -2}, "0 0 * 2-12/2 *"),
        ({"minute": 0, "hour": 0, "day": -10}, "0 0 10-31/10 * *"),
        ({"minute": 0, "hour": 3, "weekday": 7}, "0 3 * * 7"),
        ({"minute": 0, "hour": 3, "weekday": -2}, "0 3 * * */2"),
        ({"minute": -60}, "*/60 * * * *"),
        ({"minute": -61}, "0 * * * *"),
        ({"minute": 5, "hour": -25}, "5 0 * * *"),
        ({"minute": 0, "hour": 3, "weekday": -8}, "0 3 * * 0"),
    ],
)
def test_uwsgis_numbers_as_an_expression(numbers: dict[str, int], expression: str) -> None:
    cron = uwsgi_cron(**numbers, tz="Europe/Paris")
    assert (cron.expression, cron.tz) == (expression, "Europe/Paris")
    cron.check()


def uwsgi_matches(number: int, value: int) -> bool:
    return value % -number == 0 if number < 0 else value == number


@pytest.mark.parametrize(("day", "weekday"), [*product((-1, -3, -31, 1, 13), (-1, -2, -7, -8, 0, 5, 7))])
def test_uwsgis_two_days_are_both_needed_unless_both_are_plain(day: int, weekday: int) -> None:
    cron = uwsgi_cron(0, 0, day, -3, weekday)
    expected = []
    for number in range(739_000, 739_800):
        shown = vixie.minute(number * 1440)
        of_month = uwsgi_matches(day, shown.day)
        of_week = uwsgi_matches(0 if weekday == 7 else weekday, shown.weekday)
        matches = of_month or of_week if day >= 0 and weekday >= 0 else of_month and of_week
        if matches and shown.month % 3 == 0:
            expected.append(number)
    moment = datetime.fromordinal(739_000).replace(tzinfo=UTC).timestamp() - 1
    found = []
    for _ in expected:
        fired = cron.next_after(moment)
        assert fired is not None
        found.append(datetime.fromtimestamp(fired, UTC).toordinal())
        moment = fired
    assert found == expected


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"minute": 60}, "the minute is 60, and goes from 0 to 59; -1 is every one, -2 every second one"),
        ({"hour": 24}, "the hour is 24, and goes from 0 to 23"),
        ({"day": 0}, "the day of the month is 0, and goes from 1 to 31"),
        ({"day": -32}, "the day of the month is -32, and no day of the month is divided by 32"),
        ({"month": 13}, "the month is 13, and goes from 1 to 12"),
        ({"month": -13}, "the month is -13, and no month is divided by 13"),
        ({"weekday": 8}, "the day of the week is 8, and goes from 0 to 7"),
        ({"minute": 0.5}, "the minute of a cron in numbers is a whole number, and not 0.5"),
        ({"minute": True}, "the minute of a cron in numbers is a whole number, and not True"),
        (
            {"hour": "*/3"},
            "the hour of a cron in numbers is a whole number, and not '*/3': write an expression, such as '0 */3 *",
        ),
        ({"day": None}, "the day of the month of a cron in numbers is a whole number, and not None"),
    ],
)
def test_a_wrong_number_is_refused(numbers: dict[str, Any], why: str) -> None:
    with pytest.raises(ScheduleRefused) as refused:
        uwsgi_cron(**numbers)
    assert str(refused.value).startswith(why)


def test_this_file_is_the_only_one_that_reads_cron_fields() -> None:
    package = Path(__file__).parents[2] / "aspool"
    using = [path for path in package.rglob("*.py") if "croniter import" in path.read_text()]
    assert using == [package / "cron.py"]
