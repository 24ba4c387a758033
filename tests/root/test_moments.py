"""Moments: aware datetimes, timedeltas and timestamps are taken, everything else is refused by its name."""

import math
import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.errors import MomentRefused
from aspool.moments import LATEST, timestamp


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (0, 0.0),
        (1.5, 1.5),
        (-5, 0.0),
        (LATEST, LATEST),
        (datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC), 1e9),
        (datetime(2001, 9, 9, 3, 46, 40, tzinfo=timezone(timedelta(hours=2))), 1e9),
        (datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris")), 1782900000.0),
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris")), 1792888200.0),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")), 1792891800.0),
        (datetime.min.replace(tzinfo=UTC), 0.0),
    ],
)
def test_a_moment_is_this_timestamp(moment: Any, seconds: float) -> None:
    assert timestamp(moment) == seconds
    assert isinstance(timestamp(moment), float)


@pytest.mark.parametrize("delta", [timedelta(0), timedelta(minutes=1), timedelta(days=365), timedelta(seconds=-5)])
def test_a_timedelta_counts_from_now(delta: timedelta) -> None:
    before = time.time()
    found = timestamp(delta)
    assert before + delta.total_seconds() <= found <= time.time() + delta.total_seconds()


def test_long_ago_is_the_first_moment() -> None:
    assert timestamp(timedelta.min) == 0.0


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), datetime.max])
def test_a_naive_datetime_is_refused(moment: datetime) -> None:
    with pytest.raises(MomentRefused, match=r"at=.*naive datetime"):
        timestamp(moment)


@pytest.mark.parametrize(
    "moment",
    [
        *(math.nan, math.inf, -math.inf, LATEST + 1, 1e300, -1e300, 10**400, -(10**400)),
        *(timedelta.max, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_out_of_range(moment: Any) -> None:
    with pytest.raises(MomentRefused, match="out of range"):
        timestamp(moment)


@pytest.mark.parametrize("moment", [True, False, "now", "1e9", b"5", None, date(2026, 1, 1), [], 1j, object()])
def test_what_is_no_moment(moment: Any) -> None:
    with pytest.raises(MomentRefused, match=r"expires=.* is no moment"):
        timestamp(moment, "expires")


@given(st.floats() | st.integers() | st.timedeltas() | st.datetimes(timezones=st.just(UTC)))
def test_whatever_is_taken_fits_a_file_name(moment: Any) -> None:
    try:
        seconds = timestamp(moment)
    except MomentRefused:
        return
    assert 0.0 <= seconds <= LATEST
    assert len(f"{round(seconds * 1_000_000):016d}") == 16
