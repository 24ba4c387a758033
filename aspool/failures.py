"""A failure, written down: it travels between processes and into files, and becomes an exception again. No pickles."""

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import TaskFailed
from .outcomes import Bury, Retry, SpoolReturn

_PACKAGE = __file__.rpartition("/")[0] + "/"
_PLAIN = (str, int, float, bool, type(None))
LONGEST_TRACEBACK = 20_000  # characters, of a reason too
LONGEST_VALUES = 100_000  # characters in an exception that is made again
_WIDEST = 10_000  # bits of a number in it


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one call failed. `error` is the exception as `written` has it."""

    reason: str
    traceback: str = ""
    retriable: bool = True
    delay: float | None = None  # asked for by Retry, in seconds
    count: int | None = None  # asked for by Retry
    crashed: bool = False  # the process that ran it died
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What one call returned, where somebody wants to have it: `written` as JSON, if a result is kept."""

    value: Any = None
    written: bytes | None = None


Result = SpoolReturn | Failure | Returned  # of one call of the function


def failure_of(error: BaseException, retry_on: tuple[type[BaseException], ...] | None) -> Failure:
    """What an exception means; `retry_on` are the classes that are worth a retry (None: all)."""
    if isinstance(error, Retry):
        return Failure(
            _reason(error), _traceback(error.__cause__), delay=error.delay, count=error.count, error=written(error)
        )
    if isinstance(error, Bury):
        return Failure(_reason(error), _traceback(error.__cause__), retriable=False, error=written(error))
    may_retry = retry_on is None or isinstance(error, retry_on)
    return Failure(_one_line(error), _traceback(error), retriable=may_retry, error=written(error))


def _reason(error: Retry | Bury) -> str:
    return _text(error)[:LONGEST_TRACEBACK] or type(error).__name__


def _one_line(error: BaseException) -> str:
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines() or [type(error).__name__]
    return lines[-1 if isinstance(error, SyntaxError) else 0][:500]  # a SyntaxError begins with its file


def _traceback(error: BaseException | None) -> str:
    """The traceback, from the first frame that is not aspool's own; "" without an error."""
    if error is None:
        return ""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    error = error.with_traceback(frames)
    return "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]


# --- exceptions, there and back --------------------------------------------------------------------------------


def written(error: BaseException) -> dict[str, Any] | None:
    """An exception as JSON can have it; None when something in it is no plain value, or it is very large."""
    kind = type(error)
    attributes = {key: value for key, value in vars(error).items() if key != "__notes__"}
    text = _text(error)
    if not _is_plain([text, *error.args, *attributes, *attributes.values()]):
        return None
    return {
        "module": kind.__module__,
        "class": kind.__qualname__,
        "args": list(error.args),
        "attributes": attributes,
        "text": text,
    }


def _is_plain(values: list[Any]) -> bool:
    return (
        all(isinstance(value, _PLAIN) and type(value) in _PLAIN for value in values)
        and sum(len(value) for value in values if type(value) is str) <= LONGEST_VALUES
        and all(value.bit_length() <= _WIDEST for value in values if type(value) is int)
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # somebody's __str__
        return ""


def raised_again(error: Mapping[str, Any] | None, reason: str, remote_traceback: str) -> Exception:
    """The exception to raise for a stored failure: the task's own, or TaskFailed; the traceback is a note on it."""
    exception = _made_again(error) if error is not None else None
    if exception is None:
        exception = TaskFailed(reason)
    if remote_traceback:
        exception.add_note(f"The traceback of the task:\n{remote_traceback.rstrip()}")
    return exception


def _made_again(error: Mapping[str, Any]) -> Exception | None:
    """An exception of a class that this process has loaded already; nothing is imported, and no __init__ runs."""
    try:
        kind: Any = sys.modules[error["module"]]
        for part in error["class"].split("."):
            kind = getattr(kind, part)
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, StopIteration):
            return None  # a StopIteration cannot leave a coroutine
        if not _is_plain([*error["args"], *error["attributes"].values()]) or "__notes__" in error["attributes"]:
            return None
        exception = kind.__new__(kind, *error["args"])
        vars(exception).update(error["attributes"])
        return exception if _text(exception) == error["text"] else None
    except Exception:  # another version of the class, or a forged record
        return None
