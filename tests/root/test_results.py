"""What a task returned, as a record, and back by its type hint; and what the other records raise."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from aspool import NoResult, TaskCancelled, TaskFailed
from aspool.failures import failure_of
from aspool.records import cancelled_record, dead_record, state_of
from aspool.results import LARGEST, Returns


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    number: int
    when: datetime


@dataclass
class Point:
    x: float
    y: float


def returns(hint: Any) -> Returns:
    def function() -> None: ...

    function.__annotations__["return"] = hint
    return Returns(function, "app.task")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (None, None), (int, 3), (str, "ä\n\0"), (bytes, b"\0\xff"), (float, float("inf")), (Path, Path("/tmp/a")),
        (datetime, datetime(2030, 1, 1, tzinfo=UTC)), (list[Point], [Point(1, 2)]), (Colour, Colour.RED),
        (Order | None, Order(number=1, when=datetime(2030, 1, 1, tzinfo=UTC))), (tuple[int, str], (1, "a")),
        (dict[str, set[int]], {"a": {1, 2}}), (Any, {"a": [1, None]}),
    ],
)  # fmt: skip
def test_a_value_comes_back_as_its_type_hint_says(hint: Any, value: Any) -> None:
    record = returns(hint).dump(value)
    assert state_of(record) == "done"
    assert returns(hint).load(record) == value


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(), st.lists))
def test_without_a_hint_it_is_what_json_has(value: Any) -> None:
    def function():  # type: ignore[no-untyped-def]  # the point of it
        ...

    plain = Returns(function, "app.task")
    assert plain.load(plain.dump(value)) == value


@pytest.mark.parametrize(
    ("hint", "value", "why"),
    [
        (Any, object(), "app.task returned cannot be written as JSON"),
        (int, "three", "app.task returned cannot be written as JSON"),
        (Any, "x" * LARGEST, f"bytes as JSON, at most {LARGEST} are kept"),
    ],
)
def test_what_cannot_be_kept_says_why(hint: Any, value: Any, why: str) -> None:
    record = returns(hint).dump(value)
    assert state_of(record) == "done", "the task did its work"
    with pytest.raises(NoResult, match=why):
        returns(hint).load(record)


def test_a_class_that_json_does_not_know_may_still_be_returned() -> None:
    class Strange: ...

    record = returns(Strange).dump(Strange())
    with pytest.raises(NoResult, match="cannot be written"):
        returns(Strange).load(record)


def test_a_result_of_an_earlier_version_does_not_fit() -> None:
    with pytest.raises(NoResult, match="does not fit its type hint"):
        returns(int).load(returns(str).dump("three"))


def test_the_other_ends_raise() -> None:
    with pytest.raises(TaskCancelled, match=r"app\.task was cancelled: by Ann"):
        returns(int).load(cancelled_record("by Ann"))
    try:
        raise KeyError("a")
    except KeyError as error:
        record = dead_record(failure_of(error, None))
    assert state_of(record) == "dead"
    with pytest.raises(KeyError) as caught:
        returns(int).load(record)
    assert 'raise KeyError("a")' in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "record", [b"", b"{}", b"[]", b"\xff", b'{"state":"odd"}', b'{"state":["done"]}', b"[" * 100_000]
)
def test_what_is_no_record_is_no_result(record: bytes) -> None:
    assert state_of(record) == ""
    with pytest.raises(NoResult):
        returns(int).load(record)


@pytest.mark.parametrize("record", [b'{"state":"dead"}', b'{"state":"dead","error":3,"reason":[],"traceback":{}}'])
def test_a_forged_failure_is_a_failure(record: bytes) -> None:
    with pytest.raises(TaskFailed):
        returns(int).load(record)
