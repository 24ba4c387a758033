"""Handlers of signals: how another process of the program finds one. By its name, or as a pickle of our own.

The pickles lie in the database of the program, in a directory that nobody else can write into; see shared.py.
"""

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from typing import Any

from ...task import default_name, importable, module_of

Handler = Callable[[int], Any]
LONGEST_NAME = 120  # characters of one in the name of a schedule
_NAME, _PICKLE = b"name ", b"pickle "


def name_of(handler: object) -> str:
    """What people call a handler: `module.function`.

    A method is called by the function that its object says it is for, as those of uwsgi_tasks do, if it does.
    """
    function_name = getattr(getattr(handler, "__self__", None), "function_name", None)
    if isinstance(function_name, str):
        name = function_name
    elif callable(handler) and hasattr(handler, "__qualname__") and isinstance(handler.__module__, str):
        name = default_name(handler)
    else:
        name = f"{type(handler).__module__}.{type(handler).__qualname__}"
    return name[-LONGEST_NAME:]


def written(handler: Handler) -> bytes:
    """A handler for other processes. Raises ValueError for one that they could not find."""
    if place := place_of(handler):
        return at(place)
    try:
        return _PICKLE + pickle.dumps(handler)
    except Exception as error:  # whatever its class raises
        raise ValueError(
            f"{name_of(handler)} cannot be found by another process, which is to run it: a handler that is registered "
            "while the program runs is a function at the top of a module, not a lambda or a function inside a function "
            f"({error})"
        ) from error


def place_of(handler: object) -> str:
    """Where a function is, as `module:function`, or a method of an object, `module:object.method`; "" if nowhere."""
    owner = getattr(handler, "__self__", None)
    if owner is not None:
        return _place_of_method(owner, getattr(handler, "__name__", ""))
    qualname = getattr(handler, "__qualname__", "")
    if not qualname or "<" in qualname or not callable(handler):
        return ""
    return f"{module_of(handler)}:{qualname}"


def _place_of_method(owner: object, method: str) -> str:
    """Of the object that a decorator as those of uwsgi_tasks has left in place of a function.

    A copy of it, out of a pickle, would find the object itself where it looks for the function.
    """
    name = getattr(owner, "function_name", None)
    module, _, attribute = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if getattr(sys.modules.get(module), attribute, None) is not owner:
        return ""
    return f"{module}:{attribute}.{method}"


def place_in(data: bytes) -> str:
    """Where a written handler is; "" if it is a pickle."""
    return data.removeprefix(_NAME).decode() if data.startswith(_NAME) else ""


def at(place: str) -> bytes:
    """The handler at such a place, written."""
    return _NAME + place.encode()


def read(data: bytes) -> Handler:
    """A handler that was written. Raises ImportError, AttributeError, or what its class raises."""
    if data.startswith(_PICKLE):
        found: Handler = pickle.loads(data.removeprefix(_PICKLE))  # noqa: S301 - our own; see above
        return found
    module, _, qualname = place_in(data).partition(":")
    return _of_module(module, qualname)


def _of_module(module: str, qualname: str) -> Handler:
    main = importlib.import_module("__main__")
    found: Any = main if importable("__main__", vars(main)) == module else importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    if inspect.isroutine(found):
        return found
    handler: Handler = getattr(found, "f", found)  # a decorator of uWSGI leaves an object that has the function
    return handler
