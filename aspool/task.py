"""Task: a decorated function and its options. Call it, or spool it to be called by a worker."""

import functools
import inspect
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Generic, ParamSpec, TypeVar, cast

from .arguments import Arguments, unchecked
from .body import Body
from .errors import TaskRefused
from .job import Job
from .message import Message
from .options import TaskOptions
from .results import Returns
from .retry import LONGEST_DELAY, RetryPolicy
from .spoolable import Sender, Spoolable
from .ticket import Ticket

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MAIN_MODULES = ("__main__", "__mp_main__")
HANDLER = "(handler)"  # the name of the task that stands for a Spooler's handler of raw messages


class Task(Spoolable[P, T], Generic[P, R, T]):
    """A function that can be called, or spooled to be called by a worker.

    P: its parameters, without a leading Job; R: what a direct call gives; T: what the task returns in the end.
    """

    def __init__(self, function: Callable[..., Any], name: str, options: TaskOptions, sender: Sender) -> None:
        super().__init__(name, options, sender, Returns(function, name))
        self.function = function
        if options.executor == "inline":
            self.run_inline = self._run_inline
        self.is_handler = name == HANDLER
        self.limit: float = options.concurrency or math.inf  # of its jobs at the same time
        self._policy = RetryPolicy(options.retries, options.backoff)
        self.definition = Definition.of(function)
        self.is_async = inspect.iscoroutinefunction(function)
        self.arguments = Arguments(function, name)
        self._check_function()
        functools.update_wrapper(cast("Any", self), function, updated=())  # its attributes are not the task's

    def _check_function(self) -> None:
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise TaskRefused(
                f"{self.name}: it is a generator, so nothing in it would run: a task returns, and does not yield"
            )
        if self.options.executor == "thread" and self.is_async:
            raise TaskRefused(
                f'{self.name}: an async function runs on the event loop; executor="thread" is for sync ones'
            )
        if self.options.executor == "process" and "<" in self.function.__qualname__:
            raise TaskRefused(
                f'{self.name}: executor="process" imports the task by name, so it cannot be a lambda or a function '
                "inside a function"
            )

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Simply run the function, here and now. A Job parameter gets a detached one, a Body can be read at once."""
        return cast("R", self.run_here(Job.detached(self.name), args, kwargs))

    def run_here(self, job: Job, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function with a Job if it wants one."""
        keywords = dict(kwargs)
        if self.arguments.body_name is not None:
            args = tuple(self._readable(value) for value in args)
            keywords = {key: self._readable(value) for key, value in kwargs.items()}
        if self.arguments.wants_job:
            args = (job, *args)
        return self.function(*args, **keywords)

    def _readable(self, value: Any) -> Any:
        return self.sender.readable(value) if isinstance(value, Body) else value

    def dump(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[bytes, Body | None]:
        """The arguments of one call, checked, as JSON; and its Body. Raises ArgumentsRefused."""
        return self.arguments.dump(args, kwargs)

    def _run_inline(self, message: Message, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a call here and now, in the caller."""
        return self.run_here(Job(message.id, self.name, at=message.due), args, kwargs)

    def working_dir(self, overrides: Mapping[str, Any]) -> str | None:
        """Where one message's job in a process runs; None: where the worker does."""
        path = overrides.get("working_dir", self.options.working_dir)
        return os.fspath(path) if isinstance(path, str | os.PathLike) else None

    def written_result(self, value: Any) -> bytes:
        """What it returned, as a record for tickets."""
        return self._returns.dump(value)

    def policy(self, overrides: Mapping[str, Any]) -> RetryPolicy:
        """How failures of one message are retried; `overrides` are the message's own options."""
        if not overrides:
            return self._policy
        retries, backoff = overrides.get("retries"), overrides.get("backoff")
        return RetryPolicy(
            retries if isinstance(retries, int) else self.options.retries,
            backoff if isinstance(backoff, int | float) else self.options.backoff,
        )

    def harakiri(self, overrides: Mapping[str, Any]) -> float | None:
        """After how many seconds one message's job is stopped."""
        if not overrides and self.options.harakiri is None:
            return None
        seconds = overrides.get("harakiri", self.options.harakiri)
        return float(min(seconds, LONGEST_DELAY)) if isinstance(seconds, int | float) and seconds > 0 else None


class NamedTask(Spoolable[..., Any]):
    """A task by its name alone: its function is another program's. Arguments are checked when it runs."""

    def __init__(self, name: str, sender: Sender) -> None:
        super().__init__(name, TaskOptions(), sender, Returns(None, name))
        self._executor = "process"  # it may be one: what cannot be meant is ignored when it runs

    def __repr__(self) -> str:
        return f"<NamedTask {self.name}>"

    def dump(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[bytes, Body | None]:
        """The arguments of one call as JSON, as they are; and its Body. Raises ArgumentsRefused."""
        return unchecked(args, kwargs, self.name)

    def keeps_result(self, overrides: Mapping[str, Any]) -> bool | None:
        """Whether it does is said where its function is."""
        return super().keeps_result(overrides) or None


async def spool(task: Task[P, R, T], *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
    """`await spool(send_mail, "a@b.c")`: the same as `await send_mail.spool("a@b.c")`."""
    return await task.spool(*args, **kwargs)


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """Where a function is defined, and in which execution of its module: each has other `variables` or another `spec`.

    The same one again is a reloaded module, a cell of a notebook, or a script that was imported by name as well.
    """

    module: str
    qualname: str
    file: str  # "" if it is none
    line: int
    variables: Mapping[str, Any]
    spec: object  # a reload keeps the variables, and makes another

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Definition":
        """The definition of a function, under all that is wrapped around it."""
        inner = inspect.unwrap(function)
        code, variables = getattr(inner, "__code__", None), getattr(inner, "__globals__", {})
        file, line = getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", 0)
        file = "" if file.startswith("<") else file
        qualname = getattr(function, "__qualname__", type(function).__qualname__)
        return cls(module_of(function), qualname, file, line, variables, variables.get("__spec__"))

    def is_of(self, other: "Definition") -> bool:
        """Whether both are of one name in one module."""
        return (self.module, self.qualname) == (other.module, other.qualname)

    def is_overwritten_at(self, other: "Definition") -> tuple[int, int] | None:
        """The lines of two functions, the second of which takes the place of the first as one execution goes on."""
        goes_on = self.variables is other.variables and self.spec is other.spec
        is_other = self.file == other.file != "" and self.line != other.line
        return (self.line, other.line) if goes_on and is_other else None


def module_of(function: Callable[..., Any]) -> str:
    """The module that another process can import to find the function, also when this one runs it as a script."""
    return importable(function.__module__, getattr(inspect.unwrap(function), "__globals__", None))


def importable(module: str, variables: Mapping[str, Any] | None = None) -> str:
    """The name under which another process can import a module, whose globals are `variables`."""
    if module not in MAIN_MODULES:
        return module
    main = variables or vars(sys.modules.get("__main__") or sys.modules["__mp_main__"])
    spec = main.get("__spec__")
    if spec is not None:
        return str(spec.name)
    return PurePath(main.get("__file__") or "__main__").stem


def default_name(function: Callable[..., Any]) -> str:
    """`module.qualname`."""
    return f"{module_of(function)}.{function.__qualname__}"
