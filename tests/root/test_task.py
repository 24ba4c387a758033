"""Task: options, names, direct calls, what one call changes, and the inline executor."""

import asyncio
import functools
import io
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aspool import (
    ArgumentsRefused,
    Body,
    CallError,
    Job,
    MomentRefused,
    NameRefused,
    Spooler,
    Task,
    TaskRefused,
    spool,
)
from aspool.failures import Failure
from aspool.message import Message
from aspool.task import default_name, module_of

FAILED = Failure("it failed")


def add(a: int, b: int = 2) -> int:
    return a + b


async def add_later(a: int, b: int = 2) -> int:
    return a + b


@pytest.fixture
def spooler() -> Spooler:
    return Spooler("memory:")


def message_of(call: Any) -> Message:
    assert isinstance(call.message, Message)
    return call.message


def waiting(spooler: Spooler) -> list[Message]:
    """What is due in the default spool, taken out of it."""
    return [claim.message for claim in asyncio.run(spooler.spools["default"].claim(99, 1e12))]


# --- options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"retries": -1}, "retries must be a whole number from 0, not -1"),
        ({"retries": 1.5}, "retries must be"),
        ({"retries": "3"}, "retries must be"),
        ({"backoff": -1}, "backoff must be seconds from 0, or a callable, not -1"),
        ({"backoff": math.nan}, "backoff must be"),
        ({"backoff": "1"}, "backoff must be"),
        ({"backoff": timedelta(1)}, "backoff must be"),
        ({"harakiri": 0}, "harakiri must be a number of seconds, more than 0, not 0"),
        ({"harakiri": -1.0}, "harakiri must be"),
        ({"harakiri": math.nan}, "harakiri must be"),
        ({"harakiri": "30"}, "harakiri must be"),
        ({"executor": "threads"}, "executor must be one of auto, thread, process, inline, not 'threads'"),
        ({"executor": None}, "executor must be"),
        ({"retry_on": "ValueError"}, "retry_on must be exception classes"),
        ({"retry_on": int}, "retry_on must be"),
        ({"retry_on": [ValueError()]}, "retry_on must be"),
    ],
)
def test_options_that_are_refused(spooler: Spooler, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TaskRefused, match=complaint) as caught:
        spooler.task(name="app.task", **options)(add)
    assert str(caught.value).startswith("app.task: ")
    assert spooler.tasks == {}


@pytest.mark.parametrize("priority", [-1, "high", 1.5, True])
def test_a_priority_that_is_refused(spooler: Spooler, priority: Any) -> None:
    with pytest.raises(NameRefused):
        spooler.task(priority=priority)(add)


@pytest.mark.parametrize(
    "options",
    [
        {"retries": 0},
        {"backoff": 0},
        {"backoff": lambda attempt: attempt * 5.0},
        {"harakiri": 0.1},
        {"priority": 0},
        {"retry_on": OSError},
        {"retry_on": [OSError, KeyError]},
        {"retry_on": ()},
    ],
)
def test_options_that_are_taken(spooler: Spooler, options: dict[str, Any]) -> None:
    task = spooler.task(**options)(add)
    (name,) = options
    given = options[name]
    if name == "retry_on":
        given = (given,) if given is OSError else tuple(given)
    assert getattr(task.options, name) == given


def test_the_decorator_works_bare_and_called(spooler: Spooler) -> None:
    for task in (spooler.task(add), spooler.task()(add), spooler.task(name="other")(add)):
        assert isinstance(task, Task)
        assert task.__name__ == "add"  # type: ignore[attr-defined]  # by functools.update_wrapper
        assert task.__wrapped__ is add  # type: ignore[attr-defined]
        assert not task.is_async
        assert repr(task) == f"<Task {task.name}>"
    assert set(spooler.tasks) == {f"{__name__}.add", "other"}
    assert spooler.task(add_later).is_async


def test_attributes_of_the_function_are_not_those_of_the_task(spooler: Spooler) -> None:
    def odd() -> None: ...

    odd.name = "x"  # type: ignore[attr-defined]
    odd.options = None  # type: ignore[attr-defined]
    task = spooler.task(name="app.odd")(odd)
    assert task.name == "app.odd"
    assert task.options.retries == 3


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def inner() -> Callable[[], int]:
    def function() -> int:
        return 1

    return function


