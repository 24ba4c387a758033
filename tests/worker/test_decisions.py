"""Decisions: what becomes of a message before its run and after it."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, Body
from aspool.failures import Failure, Result
from aspool.message import Message
from aspool.outcomes import Buried, Done, Outcome, PutOff
from aspool.protocol import Claim
from aspool.retry import RetryPolicy
from aspool.worker.decisions import Ended, decide, is_suspect, refuse, unknown

NOW = 1_000_000.0
FIXED = RetryPolicy(3, lambda attempt: 10.0 * attempt)


def message(**changed: Any) -> Message:
    return dataclasses.replace(Message(id="a", task="app.task", spooled=NOW - 100, due=NOW - 50), **changed)


def claim(*, crashed: bool = False, newer: bool = False, **changed: Any) -> Claim:
    return Claim(message(**changed), Body(), crashed=crashed, newer=newer)


def after(result: Result, *, policy: RetryPolicy = FIXED, max_crashes: int = 3, **changed: Any) -> Outcome:
    return decide(Ended(result, message(**changed), policy, NOW, frequency=30.0, max_crashes=max_crashes))


# --- before the run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ready",
    [
        claim(),
        claim(attempt=7),
        claim(expires=NOW),
        claim(expires=NOW + 1),
        claim(expires=float("nan")),
        claim(crashed=True, crashes=1),  # after the first death it runs as any other
        claim(crashes=2),  # it has waited already: now it runs alone
        claim(crashes=99),
    ],
)
def test_these_run(ready: Claim) -> None:
    assert refuse(ready, NOW, max_crashes=3) is None


@pytest.mark.parametrize(
    ("refused", "outcome"),
    [
        (claim(crashed=True, crashes=3), Buried("its worker died 3 times while running it", "", 0, 3)),
        (claim(crashed=True, crashes=9, attempt=2), Buried("its worker died 9 times while running it", "", 2, 9)),
        (claim(expires=NOW - 2.5, attempt=1), Buried("it expired 2.5 s before it could run", "", 1, 0)),
        (claim(expires=0.0, newer=True), Buried("it expired 1000000.0 s before it could run", "", 0, 0)),
    ],
)
def test_these_are_buried(refused: Claim, outcome: Outcome) -> None:
    assert refuse(refused, NOW, max_crashes=3) == outcome


def test_a_suspect_waits_and_then_runs_alone() -> None:
    outcome = refuse(claim(crashed=True, crashes=2, attempt=1), NOW, max_crashes=3)
    assert isinstance(outcome, PutOff)
    assert (outcome.due, outcome.attempt, outcome.crashes, outcome.unknown) == (NOW + 1, 1, 2, False)
    assert "2 times" in outcome.reason


def test_with_a_raised_limit_a_suspect_waits_longer_each_time() -> None:
    waits = []
    for crashes in (2, 3, 4, 999):
        outcome = refuse(claim(crashed=True, crashes=crashes), NOW, max_crashes=10_000)
        assert isinstance(outcome, PutOff)
        waits.append(outcome.due - NOW)
    assert waits == [1.0, 5.0, 25.0, 3600.0]


def test_what_a_later_aspool_wrote_is_put_off_as_unknown() -> None:
    outcome = refuse(claim(newer=True, attempt=2, crashes=1), NOW, max_crashes=3)
    assert isinstance(outcome, PutOff)
    assert outcome.unknown
    assert (outcome.attempt, outcome.crashes) == (2, 1)


@pytest.mark.parametrize(("crashes", "suspect"), [(0, False), (1, False), (2, True), (3, True)])
def test_two_dead_workers_make_a_suspect(crashes: int, suspect: bool) -> None:
    assert is_suspect(message(crashes=crashes)) is suspect


@pytest.mark.parametrize(
    ("spooled", "wait"),
    [
        (NOW, 30.0),
        (NOW - 29, 30.0),
        (NOW - 600, 600.0),
        (NOW - 100_000, 3600.0),
        (NOW + 100_000, 30.0),  # a clock was set back
        (0.0, 50.0),  # a file by others does not say: its due moment stands for it
        (float("nan"), 30.0),
        (float("inf"), 30.0),
        (float("-inf"), 3600.0),
    ],
)
def test_an_unknown_message_is_put_off_by_its_age_uncharged(spooled: float, wait: float) -> None:
    outcome = unknown(message(spooled=spooled, attempt=2, crashes=1), NOW, "no task is called that")
    assert outcome == PutOff(NOW + wait, 2, 1, "no task is called that", unknown=True)


# --- after the run ---------------------------------------------------------------------------------------


def test_success_and_the_three_words() -> None:
    assert after(SPOOL_OK, attempt=5) == Done()
    assert after(SPOOL_RETRY, attempt=5, crashes=1) == PutOff(NOW + 30, 5, 1, "it returned SPOOL_RETRY")
    ignored = after(SPOOL_IGNORE, attempt=5)
    assert isinstance(ignored, PutOff)
    assert ignored.unknown
    assert ignored.attempt == 5


@pytest.mark.parametrize(
    ("result", "attempt", "outcome"),
    [
        (Failure("why"), 0, PutOff(NOW + 10, 1, 0, "why")),
        (Failure("why"), 2, PutOff(NOW + 30, 3, 0, "why")),
        (Failure("why", "lines"), 3, Buried("why", "lines", 4, 0)),
        (Failure("why", "lines", retriable=False), 0, Buried("why", "lines", 1, 0)),
        (Failure("why", delay=99.0), 0, PutOff(NOW + 99, 1, 0, "why")),
        (Failure("why", delay=0.0), 0, PutOff(NOW, 1, 0, "why")),
        (Failure("why", delay=99.0), 3, Buried("why", "", 4, 0)),
        (Failure("why", count=0), 0, Buried("why", "", 1, 0)),
        (Failure("why", count=9), 8, PutOff(NOW + 90, 9, 0, "why")),
        (Failure("its process died", crashed=True), 0, PutOff(NOW + 10, 1, 0, "its process died")),
    ],
)
def test_a_failure_is_retried_until_it_is_buried(result: Failure, attempt: int, outcome: Outcome) -> None:
    assert after(result, attempt=attempt) == outcome


def test_a_suspect_whose_own_process_died_is_counted_and_buried_at_last() -> None:
    died = Failure("its process died", "lines", crashed=True)
    assert after(died, crashes=2, max_crashes=4, attempt=1) == PutOff(NOW + 5, 1, 3, "its process died")
    buried = after(died, crashes=2, max_crashes=3, attempt=1)
    assert buried == Buried("its worker died 3 times while running it, the last time alone", "lines", 1, 3)


def test_a_suspect_that_fails_in_the_usual_way_is_retried_in_the_usual_way() -> None:
    assert after(Failure("why"), crashes=2) == PutOff(NOW + 10, 1, 2, "why")


def broken(attempt: int) -> float:
    raise LookupError("no such attempt")


@pytest.mark.parametrize(
    ("result", "policy"),
    [
        (Failure("why", "lines"), RetryPolicy(3, broken)),
        (Failure("why", "lines"), RetryPolicy(3, lambda _: "soon")),  # type: ignore[arg-type, return-value]
        (Failure("why", "lines", delay="10"), FIXED),  # type: ignore[arg-type]  # Retry(delay="10")
        (Failure("why", "lines", count="3"), FIXED),  # type: ignore[arg-type]
    ],
)
def test_a_wait_that_cannot_be_reckoned_buries_and_never_stops_the_worker(result: Failure, policy: RetryPolicy) -> None:
    outcome = after(result, policy=policy)
    assert isinstance(outcome, Buried)
    assert outcome.reason.startswith("why; its wait cannot be reckoned: ")
    assert (outcome.traceback, outcome.attempt) == ("lines", 1)


numbers = st.integers(0, 999)


@given(
    st.builds(
        Failure,
        st.text(max_size=5),
        retriable=st.booleans(),
        delay=st.none() | st.floats(),
        count=st.none() | st.integers(-5, 99),
        crashed=st.booleans(),
    )
    | st.sampled_from([SPOOL_OK, SPOOL_RETRY, SPOOL_IGNORE]),
    numbers,
    numbers,
    numbers.filter(bool),
)
def test_counts_never_fall_and_nothing_is_due_in_the_past(
    result: Result, attempt: int, crashes: int, max_crashes: int
) -> None:
    outcome = after(result, policy=RetryPolicy(), attempt=attempt, crashes=crashes, max_crashes=max_crashes)
    if isinstance(outcome, PutOff):
        assert NOW <= outcome.due < 9_999_999_999
    if isinstance(outcome, PutOff | Buried):
        assert attempt <= outcome.attempt <= attempt + 1
        assert crashes <= outcome.crashes <= crashes + 1
