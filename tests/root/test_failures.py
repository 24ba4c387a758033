"""Exceptions as JSON, and back: of known classes only, with nothing imported and no constructor run."""

import json
import sys
from typing import Any, Self

import pytest

from aspool import Bury, Retry, TaskFailed
from aspool.failures import LONGEST_TRACEBACK, Failure, failure_of, raised_again, written
from aspool.records import dead_record


class Shop:
    class Sold(Exception):
        def __init__(self, item: str, left: int) -> None:
            super().__init__(f"{item} is sold out", left)
            self.item = item


def again(error: BaseException) -> Exception:
    """There and back, by way of JSON."""
    return raised_again(json.loads(json.dumps(written(error))), "the reason", "Traceback …")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"), ValueError(), KeyError("k"), FileNotFoundError(2, "No such file"), Shop.Sold("tea", 3),
        Bury("enough"), Retry("again", delay=3, count=2), ZeroDivisionError("x"), OSError(28, "full"),
    ],
)  # fmt: skip
def test_an_exception_is_made_again(error: Exception) -> None:
    made = again(error)
    assert (type(made), made.args, str(made)) == (type(error), error.args, str(error))
    assert vars(made) == {**vars(error), "__notes__": ["The traceback of the task:\nTraceback …"]}


def test_what_the_kernel_said_is_in_it() -> None:
    made = again(FileNotFoundError(2, "No such file"))
    assert isinstance(made, OSError)
    assert made.errno == 2


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Picky(Exception):
    def __new__(cls, *args: Any) -> Self:
        if len(args) == 1:
            raise TypeError
        return super().__new__(cls, *args)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(object()), UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"), SystemExit(3), KeyboardInterrupt(),
        ValueError(["a list"]), type("Local", (Exception,), {})("not to be found by name"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_again_is_told_in_words(error: BaseException) -> None:
    made = again(error)
    assert isinstance(made, TaskFailed)
    assert str(made) == "the reason"
    assert made.__notes__ == ["The traceback of the task:\nTraceback …"]


def test_strange_classes_do_no_harm() -> None:
    assert written(Unprintable()) is not None
    record = written(Picky(1, 2))
    assert record is not None
    assert isinstance(raised_again({**record, "args": [1]}, "reason", ""), TaskFailed)


@pytest.mark.parametrize(
    "forged",
    [
        {}, {"module": "os", "class": "system", "args": ["true"], "attributes": {}, "text": ""},
        {"module": "subprocess", "class": "Popen", "args": [["true"]], "attributes": {}, "text": ""},
        {"module": "antigravity", "class": "x", "args": [], "attributes": {}, "text": ""},
        {"module": "builtins", "class": "BaseException", "args": [], "attributes": {}, "text": ""},
        {"module": "builtins", "class": "ValueError", "args": "abc", "attributes": 3, "text": ""},
        {"module": ["x"], "class": 3, "args": None, "attributes": None, "text": None},
    ],
)  # fmt: skip
def test_a_forged_record_calls_and_imports_nothing(forged: Any) -> None:
    assert isinstance(raised_again(forged, "reason", ""), TaskFailed)
    assert "antigravity" not in sys.modules


def test_a_failure_carries_its_exception() -> None:
    failure = failure_of(ValueError("no"), (KeyError,))
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.retriable) == ("ValueError: no", False)
    assert failure.error == {
        "module": "builtins", "class": "ValueError", "args": ["no"], "attributes": {}, "text": "no"
    }  # fmt: skip


def test_a_stop_iteration_cannot_leave_a_coroutine() -> None:
    assert isinstance(again(StopIteration(3)), TaskFailed)


@pytest.mark.parametrize("error", [ValueError("x" * 10_000_000), KeyError(10**5000), ValueError(["x"] * 9)])
def test_what_is_very_large_is_told_in_words(error: Exception) -> None:
    assert written(error) is None
    failure = failure_of(error, None)
    assert len(failure.reason) + len(failure.traceback) < 30_000
    assert len(dead_record(failure)) < 100_000


class Wordless(Bury):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_the_reason_of_an_order_is_bounded_and_there() -> None:
    assert failure_of(Wordless(), None).reason == "Wordless"
    assert len(failure_of(Retry("x" * 10_000_000), None).reason) == LONGEST_TRACEBACK


def test_forged_notes_do_no_harm() -> None:
    forged = {"module": "builtins", "class": "ValueError", "args": [], "attributes": {"__notes__": "x"}, "text": ""}
    assert isinstance(raised_again(forged, "reason", "Traceback"), TaskFailed)