@pytest.mark.parametrize(
    ("function", "options", "complaint"),
    [
        (add_later, {"executor": "thread"}, "an async function runs on the event loop"),
        (lambda: 1, {"executor": "process"}, "imports the task by name"),
        (inner(), {"executor": "process"}, "imports the task by name"),
        (generator, {}, "it is a generator"),
        (async_generator, {}, "it is a generator"),
        (5, {}, "decorates a function"),
        ("name", {}, "decorates a function"),
    ],
)
def test_functions_that_cannot_be_tasks(
    spooler: Spooler, function: Any, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(TaskRefused, match=complaint):
        spooler.task(name="app.task", **options)(function)


# --- names -----------------------------------------------------------------------------------------------


class Jobs:
    @staticmethod
    def send() -> None: ...


def test_a_task_is_called_by_module_and_qualname() -> None:
    assert default_name(add) == f"{__name__}.add"
    assert default_name(Jobs.send) == f"{__name__}.Jobs.send"
    assert default_name(inner()) == f"{__name__}.inner.<locals>.function"


def as_main(**globals: Any) -> Any:
    """A function of a script that runs as __main__."""
    names = {"__name__": "__main__", **globals}
    exec("def task(): ...", names)
    return names["task"]


class Spec:
    name = "app.jobs.__main__"


@pytest.mark.parametrize(
    ("globals", "module"),
    [
        ({"__spec__": None, "__file__": "/srv/app/jobs.py"}, "jobs"),
        ({"__spec__": None, "__file__": "jobs.py"}, "jobs"),
        ({"__spec__": Spec, "__file__": "/srv/app/jobs/__main__.py"}, "app.jobs.__main__"),
        ({"__file__": None}, "__main__"),
        ({}, "__main__"),
    ],
)
def test_a_script_is_called_by_the_module_that_others_can_import(globals: dict[str, Any], module: str) -> None:
    function = as_main(**globals)
    assert module_of(function) == module
    assert default_name(function) == f"{module}.task"


def test_a_script_that_is_imported_by_name_too_has_one_name(spooler: Spooler) -> None:
    first = spooler.task(as_main(__spec__=None, __file__="/srv/jobs.py"))
    imported = ModuleType("jobs")
    exec("def task(): ...", vars(imported))
    second = spooler.task(imported.task)
    assert first.name == second.name == "jobs.task"
    assert spooler.tasks == {"jobs.task": second}


# --- direct calls ----------------------------------------------------------------------------------------


def test_a_direct_call_runs_the_function(spooler: Spooler) -> None:
    assert spooler.task(add)(1, b=3) == 4
    assert asyncio.run(spooler.task(add_later)(1)) == 3
    assert waiting(spooler) == []


def test_a_direct_call_gives_a_detached_job_and_a_readable_body(spooler: Spooler, tmp_path: Path) -> None:
    @spooler.task
    def measure(job: Job, picture: Body, width: int = 1) -> tuple[str, bytes, int]:
        job.progress(1, 2)
        return job.id, picture.file.read(), width

    (tmp_path / "file").write_bytes(b"from a file")
    assert measure(Body(b"bytes"), width=2) == ("", b"bytes", 2)
    assert measure(picture=Body(tmp_path / "file")) == ("", b"from a file", 1)
    assert measure(Body(io.BytesIO(b"opened"))) == ("", b"opened", 1)


def test_a_direct_call_of_an_async_task_reads_its_body(spooler: Spooler) -> None:
    @spooler.task
    async def measure(picture: Body) -> int:
        return len(await picture.read())

    assert asyncio.run(measure(Body(b"12345"))) == 5


def test_a_direct_call_passes_a_stored_body_on(spooler: Spooler) -> None:
    @spooler.task
    def inner_task(picture: Body) -> bytes:
        return picture.file.read()

    @spooler.task
    def outer(picture: Body) -> bytes:
        return inner_task(picture)

    assert outer(Body(b"the bytes")) == b"the bytes"


def test_a_direct_call_raises_what_the_function_raises(spooler: Spooler) -> None:
    with pytest.raises(TypeError):
        spooler.task(add)("x", 1)  # type: ignore[arg-type]  # as any function
    with pytest.raises(ZeroDivisionError):
        spooler.task(lambda: 1 // 0)()


# --- spooling --------------------------------------------------------------------------------------------


def every_way(spooler: Spooler, task: Task[..., Any, Any], *args: Any, **kwargs: Any) -> list[Message]:
    asyncio.run(task.spool(*args, **kwargs))
    asyncio.run(spool(task, *args, **kwargs))
    asyncio.run(task.using().spool(*args, **kwargs))
    task.spool_sync(*args, **kwargs)
    task.using().spool_sync(*args, **kwargs)
    asyncio.run(spooler.spool_many([task.call(*args, **kwargs), task.using().call(*args, **kwargs)]))
    spooler.spool_many_sync([task.call(*args, **kwargs)])
    return waiting(spooler)


def test_every_way_of_spooling_writes_the_same_message(spooler: Spooler) -> None:
    messages = every_way(spooler, spooler.task(priority=3)(add), 1, b=5)
    assert len(messages) == 8
    assert len({message.id for message in messages}) == 8
    for message in messages:
        assert message.task == f"{__name__}.add"
        assert message.arguments == b'{"a":1,"b":5}'
        assert message.priority == 3
        assert message.due == message.spooled == pytest.approx(time.time(), abs=60)
        assert (message.unique, message.expires, message.options) == (False, None, {})


def test_arguments_are_refused_before_anything_is_written(spooler: Spooler) -> None:
    task: Task[..., Any, Any] = spooler.task(add)
    ways: list[Callable[[], Any]] = [
        lambda: asyncio.run(task.spool("x")),
        lambda: task.spool_sync("x"),
        lambda: asyncio.run(spool(task, "x")),
        lambda: task.using(priority=1).call("x"),
    ]
    for way in ways:
        with pytest.raises(ArgumentsRefused, match=r"test_task\.add: a: Input should be a valid integer"):
            way()
    assert waiting(spooler) == []


def test_using_changes_one_call_and_not_the_task(spooler: Spooler) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    task = spooler.task(priority=3, spool="mail")(add)
    tomorrow = at + timedelta(days=1)
    using = task.using(
        at=at, priority=0, id="sum-1", expires=tomorrow, spool="./other", retries=1, backoff=0.5, harakiri=9
    )
    call = using.call(1)
    message = message_of(call)
    assert (message.due, message.priority, message.id, message.unique) == (at.timestamp(), 0, "sum-1", True)
    assert message.expires == at.timestamp() + 86_400
    assert message.options == {"retries": 1, "backoff": 0.5, "harakiri": 9}
    assert call.spool == "./other"
    plain = task.call(1)
    assert (message_of(plain).priority, message_of(plain).options, plain.spool) == (3, {}, "mail")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"at": datetime(2030, 1, 1)}, MomentRefused),
        ({"at": "tomorrow"}, MomentRefused),
        ({"expires": math.nan}, MomentRefused),
        ({"priority": "../x"}, NameRefused),
        ({"id": "a/b"}, NameRefused),
        ({"id": ".hidden"}, NameRefused),
        ({"retries": -1}, TaskRefused),
        ({"backoff": math.nan}, TaskRefused),
        ({"harakiri": 0}, TaskRefused),
        ({"spool": "nosuch"}, CallError),
    ],
)
def test_what_using_refuses(spooler: Spooler, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        spooler.task(add).using(**options).spool_sync(1)
    assert waiting(spooler) == []


def test_using_a_chosen_id_twice_is_one_message(spooler: Spooler) -> None:
    task = spooler.task(add)
    first = task.using(id="sum-1").spool_sync(1)
    second = task.using(id="sum-1").spool_sync(2)
    assert (first.id, first.duplicate, str(first)) == ("sum-1", False, "sum-1")
    assert (second.id, second.duplicate) == ("sum-1", True)
    assert [message.arguments for message in waiting(spooler)] == [b'{"a":1}']


def test_the_policy_of_a_message_is_the_tasks_with_its_own_options(spooler: Spooler) -> None:
    task = spooler.task(retries=5, backoff=2.0, harakiri=30)(add)
    assert (task.policy({}).retries, task.policy({}).backoff, task.harakiri({})) == (5, 2.0, 30.0)
    changed = {"retries": 0, "backoff": 0, "harakiri": 1.5}
    assert (task.policy(changed).retries, task.policy(changed).backoff, task.harakiri(changed)) == (0, 0.0, 1.5)


@pytest.mark.parametrize("broken", ["x", None, [], {}, "5"])
def test_options_that_somebody_broke_in_a_file_count_for_nothing(spooler: Spooler, broken: Any) -> None:
    task = spooler.task(retries=5, backoff=2.0)(add)
    options = {"retries": broken, "backoff": broken, "harakiri": broken}
    assert (task.policy(options).retries, task.policy(options).backoff) == (5, 2.0)
    assert task.harakiri(options) is None


@pytest.mark.parametrize("backoff", [math.nan, math.inf, -1, -math.inf, 10**400, True])
def test_any_number_in_a_file_gives_a_wait(spooler: Spooler, backoff: Any) -> None:
    task = spooler.task(add)
    wait = task.policy({"backoff": backoff}).wait(1, FAILED)
    assert wait is not None
    assert 0.0 <= wait <= 3600.0
    harakiri = task.harakiri({"harakiri": backoff})
    assert harakiri is None or harakiri > 0


# --- the inline executor ---------------------------------------------------------------------------------


def test_inline_runs_at_once_in_the_caller(spooler: Spooler) -> None:
    heard: list[Any] = []

    @spooler.task(executor="inline")
    def note(job: Job, text: str, body: Body | None = None) -> None:
        heard.append((job.id, text, body and body.file.read()))

    async def main() -> str:
        return (await note.spool("async", Body(b"x"))).id

    first = asyncio.run(main())
    second = note.spool_sync("sync").id
    third = note.using(id="chosen").spool_sync("using").id
    assert heard == [(first, "async", b"x"), (second, "sync", None), (third, "using", None)]
    assert third == "chosen"
    assert waiting(spooler) == []


def test_inline_runs_async_tasks_too_and_checks_their_arguments(spooler: Spooler) -> None:
    heard: list[int] = []

    @spooler.task(executor="inline")
    async def note(number: int) -> None:
        await asyncio.sleep(0)
        heard.append(number)

    async def main() -> None:
        await note.spool(1)

    asyncio.run(main())
    note.spool_sync(2)
    assert heard == [1, 2]
    with pytest.raises(ArgumentsRefused):
        note.spool_sync("x")  # type: ignore[arg-type]  # the point of it


def test_inline_raises_in_the_caller(spooler: Spooler) -> None:
    @spooler.task(executor="inline")
    def fail() -> None:
        raise ValueError("in the caller")

    with pytest.raises(ValueError, match="in the caller"):
        fail.spool_sync()


def test_a_wrapped_async_function_stays_async(spooler: Spooler) -> None:
    def logged(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    task = spooler.task(logged(add_later))
    assert task.is_async
    assert task.name == f"{__name__}.add_later"
    assert message_of(task.call(1)).arguments == b'{"a":1}'


def test_hints_that_are_no_arguments_need_not_be_there() -> None:
    """Resources and results may be known to the type checker only."""
    spooler = Spooler("memory:")
    namespace: dict[str, Any] = {"Job": Job, "spooler": spooler}
    exec("@spooler.task\ndef send(job: 'Job[Pool]', to: 'str') -> 'Receipt': ...", namespace)
    assert namespace["send"].arguments.dump(("a",), {}) == (b'{"to":"a"}', None)


def test_an_option_that_does_not_exist_is_named() -> None:
    spooler: Any = Spooler("memory:")
    with pytest.raises(TaskRefused, match=r"a task has no option timeout; there are backoff, concurrency, "):
        spooler.task(timeout=5)(print)
