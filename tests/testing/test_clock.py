"""The virtual clock: it goes, it stands, and the real one comes back."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from aspool import MomentRefused, clock
from aspool.moments import timestamp
from aspool.testing import Clock
from aspool.testing.clock import virtual_clock


def test_it_goes_until_it_is_touched_and_stands_then() -> None:
    moments = iter([100.0, 101.0, 102.0, 103.0])
    made = Clock(lambda: next(moments))
    assert made.timestamp() == 100.0
    assert made.now == datetime.fromtimestamp(101, UTC)
    made.stop()
    assert [made.timestamp(), made.timestamp()] == [102.0, 102.0]
    made.move(60)
    made.move(timedelta(hours=1))
    assert made.timestamp() == 102.0 + 60 + 3600
    made.move(-10)
    assert made.timestamp() == 102.0 + 50 + 3600


def test_it_is_set_to_a_moment() -> None:
    made = Clock()
    assert "goes" in repr(made)
    made.set(datetime(2030, 5, 1, tzinfo=UTC))
    assert made.now == datetime(2030, 5, 1, tzinfo=UTC)
    assert "stands at 2030-05-01T00:00:00+00:00" in repr(made)
    made.set(1_000_000_000)
    assert made.timestamp() == 1_000_000_000


def test_held_it_stands_still_and_goes_on_after_that() -> None:
    moments = iter(range(100, 200))
    made = Clock(lambda: next(moments))
    with made.held():
        with made.held():
            assert made.timestamp() == made.timestamp() == 100
        assert made.timestamp() == 100, "the outer one holds it"
    assert (made.timestamp(), made.timestamp()) == (101, 102)
    with made.held():
        made.move(1)
    assert made.timestamp() == made.timestamp() == 104, "moved meanwhile, it stands"


def test_nonsense_is_refused() -> None:
    made = Clock(lambda: 100.0)
    with pytest.raises(MomentRefused, match="naive"):
        made.set(datetime(2030, 5, 1))
    with pytest.raises(MomentRefused, match="timedelta"):
        made.set(timedelta(1))  # type: ignore[arg-type]
    with pytest.raises(MomentRefused, match="out of range"):
        made.move(float("inf"))
    assert made.timestamp() == 100.0, "it is as it was"


def test_moments_are_reckoned_by_it_and_the_real_one_comes_back() -> None:
    with pytest.raises(ZeroDivisionError), virtual_clock() as outer:
        outer.set(5000)
        with virtual_clock() as inner:
            assert inner is outer, "there is one wall clock"
            inner.move(1)
            assert clock.now() == 5001
        assert timestamp(timedelta(seconds=9)) == 5010
        1 / 0  # noqa: B018 - an error in the block
    assert clock.now is time.time


def test_a_new_block_begins_at_the_real_time() -> None:
    with virtual_clock() as first:
        first.set(5000)
    with virtual_clock() as second:
        assert second is not first
        assert second.timestamp() == pytest.approx(time.time(), abs=60)
