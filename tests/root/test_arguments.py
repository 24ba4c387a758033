"""Arguments: what travels and comes back as it was, what is refused and by which name, and who gets Job and Body."""

import dataclasses
import enum
import functools
import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from aspool import Body, Job
from aspool.arguments import Arguments
from aspool.errors import ArgumentsRefused, ArgumentsUnfit, TaskRefused

NOT_UTF8 = b"\xff\x00\xfe base64?"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Address:
    street: str
    seal: bytes = b""
    since: datetime = MIDNIGHT


class Customer(BaseModel):
    name: str
    address: Address | None = None
    tags: set[str] = set()


class Picture(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class Frame(NamedTuple):
    width: int
    data: bytes


class Options(TypedDict, total=False):
    deep: bool
    key: bytes


def accepting(hint: Any) -> Arguments:
    def task(value: Any) -> None: ...

    task.__annotations__["value"] = hint
    return Arguments(task, "app.task")


def travelled(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the function gets when a worker calls it."""
    arguments = Arguments(function, "app.task")
    data, _ = arguments.dump(args, kwargs)
    loaded, named = arguments.load(data)
    if not arguments.wants_job:
        function(*loaded, **named)
    return loaded, named


# --- values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 10**30),
        (float, 0.1),
        (float, math.inf),
        (float, -math.inf),
        (str, "héllo \x00 ☃"),
        (bool, False),
        (None, None),
        (bytes, b""),
        (bytes, b"abcd"),
        (bytes, NOT_UTF8),
        (list[bytes], [NOT_UTF8, b"abcd"]),
        (dict[str, bytes], {"a": NOT_UTF8}),
        (dict[bytes, int], {NOT_UTF8: 1}),
        (tuple[bytes, ...], (NOT_UTF8,)),
        (bytes | None, NOT_UTF8),
        (uuid.UUID, uuid.UUID(int=5)),
        (datetime, MIDNIGHT),
        (datetime, datetime(2026, 1, 1, 12)),
        (date, date(2026, 1, 1)),
        (timedelta, timedelta(days=1, microseconds=1)),
        (Decimal, Decimal("0.10")),
        (Path, Path("a/b")),
        (Literal["a", "b"], "a"),
        (Annotated[int, Field(gt=3)], 4),
        (Colour, Colour.BLUE),
        (Level, Level.LOW),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (frozenset[str], frozenset({"a"})),
        (set[frozenset[int]], {frozenset({1})}),
        (list[list[int]], [[1], []]),
        (dict[int, Path], {1: Path("x")}),
        (int | None, None),
        (Optional[int], 3),  # noqa: UP045 - the old form
        (int | str, "5"),
        (int | str, 5),
        (Address, Address("Main St", NOT_UTF8, MIDNIGHT)),
        (list[Address], [Address("Main St", NOT_UTF8)]),
        (Customer, Customer(name="Ann", address=Address("Main St", b"abcd"), tags={"a"})),
        (Picture, Picture(data=NOT_UTF8)),
        (Frame, Frame(3, NOT_UTF8)),
        (Options, {"deep": True, "key": NOT_UTF8}),
        (Options, {}),
        (Any, {"a": [1, None, "x"]}),
    ],
)
def test_a_value_comes_back_as_it_was(hint: Any, value: Any) -> None:
    arguments = accepting(hint)
    data, body = arguments.dump((value,), {})
    assert body is None
    args, kwargs = arguments.load(data)
    assert (*args, *kwargs.values()) == (value,)
    assert type(kwargs["value"]) is type(value)


def test_not_a_number_comes_back() -> None:
    for hint in (float, list[float]):
        data, _ = accepting(hint).dump((math.nan if hint is float else [math.nan],), {})
        value = accepting(hint).load(data)[1]["value"]
        assert math.isnan(value if hint is float else value[0])


@given(st.lists(st.binary(), max_size=5), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8")))
def test_any_bytes_float_and_text_come_back(blobs: list[bytes], number: float, text: str) -> None:
    def task(blobs: list[bytes], number: float, text: str) -> None: ...

    assert travelled(task, blobs, number, text) == ((), {"blobs": blobs, "number": number, "text": text})


def test_arguments_are_a_json_object_that_people_can_read() -> None:
    def task(to: str, *more: str, copies: int = 1, **rest: bool) -> None: ...

    data, _ = Arguments(task, "app.task").dump(("a", "b"), {"copies": 2, "urgent": True})
    assert json.loads(data) == {"to": "a", "more": ["b"], "copies": 2, "rest": {"urgent": True}}


def test_a_task_without_parameters_stores_nothing() -> None:
    arguments = Arguments(lambda: None, "app.task")
    assert arguments.dump((), {}) == (b"", None)
    assert arguments.load(b"") == ((), {})


# --- parameters ------------------------------------------------------------------------------------------


def positional(a: int, b: int, /) -> None: ...
def defaults(a: int, b: int = 2, *, c: int = 3) -> None: ...
def keyword_only(*, a: int, b: int = 2) -> None: ...
def variadic(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> None: ...
def mixed(a: int = 1, *rest: int) -> None: ...
def odd_names(self: int, _hidden: int, model_config: int, args: int) -> None: ...
def unannotated(a, b=2):  # type: ignore[no-untyped-def]
    ...


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "called"),
    [
        (positional, (1, 2), {}, ((1, 2), {})),
        (defaults, (1,), {}, ((), {"a": 1})),
        (defaults, (1, 5), {"c": 6}, ((), {"a": 1, "b": 5, "c": 6})),
        (defaults, (), {"b": 5, "a": 1}, ((), {"a": 1, "b": 5})),
        (keyword_only, (), {"a": 1}, ((), {"a": 1})),
        (variadic, (1,), {}, ((1,), {})),
        (variadic, (1, 5, 6, 7), {"c": 8, "d": 9}, ((1, 5, 6, 7), {"c": 8, "d": 9})),
        (variadic, (1,), {"d": 9, "c": 8}, ((1,), {"c": 8, "d": 9})),
        (mixed, (), {}, ((), {})),
        (mixed, (1, 2, 3), {}, ((1, 2, 3), {})),
        (odd_names, (1, 2, 3, 4), {}, ((), {"self": 1, "_hidden": 2, "model_config": 3, "args": 4})),
        (unannotated, ("x",), {"b": [1]}, ((), {"a": "x", "b": [1]})),
    ],
)
def test_parameters_of_every_kind(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], called: Any
) -> None:
    assert travelled(function, *args, **kwargs) == called


def test_a_default_is_the_one_of_the_function_that_runs() -> None:
    data, _ = Arguments(defaults, "app.task").dump((1,), {})

    def newer(a: int, b: int = 20, *, c: int = 30, d: int = 40) -> None: ...

    assert Arguments(newer, "app.task").load(data) == ((), {"a": 1})


def test_a_decorated_function_keeps_its_hints() -> None:
    @functools.wraps(defaults)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert travelled(wrapper, 1, b=2) == ((), {"a": 1, "b": 2})
    with pytest.raises(ArgumentsRefused, match="a: Input should be a valid integer"):
        Arguments(wrapper, "app.task").dump(("x",), {})


def later(customer: "Defined", body: "Body | None" = None) -> None: ...


class Defined(BaseModel):
    name: str


def test_hints_as_strings_are_resolved_when_first_used() -> None:
    arguments = Arguments(later, "app.task")
    data, _ = arguments.dump((Defined(name="Ann"),), {})
    assert arguments.load(data) == ((), {"customer": Defined(name="Ann")})
    assert arguments.body_name == "body"


def test_hints_of_a_module_with_future_annotations() -> None:
    names: dict[str, Any] = {"__name__": "made_up"}
    exec(
        "from __future__ import annotations\n"
        "from aspool import Body, Job\n"
        "import uuid\n"
        "def task(job: Job, key: uuid.UUID, body: Body | None = None): return key\n",
        names,
    )
    arguments = Arguments(names["task"], "app.task")
    assert arguments.wants_job
    assert arguments.body_name == "body"
    data, _ = arguments.dump((uuid.UUID(int=1),), {})
    assert arguments.load(data) == ((), {"key": uuid.UUID(int=1)})


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value", "complaint"),
    [
        (int, "x", "value: Input should be a valid integer"),
        (int, 1.5, "value: Input should be a valid integer"),
        (str, 5, "value: Input should be a valid string"),
        (bytes, 5, "value: Input should be a valid bytes"),
        (Literal["a", "b"], "c", "value: Input should be 'a' or 'b'"),
        (Annotated[int, Field(gt=3)], 3, "value: Input should be greater than 3"),
        (Colour, "green", "value: Input should be 'red' or 'blue'"),
        (list[int], [1, "x"], "value.1: Input should be a valid integer"),
        (Customer, {"name": 5}, "value.name: Input should be a valid string"),
        (Address, {}, "value.street: Field required"),
        (tuple[int, int], (1,), "value.1: Field required"),
        (uuid.UUID, "x", "value: Input should be a valid UUID"),
        (datetime, "yesterday", "value: Input should be a valid datetime"),
        (Options, {"deep": "maybe"}, "value.deep: Input should be a valid boolean"),
        (str, "\ud800", "value cannot be written as JSON"),
        (Any, object(), "value cannot be written as JSON"),
        (type, int, "value cannot be written as JSON"),
        (list[Any], [lambda: None], "value cannot be written as JSON"),
        # A model writes its bytes as its own config says, and that is utf8 unless it says base64, as Picture does.
        (Customer, Customer(name="Ann", address=Address("Main St", NOT_UTF8)), "value cannot be written as JSON"),
        (dict[tuple[int, int], str], {(1, 2): "x"}, "cannot be read back: value"),
    ],
)
def test_a_refusal_names_task_and_parameter(hint: Any, value: Any, complaint: str) -> None:
    with pytest.raises(ArgumentsRefused) as caught:
        accepting(hint).dump((value,), {})
    assert str(caught.value).startswith("app.task: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


class Loud(BaseModel):
    volume: float  # its own config writes infinity as null


def test_what_could_not_be_read_back_is_refused_when_spooled() -> None:
    with pytest.raises(ArgumentsRefused, match=r"value.volume"):
        accepting(Loud).dump((Loud(volume=math.inf),), {})


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(ArgumentsRefused):
            accepting(Any).dump((value,), {})


def test_a_long_value_is_shortened_in_the_refusal() -> None:
    with pytest.raises(ArgumentsRefused) as caught:
        accepting(int).dump(("x" * 100_000,), {})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
        (("x", "y"), {"c": "z"}, "and 2 more"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ArgumentsRefused, match=complaint) as caught:
        Arguments(defaults, "app.task").dump(args, kwargs)
    assert str(caught.value).startswith("app.task: ")


class NoSchema:
    pass


@pytest.mark.parametrize("hint", [NoSchema, "NoSuchName", "1 +", "list[Missing]", list[NoSchema]])
def test_hints_that_nothing_can_be_done_with_are_refused(hint: Any) -> None:
    with pytest.raises(TaskRefused, match=r"^app\.task: "):
        accepting(hint).dump((1,), {})


# --- no longer fitting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"not json",
        b'{"a": "x"}',
        b'{"a": 1, "gone": 2}',
        b'{"a": 1, "c": null}',
        b'{"a": 1',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_stored_arguments_that_do_not_fit(data: bytes) -> None:
    with pytest.raises(ArgumentsUnfit, match=r"do not fit app\.task"):
        Arguments(defaults, "app.task").load(data)


def test_arguments_for_a_task_that_takes_none_any_more() -> None:
    with pytest.raises(ArgumentsUnfit):
        Arguments(lambda: None, "app.task").load(b'{"a": 1}')


# --- Job and Body ----------------------------------------------------------------------------------------


def with_job(job: Job, width: int = 1) -> None: ...
def with_both(job: Job, picture: Body, width: int = 1) -> None: ...
def with_maybe(a: int, picture: Body | None = None) -> None: ...
def with_rest(a: int, *rest: int, picture: Body) -> None: ...


def test_the_job_is_not_among_the_arguments() -> None:
    arguments = Arguments(with_job, "app.task")
    assert arguments.wants_job
    assert arguments.dump((), {"width": 2}) == (b'{"width":2}', None)
    with pytest.raises(ArgumentsRefused, match="job"):
        arguments.dump((), {"job": Job.detached("x")})
    with pytest.raises(ArgumentsRefused, match="width"):
        arguments.dump((Job.detached("x"),), {})


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "named"),
    [
        (with_both, (Body(b"x"), 5), {}, {"width": 5}),
        (with_both, (), {"picture": Body(b"x")}, {}),
        (with_maybe, (1, Body(b"x")), {}, {"a": 1}),
    ],
)
def test_the_body_travels_beside_the_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], named: dict[str, Any]
) -> None:
    arguments = Arguments(function, "app.task")
    data, body = arguments.dump(args, kwargs)
    assert isinstance(body, Body)
    assert body.source == b"x"
    assert arguments.load(data) == ((), named)


def test_a_body_that_may_be_left_out() -> None:
    arguments = Arguments(with_maybe, "app.task")
    assert arguments.dump((1,), {}) == (b'{"a":1}', None)
    assert arguments.dump((1, None), {}) == (b'{"a":1}', None)
    with pytest.raises(ArgumentsRefused, match="picture"):
        Arguments(with_both, "app.task").dump((), {})


def test_a_body_beside_variadic_arguments() -> None:
    arguments = Arguments(with_rest, "app.task")
    data, body = arguments.dump((1, 2, 3), {"picture": Body(b"x")})
    assert body is not None
    args, kwargs = arguments.load(data)
    with_rest(*args, **kwargs, picture=body)
    assert (args, kwargs) == ((1, 2, 3), {})


@pytest.mark.parametrize("wrong", ["text", b"bytes", Path("file"), 5])
def test_what_is_no_body_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentsRefused, match=r"app\.task: picture must be a Body, as in Body\(source\)"):
        Arguments(with_both, "app.task").dump((wrong,), {})


def job_second(a: int, job: Job) -> None: ...
def job_keyword(a: int, *, job: Job) -> None: ...
def two_jobs(job: Job, other: Job) -> None: ...
def job_as_text(a: int, job: "Job") -> None: ...
def two_bodies(a: Body, b: Body) -> None: ...
def body_positional(a: Body, /) -> None: ...
def body_variadic(*bodies: Body) -> None: ...
def body_keywords(**bodies: Body) -> None: ...
def body_before_rest(body: Body, *rest: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (job_second, "a Job must be the first parameter, but 'job' is not"),
        (job_keyword, "a Job must be the first parameter"),
        (two_jobs, "'other' is not"),
        (job_as_text, "a Job must be the first parameter"),
        (two_bodies, "at most one Body, not a, b"),
        (body_positional, "must be a plain or keyword-only parameter"),
        (body_variadic, "must be a plain or keyword-only parameter"),
        (body_keywords, "must be a plain or keyword-only parameter"),
        (body_before_rest, "must be keyword-only"),
    ],
)
def test_functions_that_cannot_be_tasks(function: Callable[..., Any], complaint: str) -> None:
    with pytest.raises(TaskRefused, match=complaint) as caught:
        Arguments(function, "app.task")
    assert str(caught.value).startswith("app.task: ")


def test_dataclass_fields_are_checked_when_they_come_back() -> None:
    arguments = accepting(Address)
    data, _ = arguments.dump((Address("Main St"),), {})
    broken = data.replace(b'"Main St"', b"5")
    with pytest.raises(ArgumentsUnfit, match=r"value.street"):
        arguments.load(broken)
    assert dataclasses.asdict(arguments.load(data)[1]["value"])["street"] == "Main St"
