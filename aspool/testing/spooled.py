"""Messages as a test looks at them: the task and its arguments as its function gets them, and what was asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from ..errors import ArgumentsUnfit
from ..message import Message
from ..outcomes import Buried
from ..raw import text_variables
from ..task import Task
from .clock import not_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """One message. `spool` is the name of its spool, or its address; `task` is the name, None for a raw message.

    `args` and `kwargs` are what the function gets, without Job and Body: by position only what has no name.
    `at` is when it is due, and `spooled_at` when it was spooled, in UTC; `attempt` counts the runs that it had;
    `options` are the task's options that this call has otherwise.
    """

    id: str
    spool: str
    task: str | None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    at: datetime
    spooled_at: datetime
    priority: int | None = None
    expires: datetime | None = None
    attempt: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    buffer: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""
    variables: Mapping[str, str] = field(default_factory=dict)  # of a raw message

    def __str__(self) -> str:
        if self.task is None:
            return f"a raw message {dict(self.variables)!r}"
        return call_text(self.task, self.args, self.kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead(Spooled):
    """A message that failed for good, and why; `log` has the last lines of its job."""

    reason: str
    traceback: str = ""
    log: tuple[str, ...] = ()


def call_text(task: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """A call as a person writes it."""
    parts = [_short(value) for value in args] + [f"{name}={_short(value)}" for name, value in kwargs.items()]
    return f"{task}({', '.join(parts)})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def spooled(message: Message, task: Task[..., Any, Any] | None, spool: str) -> Spooled:
    """A message, read with the help of its task if that is known here."""
    args, kwargs = arguments(message, task)
    return Spooled(
        id=message.id,
        spool=spool,
        task=message.task,
        args=args,
        kwargs=kwargs,
        at=datetime.fromtimestamp(not_before(message.due), UTC),
        spooled_at=datetime.fromtimestamp(message.spooled, UTC),
        priority=message.priority,
        expires=None if message.expires is None else datetime.fromtimestamp(message.expires, UTC),
        attempt=message.attempt,
        options=dict(message.options),
        buffer=dict(message.buffer),
        body=body_of(message),
        variables=text_variables(message.raw),
    )


def dead(message: Message, buried: Buried, task: Task[..., Any, Any] | None, spool: str) -> Dead:
    """The same of a message that was buried."""
    seen = spooled(message, task, spool)
    known: dict[str, Any] = {each.name: getattr(seen, each.name) for each in fields(seen)}
    known["attempt"] = buried.attempt
    return Dead(**known, reason=buried.reason, traceback=buried.traceback, log=buried.log)


def arguments(message: Message, task: Task[..., Any, Any] | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the function gets; as JSON has it where the function is not known, or no longer takes it."""
    if message.task is None:
        return (), {}
    if task is not None:
        try:
            return task.arguments.load(message.arguments)
        except ArgumentsUnfit:
            pass  # it will be buried for that: here it is shown
    values = json.loads(message.arguments or b"{}")
    return tuple(values.pop("", ())), values


def body_of(message: Message) -> bytes:
    """The whole body of a message in a spool."""
    if message.body is None:
        return b""
    with message.body.reader.open() as file:
        return file.read()
