"""Sets up logging as the settings say, in a worker and in the processes of its jobs. How lines look is in `forms`."""

import errno
import fcntl
import json
import logging
import logging.config
import os
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from configparser import Error as IniError
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from select import PIPE_BUF
from typing import Any

from ..errors import CallError
from ..escape import safe
from ..job import Job
from ..settings import Settings
from .forms import JsonFormatter, TextFormatter
from .job_records import belongs_to, know_jobs

STDERR = 2
LOCK_WAIT = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class LogsOfChildren:
    """Lets the log lines of a job in a process of its own look as its worker's do. It travels pickled with the job.

    Call it in the child, with the job, after the application was imported and before the job runs.
    """

    level: str
    form: str
    config: str | None = None
    width: int = 0  # of the terminal of `form` "rich"
    worker: int | None = None  # which of several

    def __call__(self, job: Job[Any]) -> None:
        """Set up logging once; what the application has set up itself stays as it is. Never fails."""
        belongs_to(job)
        _set_up_child(self)


@cache
def _set_up_child(logs: LogsOfChildren) -> None:
    try:
        _set_up(logs, _ToDescriptor(STDERR))
    except CallError as error:  # its file has changed since the worker read it
        logging.getLogger("aspool.worker").warning("%s", error)


def set_up_logs(settings: Settings, worker: int | None = None) -> LogsOfChildren:
    """Log to stderr as the settings say; an application that set up logging itself keeps what it set up.

    Call it after the application was imported. The answer is for the processes of jobs. `worker` is which of several
    this is.
    `log_format` "rich" is "text" where stderr is no terminal. Raises CallError if `log_config` cannot be used.
    """
    rich = settings.log_format == "rich"
    form = "text" if rich and not sys.stderr.isatty() else settings.log_format
    config = None if settings.log_config is None else os.path.abspath(settings.log_config)
    width = os.get_terminal_size(sys.stderr.fileno()).columns if form == "rich" else 0
    logs = LogsOfChildren(settings.log_level, form, config, width, worker)
    know_jobs()
    _set_up(logs, logging.StreamHandler(sys.stderr))
    return logs


def _set_up(logs: LogsOfChildren, handler: logging.Handler) -> None:
    if logs.config is not None:
        configure(logs.config)
        return
    level = logs.level.upper()
    logging.getLogger("aspool").setLevel(level)
    if logging.root.handlers:
        return
    if logs.form == "rich":
        handler = _rich_handler(logs)
    else:
        form = JsonFormatter(logs.worker) if logs.form == "json" else TextFormatter(worker=logs.worker)
        handler.setFormatter(form)
    logging.root.addHandler(handler)
    logging.root.setLevel(level)


def _rich_handler(logs: LogsOfChildren) -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    console = Console(stderr=True, force_terminal=True, width=logs.width or None)
    handler = RichHandler(console=console, show_path=False, markup=False, log_time_format="%X")
    handler.setFormatter(TextFormatter("%(message)s"))
    return handler


class _ToDescriptor(logging.Handler):
    """Writes each event at once, whole. In a child the descriptor leads to its worker, whatever sys.stderr is now."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; what nobody reads is lost."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
            with _alone(self._descriptor) if len(line) > PIPE_BUF else nullcontext():
                while line:
                    line = line[os.write(self._descriptor, line) :]
        except OSError:
            pass
        except Exception:  # somebody's filter or format
            self.handleError(record)


@contextmanager
def _alone(pipe: int) -> Iterator[None]:
    """Keep other children from writing into a pipe that does not take so much at once. Does not wait for ever."""
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.lockf(pipe, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process, whatever it has started
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > deadline:
                break  # there are no locks for such a thing, or somebody was stopped while it wrote
            time.sleep(0.001)
    try:
        yield
    finally:
        fcntl.lockf(pipe, fcntl.LOCK_UN)


# --- files of logging.config -----------------------------------------------------------------------------------


def configure(path: str) -> None:
    """Let logging.config do what a file says: .toml and .json for dictConfig, .ini for fileConfig.

    Loggers that are there already go on, unless the file says disable_existing_loggers. Raises CallError.
    """
    read = _READERS.get(os.path.splitext(path)[1].lower())
    if read is None:
        raise _refused(path, f"its name must end with {', '.join(_READERS)}")
    try:
        with open(path, encoding="utf-8") as file:
            use = read(file.read())
    except (OSError, ValueError, IniError) as error:  # the errors of TOML, JSON and UTF-8 are ValueErrors
        raise _refused(path, getattr(error, "strerror", None) or error) from error
    try:
        use()
    except Exception as error:  # handlers are made of any class, and fail in any way
        reason = error if error.__cause__ is None else f"{error}: {error.__cause__}"
        raise _refused(path, f"{type(error).__name__}: {reason}") from error


def _refused(path: str, reason: object) -> CallError:
    return CallError(f"the log configuration {safe(path)} cannot be used: {safe(reason)}")


def _from_dict(told: Any) -> Callable[[], None]:
    if not isinstance(told, dict):
        raise ValueError("it must be a table of handlers, formatters and loggers")
    return partial(logging.config.dictConfig, {"version": 1, "disable_existing_loggers": False, **told})


def _from_ini(text: str) -> Callable[[], None]:
    parser = ConfigParser()
    parser.read_string(text)
    if missing := [name for name in ("loggers", "handlers", "formatters") if not parser.has_section(name)]:
        raise ValueError(f"it has no section [{missing[0]}]")
    return partial(logging.config.fileConfig, parser, disable_existing_loggers=False)


_READERS: dict[str, Callable[[str], Callable[[], None]]] = {
    ".toml": lambda text: _from_dict(tomllib.loads(text)),
    ".json": lambda text: _from_dict(json.loads(text)),
    ".ini": _from_ini,
}
