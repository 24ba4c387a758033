"""The retry policy: how often, how long at the most, and never a moment that no file name can hold."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.failures import Failure
from aspool.moments import LATEST
from aspool.retry import LONGEST_BACKOFF, RetryPolicy, crash_wait

FAILED = Failure("it failed")


@pytest.mark.parametrize("retries", [0, 1, 3, 50])
def test_it_gives_up_after_so_many_retries(retries: int) -> None:
    policy = RetryPolicy(retries)
    assert all(policy.wait(attempt, FAILED) is not None for attempt in range(1, retries + 1))
    assert policy.wait(retries + 1, FAILED) is None
    assert policy.wait(retries + 100, FAILED) is None


@given(st.integers(1, 10_000), st.floats(0, 1e308), st.floats(0.001, 1e6))
def test_the_wait_stays_within_its_bounds(attempt: int, backoff: float, longest: float) -> None:
    wait = RetryPolicy(10_000, backoff, longest).wait(attempt, FAILED)
    assert wait is not None
    assert 0.0 <= wait <= min(longest, backoff * 2.0 ** min(attempt - 1, 60))


def test_the_wait_doubles_and_is_spread_over_all_of_it() -> None:
    policy = RetryPolicy(99, 1.0)
    for attempt, longest in [(1, 1.0), (2, 2.0), (3, 4.0), (12, 2048.0), (13, LONGEST_BACKOFF), (99, LONGEST_BACKOFF)]:
        waits = [policy.wait(attempt, FAILED) or 0.0 for _ in range(400)]
        assert max(waits) <= longest
        assert max(waits) > 0.9 * longest
        assert min(waits) < 0.1 * longest


@pytest.mark.parametrize("count", [0, 1, 5])
def test_count_replaces_how_many_retries_there_are(count: int) -> None:
    for policy in (RetryPolicy(0), RetryPolicy(99)):
        asked = Failure("again", count=count)
        assert [policy.wait(attempt, asked) is None for attempt in (count, count + 1)] == [False, True]


@pytest.mark.parametrize(("delay", "wait"), [(0.0, 0.0), (10.0, 10.0), (7200.0, 7200.0), (-5.0, 0.0), (math.nan, 0.0)])
def test_delay_replaces_the_wait(delay: float, wait: float) -> None:
    assert RetryPolicy().wait(1, Failure("again", delay=delay)) == wait
    assert RetryPolicy(0).wait(1, Failure("again", delay=delay)) is None


def test_what_is_not_worth_a_retry_gets_none() -> None:
    assert RetryPolicy(99).wait(1, Failure("no", retriable=False)) is None
    assert RetryPolicy(99).wait(1, Failure("no", retriable=False, delay=1.0, count=9)) is None


def test_a_callable_backoff_is_given_the_attempt_and_not_spread() -> None:
    assert [RetryPolicy(9, lambda attempt: attempt * 10).wait(attempt, FAILED) for attempt in (1, 2, 3)] == [10, 20, 30]


@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan, 1e300, -1.0, 10**400])
def test_no_wait_leads_beyond_the_latest_moment(seconds: Any) -> None:
    for wait in (
        RetryPolicy(9, lambda _: seconds).wait(1, FAILED),
        RetryPolicy(9, seconds).wait(1, FAILED),
        RetryPolicy(9).wait(1, Failure("again", delay=seconds)),
    ):
        assert wait is not None
        assert wait >= 0.0
        assert 2_000_000_000 + wait < LATEST


@pytest.mark.parametrize(("crashes", "seconds"), [(0, 1), (2, 1), (3, 5), (4, 25), (7, 3125), (8, 3600), (999, 3600)])
def test_a_suspect_waits_longer_each_time(crashes: int, seconds: float) -> None:
    assert crash_wait(crashes) == seconds


@given(st.integers(0, 10**9))
def test_any_number_of_crashes_has_a_wait(crashes: int) -> None:
    assert 1.0 <= crash_wait(crashes) <= LONGEST_BACKOFF


def test_a_delay_may_be_any_number() -> None:
    wait = RetryPolicy(3).wait(1, Failure("later", delay=Decimal("0.5")))  # type: ignore[arg-type]  # a task's own
    assert (wait, type(wait)) == (0.5, float)
