"""APP, as `module:attribute` -> the Spooler of an application. Importing somebody's module is all that happens here."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .errors import ApplicationUnusable
from .spooler import Spooler

DEFAULT_ATTRIBUTE = "spooler"


def load_spooler(app: str) -> Spooler:
    """Import an application, the current directory included. Raises ApplicationUnusable with the import's traceback."""
    name, _, attribute = app.partition(":")
    _check_name(app, name)
    module = imported(name)
    return _spooler_in(module, attribute or DEFAULT_ATTRIBUTE)


def _check_name(app: str, name: str) -> None:
    if name.endswith(".py") or "/" in name:
        module = name.removesuffix(".py").strip("./").replace("/", ".")
        raise ApplicationUnusable(f"{app} is a path, APP is module:attribute: try {module}:{DEFAULT_ATTRIBUTE}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ApplicationUnusable(f"{app!r} names no module: APP is module:attribute, as app:{DEFAULT_ATTRIBUTE}")


def imported(name: str, load: Callable[[str], ModuleType] = importlib.import_module) -> ModuleType:
    """Import a module, from the current directory too. Raises ApplicationUnusable with the import's traceback."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return load(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ApplicationUnusable(
                f"there is no module {error.name} in {os.getcwd()} or among the installed ones"
            ) from None
        raise _unimportable(name, error) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a module that is imported does not end the program
        raise _unimportable(name, error) from None


def _unimportable(name: str, error: BaseException) -> ApplicationUnusable:
    what = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
    return ApplicationUnusable(
        f"the module {name} {what} when it was imported (the traceback is above)", _traceback(error)
    )


def _traceback(error: BaseException) -> str:
    """From the application's first line on: how it came to be imported is no news."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [at for at, frame in enumerate(frames) if frame.filename == __file__ or "importlib" in frame.filename]
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(frames[_head(ours) :])
    return "".join(told.format())


def _head(ours: list[int]) -> int:
    """How many of the first frames are not the application's."""
    count = 0
    while count < len(ours) and ours[count] == count:
        count += 1
    return count


def _spooler_in(module: ModuleType, attribute: str) -> Spooler:
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Spooler):
        return found
    what = (
        f"has no attribute {attribute!r} ({getattr(module, '__file__', None) or 'it is a directory'})"
        if found is None
        else f"has {attribute}, but that is no Spooler: {type(found).__name__}"
    )
    others = [name for name, value in vars(module).items() if isinstance(value, Spooler)]
    hint = "; it has " + ", ".join(f"{module.__name__}:{name}" for name in others) if others else ""
    raise ApplicationUnusable(f"the module {module.__name__} {what}{hint}")
