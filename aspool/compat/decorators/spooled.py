"""Of `uwsgidecorators`: functions that are spooled when they are called, and the handler that calls them."""

import inspect
import logging
import os.path
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...escape import safe
from ...outcomes import SPOOL_IGNORE, Bury
from ...task import default_name
from ..program import Program
from ..tasks.current import current
from ..tasks.pickles import checks_pickles, may_unpickle

_SPOOLED = ("message_dict", "spooler", "priority", "at", "body")  # keywords that are for the spooler
_PICKLED = ("args", "kwargs")

_NOBODYS = (
    "nobody knows whose they are, as no message runs in this thread: let contextvars.copy_context().run(…) call "
    "uwsgi.spooler there"
)
_MOST_NAMES = 100  # that are unknown, and were told

logger = logging.getLogger("aspool.uwsgi")


class Spooled:
    """A function that is spooled when it is called: what @spool leaves. `f` is the function itself."""

    def __init__(self, decorators: "SpoolDecorators", f: Callable[..., Any], said: int | None, how: str) -> None:
        self.f = f
        self.pass_arguments = how == "arguments"
        self.base_dict = {"ud_spool_func": f.__name__}
        if said is not None:
            self.base_dict["ud_spool_ret"] = str(said)
        self._decorators = decorators
        self._name = default_name(f)
        decorators.know(f)
        f.spool = self.__call__  # type: ignore[attr-defined]  # as uWSGI before 1.9.13 had it

    def __call__(self, *args: Any, **kwargs: Any) -> bytes:
        """Spool a call: the path of its file. Raises ValueError."""
        arguments: dict[Any, Any] = dict(self.base_dict)
        if self.pass_arguments:
            arguments |= {key: kwargs.pop(key) for key in _SPOOLED if key in kwargs}
            arguments |= {"args": pickle.dumps(args), "kwargs": pickle.dumps(kwargs)}
        else:
            arguments |= dict(args[0]) if args else {}
            arguments |= kwargs
        path: bytes = self._decorators.spool_now(arguments)
        return path

    def spool(self, *args: Any, **kwargs: Any) -> bytes:
        """The same."""
        return self(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self._name}, which is spooled>"


class SpoolDecorators:
    """`spool`, `spoolraw`, `spoolforever`, and `manage_spool_request`, which is `uwsgi.spooler`."""

    def __init__(self, program: Program) -> None:
        before = getattr(program.hook("spooler"), "__self__", None)  # of a Program that this one follows
        self.spooler_functions: dict[str, Callable[..., Any]] = (
            before.spooler_functions if isinstance(before, SpoolDecorators) else {}
        )
        self._told: set[str] = set()
        self._program = program

    # --- spooling ------------------------------------------------------------------------------------------------

    def spool(self, f: Any = None, pass_arguments: bool = False) -> Any:
        """Whatever the function returns, it is done; what it raises is retried."""
        return self._decorated(f, pass_arguments, self._program.module.SPOOL_OK)

    def spoolforever(self, f: Any = None, pass_arguments: bool = False) -> Any:
        """It runs again and again, whatever it returns."""
        return self._decorated(f, pass_arguments, self._program.module.SPOOL_RETRY)

    def spoolraw(self, f: Any = None, pass_arguments: bool = False) -> Any:
        """What it returns says what becomes of it."""
        return self._decorated(f, pass_arguments, None)

    def _decorated(self, f: Any, pass_arguments: bool, said: int | None) -> Any:
        if f is None:
            return partial(self._decorated, pass_arguments=pass_arguments, said=said)
        return Spooled(self, f, said, "arguments" if pass_arguments else "dict")

    def know(self, f: Callable[..., Any]) -> None:
        """Run what is spooled under the name of a function. Raises ValueError for another one's name, unless strict.

        The same function, of a module that is imported again or by its file too, takes the place of the one before.
        """
        known = self.spooler_functions.get(f.__name__)
        if known is not None and not _is_same(known, f) and not self._program.strict:
            raise ValueError(
                f"two functions would be spooled as {f.__name__!r}, {default_name(known)} and {default_name(f)}: a "
                "message does not say which; call one of them differently"
            )
        self.spooler_functions[f.__name__] = f

    def spool_now(self, arguments: Mapping[Any, Any]) -> bytes:
        """`uwsgi.spool`, which a program may have replaced."""
        path: bytes = self._program.module.spool(encoded(arguments))
        return path

    # --- running -------------------------------------------------------------------------------------------------

    @checks_pickles
    def manage_spool_request(self, vars: Mapping[Any, bytes]) -> Any:
        """Call the function that a message names, as `uwsgi.spooler`. Raises what it raises, and Bury for a stranger's
        pickle."""
        arguments = {_text(key): value for key, value in vars.items()}
        name = _text(arguments.get("ud_spool_func", ""))
        if self._program.strict and name not in self.spooler_functions:
            raise KeyError(name)
        function = self.spooler_functions.get(str(name))
        if function is None:
            self._tell_unknown(str(name))
            return SPOOL_IGNORE.value
        if "args" in arguments:
            args, kwargs = self._unpickled(arguments)
            returned = function(*args, **kwargs)
        else:
            returned = function({key: self._decoded(value) for key, value in arguments.items()})
        if "ud_spool_ret" in arguments:
            return int(arguments["ud_spool_ret"])
        return int(returned) if self._program.strict else returned

    def _tell_unknown(self, name: str) -> None:
        """Once: the worker tells of each message that it puts off."""
        if name not in self._told and len(self._told) < _MOST_NAMES:
            self._told.add(name)
            logger.warning("no function here is spooled as %s: its messages are left for another worker", safe(name))

    def _unpickled(self, arguments: Mapping[str, bytes]) -> tuple[Any, ...]:
        message = current()
        reason = _NOBODYS if message is None else may_unpickle(message.job, message.body, self._program)
        if reason is not None:
            raise Bury(f"its arguments were not unpickled: {reason}")
        return tuple(pickle.loads(arguments[key]) for key in _PICKLED)  # noqa: S301 - of our own user; see pickles.py

    def _decoded(self, value: bytes) -> str | bytes:
        """As text; what is none stays bytes, which uWSGI's decorators fail at for ever."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            if self._program.strict:
                raise
            return value


def _is_same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions have one name, or are written at one place."""
    if default_name(one) == default_name(other):
        return True
    codes = [getattr(inspect.unwrap(function), "__code__", None) for function in (one, other)]
    places = [(os.path.realpath(code.co_filename), code.co_firstlineno, code.co_qualname) for code in codes if code]
    return len(places) == 2 and places[0] == places[1]


def encoded(variables: Mapping[Any, Any]) -> dict[Any, Any]:
    """As they are spooled: text as bytes."""
    return {_bytes(key): _bytes(value) for key, value in variables.items()}


def decoded(variables: Mapping[Any, Any]) -> dict[Any, Any]:
    """The other way. Raises UnicodeDecodeError."""
    return {_decoded(key): _decoded(value) for key, value in variables.items()}


def _decoded(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _text(key: str | bytes) -> str:
    return key.decode(errors="surrogateescape") if isinstance(key, bytes) else key
