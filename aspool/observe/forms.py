"""How a log line looks: text for people, JSON for programs. Nothing that was logged breaks a line or moves a cursor."""

import copy
import json
import logging
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..escape import safe
from .job_records import Names, names_of

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
WORKER = "aspool.worker"  # its logger
INDENT = "    "  # of what follows the first line of an event: whatever begins further left is an event of its own
DEEPEST = 8  # levels of an extra value in JSON
_NUMBERS = 2**63
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", *Names._fields}
_JOB_LOG = {"aspool_id", "aspool_task", "aspool_attempt"}


class TextFormatter(logging.Formatter):
    """One event per line, for people; its further lines (a traceback, say) are indented.

    Lines of user code begin with the task, the id and the attempt of the job that wrote them; those of a worker say
    which of several it is.
    """

    def __init__(self, fmt: str = TEXT, worker: int | None = None) -> None:
        super().__init__(fmt)
        self._worker = worker
        self._marks = "(task_id)" not in fmt

    def format(self, record: logging.LogRecord) -> str:
        """The event as text. Never fails."""
        text, names = _message(record), names_of(record)
        if self._marks and names.task_id and not _is_ours(record.name):
            text = f"{_mark(names)}{text}"
        parts = (text, _traceback(self, record), record.stack_info)
        shown = copy.copy(record)  # other handlers have forms of their own
        shown.name, shown.msg, shown.args = self._name(record), _indented("\n".join(filter(None, parts))), None
        shown.exc_info = shown.exc_text = shown.stack_info = None
        return super().format(shown)


    def _name(self, record: logging.LogRecord) -> str:
        name = safe(record.name)
        return name if self._worker is None or name != WORKER else f"{name} {self._worker}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line, pure ASCII: time, level, logger, message, pid; worker, under a supervisor; task,
    task_id and attempt within a job; exception and stack; and what was given as `extra`. An extra called like one of
    these gets "extra_" before it.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The event as JSON. Never fails."""
        names = names_of(record)
        message = _message(record)
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message.removeprefix(_mark(names)) if "aspool_id" in record.__dict__ else message,
            "pid": record.process,
        }
        if self._worker is not None:
            told["worker"] = self._worker
        if names.task_id:
            told |= {"task": names.task, "task_id": names.task_id, "attempt": names.attempt}
        if exception := _traceback(self, record):
            told["exception"] = exception
        if record.stack_info:
            told["stack"] = record.stack_info
        for key, value in _extras(record, names):
            told[f"extra_{key}" if key in told else key] = value
        return json.dumps({plain(key): _plain_or_said(value) for key, value in told.items()})


def _is_ours(logger: str) -> bool:
    """Whether the lines of a logger name the message by themselves."""
    return logger == "aspool" or logger.startswith("aspool.")


def _mark(names: Names) -> str:
    return f"[{names.task} {names.task_id} #{names.attempt}] "  # as job.log has it


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # arguments that do not fit, somebody's __str__
        where = f"{record.pathname}:{record.lineno}"
        return f"{_said(record.msg)} (not formatted, in {where}: {type(error).__name__}: {_said(error)})"


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception:  # somebody's __str__, or a number of very many digits
        return f"<{type(value).__name__}>"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        try:
            return formatter.formatException(record.exc_info)
        except Exception as error:  # somebody's __str__
            return f"{record.exc_info[0]} (its traceback cannot be shown: {type(error).__name__})"
    return record.exc_text or ""


def _indented(text: str) -> str:
    first, *rest = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    more = "" if all(line.startswith(INDENT) for line in rest) else INDENT
    return "\n".join([safe(first), *(f"{more}{safe(line)}".rstrip() for line in rest)])


def _extras(record: logging.LogRecord, names: Names) -> Iterable[tuple[str, Any]]:
    """What the code gave beside the message; a task of its own that is not the job's, too."""
    for key, value in record.__dict__.items():
        is_own = key in Names._fields and value != getattr(names, key)
        if is_own or (key not in _STANDARD and key not in _JOB_LOG):
            yield key, value


def _plain_or_said(value: Any) -> Any:
    try:
        return plain(value)
    except Exception:  # a container of its own kind
        return plain(_said(value))


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON can have it: what has no form there is text, and what is very deep is cut."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value).encode(errors="backslashreplace").decode()  # lone surrogates are no text to most readers
    if isinstance(value, int) and -_NUMBERS <= value < _NUMBERS:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < DEEPEST and isinstance(value, Mapping):
        return {plain(_said(key)): plain(each, depth + 1) for key, each in value.items()}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth + 1) for each in value]
    return plain(_said(value)[:10_000])
