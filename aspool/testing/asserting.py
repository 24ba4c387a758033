"""`assert_spooled(task, …)`: was this call spooled, and if not, what was?"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ParamSpec, overload

from ..body import Body
from ..errors import ArgumentsRefused
from ..message import Message
from ..moments import Moment, timestamp
from ..options import PLAIN_CALL, CallOptions
from ..spoolable import Spoolable, Using
from ..spooler import DEFAULT, Spooler
from ..spools.readers import readable
from ..task import Task
from .spooled import Spooled, arguments, body_of, call_text
from .under_test import SpoolUnderTest, StandIn, under_test

P = ParamSpec("P")

LISTED = 20  # messages that a failure shows, of each kind
NEAR = 1.0  # seconds: how exactly a timedelta from now is compared


@overload
def assert_spooled(task: Spoolable[..., Any] | Using[..., Any], /) -> list[Spooled]: ...
@overload
def assert_spooled(task: Spoolable[P, Any] | Using[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> list[Spooled]: ...


def assert_spooled(task: Any, /, *args: Any, **kwargs: Any) -> list[Spooled]:
    """Assert that a call was spooled since the block of `use` began, whether it has run or not; return all such.

    With no argument at all, any call of the task. Otherwise all arguments must be equal, those that are left out have
    their defaults; `unittest.mock.ANY` is equal to all. `task.using(…)` asks for these options too, and for no others.
    Raises AssertionError, which shows what was spooled instead; CallError if the Spooler is not under test;
    ArgumentsRefused for arguments that the task does not take.
    """
    __tracebackhide__ = True
    sought = _Sought(task, args, kwargs)
    found = sought.found()
    if not found:
        raise AssertionError(sought.instead())
    return found


@overload
def assert_not_spooled(task: Spoolable[..., Any] | Using[..., Any], /) -> None: ...
@overload
def assert_not_spooled(task: Spoolable[P, Any] | Using[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...


def assert_not_spooled(task: Any, /, *args: Any, **kwargs: Any) -> None:
    """Assert that no such call was spooled: the opposite of `assert_spooled`. Raises as that does."""
    __tracebackhide__ = True
    sought = _Sought(task, args, kwargs)
    found = sought.found()
    if found:
        lines = _section(f"{sought.task.name} was spooled:", [f"    + {_line(each)}" for each in found])
        raise AssertionError("\n".join(lines))


def assert_nothing_spooled(spooler: Spooler[Any]) -> None:
    """Assert that nothing was spooled since the block of `use` began. Raises AssertionError, which shows what was."""
    __tracebackhide__ = True
    found = under_test(spooler.spool_of(None)).spooled
    if found:
        lines = _section(f"{len(found)} messages were spooled:", [f"    + {_line(each)}" for each in found])
        raise AssertionError("\n".join(lines))


class _Sought:
    """One call that a test looks for."""

    def __init__(
        self, task: Spoolable[..., Any] | Using[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self.task: Spoolable[..., Any] = task.task if isinstance(task, Using) else task
        self._options: CallOptions = task.options if isinstance(task, Using) else PLAIN_CALL
        self._under_test: SpoolUnderTest = under_test(self.task.sender.spool_of(self.task.options.spool))
        self._any = not args and not kwargs
        self._args, self._kwargs = args, kwargs
        self._function = self.task if isinstance(self.task, Task) else None
        if not self._any:
            self._check()
            self._body = next((_content(each) for each in [*args, *kwargs.values()] if isinstance(each, Body)), None)
            self._forms = [self._named(args, kwargs), *self._as_read_back()]

    def _check(self) -> None:
        try:
            if self._function is not None:
                self._function.arguments.signature.bind(*self._args, **self._kwargs)
        except TypeError as error:
            raise ArgumentsRefused(
                f"{self.task.name}: {error}; give all arguments (unittest.mock.ANY for what does not matter), or none"
            ) from None

    def _as_read_back(self) -> list[dict[str, Any]]:
        """The arguments as a worker would get them: a tuple is a list by then. None with a matcher among them."""
        try:
            written, _ = self.task.dump(self._args, self._kwargs)
        except ArgumentsRefused:
            return []
        return [self._named(*arguments(Message(id="", task=self.task.name, arguments=written), self._function))]

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, with defaults, without the Body."""
        if self._function is None:
            plain = [value for value in args if not isinstance(value, Body)]
            return {"": plain, **{name: value for name, value in kwargs.items() if not isinstance(value, Body)}}
        bound = self._function.arguments.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        return {name: value for name, value in bound.arguments.items() if name != self._function.arguments.body_name}

    # --- finding ---------------------------------------------------------------------------------------------

    def found(self) -> list[Spooled]:
        """The calls that are like it."""
        return [self._seen(*put) for put in self._of_task() if not self._differences(*put)]

    def _of_task(self) -> list[tuple[StandIn, Message]]:
        return [put for put in self._under_test.puts if put[1].task == self.task.name]

    def _seen(self, stand_in: StandIn, message: Message) -> Spooled:
        return self._under_test.seen(stand_in, message)

    def _differences(self, stand_in: StandIn, message: Message) -> list[str]:
        """The names of the arguments and options in which a message is another than the one that is looked for."""
        different = [] if self._any else self._different_arguments(message)
        options = self._options
        if options.at is not None and not _is_moment(message.due, options.at, message.spooled):
            different.append("at")
        if options.expires is not None and not _is_moment(message.expires, options.expires, message.spooled):
            different.append("expires")
        for name in ("priority", "id"):
            if getattr(options, name) not in (None, getattr(message, name)):
                different.append(name)
        if options.buffer and json.dumps(options.buffer) != json.dumps(message.buffer):
            different.append("buffer")
        if options.spool is not None and self.task.sender.spool_of(options.spool) is not stand_in:
            different.append("spool")
        return different + [key for key, value in options.per_message.items() if message.options.get(key) != value]

    def _different_arguments(self, message: Message) -> list[str]:
        given = self._named(*arguments(message, self._function))
        different = min((_different(form, given) for form in self._forms), key=len)
        if self._body is not None and self._body != body_of(message):
            different.append("body" if self._function is None else str(self._function.arguments.body_name))
        return different

    # --- telling ---------------------------------------------------------------------------------------------

    def instead(self) -> str:
        """What was spooled instead, as a person can compare it."""
        how = "" if self._any and not self._facts() else " like this"
        puts = self._under_test.puts
        others = [f"      {_line(self._seen(*put))}" for put in puts if put[1].task != self.task.name]
        lines = [f"{self.task.name} was not spooled{how}:", f"    - {self._text()}"]
        lines += _section("It was spooled like this; what follows the arrow is different:", self._almost())
        lines += _section("Other messages that were spooled:", others)
        if not puts:
            lines.append("Nothing was spooled.")
        if self.task.options.executor == "inline":
            lines.append('With executor="inline" it runs at once in its caller, and is never spooled.')
        return "\n".join(lines)

    def _almost(self) -> list[str]:
        return [f"    + {_line(self._seen(*put))}  <- {', '.join(self._differences(*put))}" for put in self._of_task()]

    def _text(self) -> str:
        if self._any:
            call = f"{self.task.name}(…)"
        elif self._function is None:
            call = call_text(self.task.name, self._args, self._kwargs)
        else:
            bound = self._function.arguments.signature.bind(*self._args, **self._kwargs)
            call = call_text(self.task.name, (), bound.arguments)
        return call + self._facts()

    def _facts(self) -> str:
        options = self._options
        plain = {"at": options.at, "priority": options.priority, "id": options.id, "expires": options.expires,
                 "spool": options.spool, "buffer": options.buffer or None}  # fmt: skip
        return _facts({**plain, **options.per_message})


