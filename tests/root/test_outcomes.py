"""What a return value says to the spool, and what an exception becomes when it is written down."""

from typing import Any

import pytest

from aspool import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, Bury, Retry, SpoolReturn
from aspool.failures import Failure, failure_of
from aspool.outcomes import spoken


@pytest.mark.parametrize("value", [SPOOL_OK, SPOOL_RETRY, SPOOL_IGNORE])
def test_the_three_words_are_recognised(value: SpoolReturn) -> None:
    assert spoken(value) is value


@pytest.mark.parametrize("value", [None, 0, -1, -2, False, True, "SPOOL_RETRY", 1.5, object(), [SPOOL_RETRY]])
def test_every_other_value_is_success(value: Any) -> None:
    assert spoken(value) is SPOOL_OK


def test_the_words_are_not_integers() -> None:
    assert list(SpoolReturn) == [SPOOL_OK, SPOOL_RETRY, SPOOL_IGNORE]
    for word, number in [(SPOOL_OK, -2), (SPOOL_RETRY, -1), (SPOOL_IGNORE, 0)]:
        assert word.value == number
        assert word != number  # type: ignore[comparison-overlap]  # they never overlap: the point of it


def raised(error: BaseException) -> BaseException:
    """The exception with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("wrong"), "ValueError: wrong"),
        (ValueError(), "ValueError"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ExceptionGroup("many", [ValueError("a")]), "ExceptionGroup: many (1 sub-exception)"),
        (ValueError("x" * 10_000), "ValueError: " + "x" * 488),
    ],
)
def test_a_failure_has_a_reason_in_one_line(error: BaseException, reason: str) -> None:
    failure = failure_of(raised(error), None)
    assert failure.reason == reason
    assert failure.retriable
    assert "in raised" in failure.traceback


def test_an_exception_that_cannot_be_printed_is_written_down_all_the_same() -> None:
    assert "Unspeakable" in failure_of(raised(Unspeakable()), None).reason


def test_a_very_long_traceback_keeps_its_end() -> None:
    failure = failure_of(raised(ValueError("x" * 100_000 + "the end")), None)
    assert len(failure.traceback) == 20_000
    assert failure.traceback.endswith("the end\n")


@pytest.mark.parametrize(
    ("error", "retry_on", "retriable"),
    [
        (ValueError(), None, True),
        (ValueError(), (ValueError,), True),
        (UnicodeError(), (ValueError,), True),
        (KeyError(), (ValueError,), False),
        (KeyError(), (ValueError, LookupError), True),
        (ValueError(), (), False),
        (Retry(), (), True),
        (Bury(), None, False),
        (Bury(), (Exception,), False),
    ],
)
def test_which_exceptions_are_worth_a_retry(error: BaseException, retry_on: Any, retriable: bool) -> None:
    assert failure_of(raised(error), retry_on).retriable is retriable


def test_retry_carries_its_delay_and_count() -> None:
    failure = failure_of(raised(Retry("later", delay=10, count=2)), ())
    assert (failure.delay, failure.count) == (10, 2)
    assert "later" in failure.reason
    assert failure_of(raised(Retry()), None).reason.endswith("the task asked for a retry")


def test_bury_says_why() -> None:
    assert failure_of(raised(Bury("no such customer")), None).reason == "no such customer"
    assert failure_of(raised(Bury()), None).reason == "the task gave up"


def test_outcomes_are_plain_values() -> None:
    assert Failure("a") == Failure("a")
    assert not issubclass(Failure, BaseException)