def _different(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    missing = object()
    names = dict.fromkeys([*wanted, *given])
    return [name for name in names if wanted.get(name, missing) != given.get(name, missing)]


def _content(body: Body) -> bytes:
    with readable(body).reader.open() as file:
        return file.read()


def _is_moment(given: float | None, wanted: Moment, spooled: float) -> bool:
    if given is None:
        return False
    if isinstance(wanted, timedelta):  # from when it was spooled
        return abs(given - spooled - wanted.total_seconds()) <= NEAR
    return abs(given - timestamp(wanted)) < 0.001


def _line(seen: Spooled) -> str:
    """A message in one line, with what is unusual of it."""
    wait = timedelta(seconds=round((seen.at - seen.spooled_at).total_seconds(), 2))
    spool = None if seen.spool == DEFAULT else seen.spool
    buffer = dict(seen.buffer) or None
    facts = {"at": wait if wait > timedelta(0) else None, "priority": seen.priority, "spool": spool, "buffer": buffer}
    return str(seen) + _facts({**facts, **seen.options})


def _facts(facts: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in facts.items() if value is not None)
    return f"  using({text})" if text else ""


def _section(title: str, lines: list[str]) -> list[str]:
    """Lines under a title; none without lines."""
    if not lines:
        return []
    more = [f"      … and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [title, *lines[:LISTED], *more]
