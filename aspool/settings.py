"""Every option once: name, default, unit, help, and uWSGI's names for it. Values only; the command line reads them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Self, get_args

from .errors import CallError

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "rich", "json")
_ADDRESS = re.compile(r"unix:.+|(\[[^\]]+\]|[^:]*):\d{1,5}", re.ASCII | re.DOTALL)
_SUPERVISED = ("cheap", "reload", "touch_reload", "health", "pidfile")  # what only a supervisor does


def _option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    uwsgi: tuple[str, ...] = (),
    flag: str = "",
    choices: tuple[str, ...] = (),
    metavar: str = "",
) -> Any:
    """`flag` is the name on the command line, where it is not the field's: the singular of what may be repeated.

    `metavar` is what stands for a value there.
    """
    metadata = {"help": help, "unit": unit, "uwsgi": uwsgi, "flag": flag, "choices": choices, "metavar": metavar}
    return field(default=default, metadata=metadata)


# --- what values may be ----------------------------------------------------------------------------------------

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number of seconds",
    str: "a text",
    tuple: "a list of texts",
}


def kind(option: "Field[Any]") -> type:
    """What its values are: bool, int, float (seconds), str or tuple (of str)."""
    plain = [one for one in get_args(option.type) if one not in (type(None), ...)]
    if isinstance(option.default, tuple):
        return tuple
    return plain[0] if plain else option.type  # type: ignore[return-value]  # hints are types here, not texts


def may_be_none(option: "Field[Any]") -> bool:
    """Whether None is a value of it."""
    return option.default is None


def misfit(option: "Field[Any]", value: Any) -> str | None:
    """What is wanted, if a value is of another type; ranges are not looked at."""
    wanted = kind(option)
    if value is None and may_be_none(option):
        return None
    if wanted is tuple:
        fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    elif wanted is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    return None if fits else _WORDS[wanted]


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a sentence about a name that nobody knows: the one that is most like it, or nothing."""
    found = get_close_matches(name, known, 1, 0.75)
    return f"; did you mean {found[0]}?" if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How one worker runs. Durations are float seconds."""

    concurrency: int = _option(100, "jobs at the same time, in one process", unit="jobs")
    threads: int = _option(40, "of them, sync functions in threads", unit="threads")
    job_processes: int = _option(0, "of them, jobs in processes of their own (0: as many as cores)", unit="processes")
    frequency: float = _option(
        30.0, "look at the spool at least this often", unit="seconds", uwsgi=("spooler-frequency", "spooler-freq")
    )
    harakiri: float | None = _option(None, "stop a job after this long", unit="seconds", uwsgi=("spooler-harakiri",))
    harakiri_grace: float = _option(
        5.0, "how long a stopped job may take to end; then its process is ended", unit="seconds"
    )
    grace: float = _option(25.0, "how long running jobs may go on when the worker stops", unit="seconds")
    max_tasks: int | None = _option(
        None, "replace a worker after this many runs", unit="runs", uwsgi=("spooler-max-tasks",)
    )
    max_rss: int | None = _option(None, "replace a worker whose process takes more memory than this, in MB", unit="MB")
    max_age: float | None = _option(None, "replace a worker after this long, give or take a tenth", unit="seconds")
    signal_as_task: bool = _option(
        True, "count the runs of schedules and signals for max_tasks", uwsgi=("spooler-signal-as-task",)
    )
    schedules: bool = _option(True, "fire timers, crons, file monitors and signals")
    max_crashes: int = _option(3, "bury a message after this many dead workers", unit="crashes")
    burst: bool = _option(False, "run what is due, then leave")
    quiet: bool = _option(False, "no log line for a job that is done", uwsgi=("spooler-quiet",))

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if wanted := misfit(option, value):
                raise CallError(f"{option.name} must be {wanted}, not {value!r}")
            if isinstance(value, list):
                object.__setattr__(self, option.name, tuple(value))
        for name in ("concurrency", "threads", "max_crashes", "max_tasks", "max_rss"):
            self._check(name, "at least 1", lambda value: value >= 1)
        for name in ("frequency", "harakiri", "max_age"):
            self._check(name, "more than 0 seconds", lambda value: 0 < value < math.inf)
        for name in ("job_processes", "grace", "harakiri_grace"):
            self._check(name, "0 or more", lambda value: value >= 0)

    def _check(self, name: str, wanted: str, fits: Callable[[Any], object]) -> None:
        value = getattr(self, name)
        if value is not None and not fits(value):
            raise CallError(f"{name} must be {wanted}, not {value}")

    def changed(self, **options: Any) -> Self:
        """These settings with some options replaced; None leaves an option as it is.

        Raises CallError for an option that does not exist.
        """
        known = {option.name for option in fields(self)}
        if unknown := options.keys() - known:
            raise CallError(
                f"no such worker option: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        return replace(self, **{name: value for name, value in options.items() if value is not None})

    def as_record(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON has it."""
        values = {option.name: (getattr(self, option.name), option.default) for option in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in values.items()
            if value != default
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The settings of a record. Raises CallError for what is no option, and for values that do not fit."""
        known = [option.name for option in fields(cls)]
        for name in record:
            if name not in known:
                raise CallError(f"there is no option {name}{did_you_mean(name, known)}")
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(WorkerSettings):
    """How `aspool worker` runs: each of its workers, how many there are, where they work and what they tell."""

    spools: tuple[str, ...] = _option(
        (),
        "work on this spool instead of the application's own: ADDRESS or NAME=ADDRESS; the first is the default one",
        uwsgi=("spooler",),
        flag="spool",
        metavar="ADDRESS",
    )
    external: tuple[str, ...] = _option(
        (), "a spool that is only written to: ADDRESS or NAME=ADDRESS", uwsgi=("spooler-external",), metavar="ADDRESS"
    )
    ordered: bool = _option(False, "run one message after another in each of these spools", uwsgi=("spooler-ordered",))
    base_dir: str | None = _option(None, "these spools are below this directory, if they are relative", metavar="DIR")
    project: str | None = _option(
        None,
        "what {project_name} stands for in paths; the name of the working directory if it is not given",
        metavar="NAME",
    )
    runtime_dir: str = _option(
        "/run", "what {runtime_dir} stands for, and what {project_runtime_dir} begins with", metavar="DIR"
    )
    chdir: str | None = _option(
        None,
        "the working directory of the workers, before the application is imported",
        uwsgi=("spooler-chdir",),
        metavar="DIR",
    )
    imports: tuple[str, ...] = _option(
        (),
        "import this module in each worker, before the application",
        uwsgi=("spooler-import", "spooler-pyimport", "spooler-py-import", "spooler-python-import"),
        flag="import",
        metavar="MODULE",
    )
    processes: int = _option(1, "how many workers", unit="workers", uwsgi=("spooler-processes",))
    supervisor: bool | None = _option(
        None, "a parent process that replaces workers; by default if some option needs one, or a task has a harakiri"
    )
    restart_wait: float = _option(
        0.1, "wait so long before a dead worker is replaced, doubled while it keeps dying", unit="seconds"
    )
    longest_restart_wait: float = _option(30.0, "and never longer than this", unit="seconds")
    cheap: bool = _option(False, "no worker while there is nothing to do", uwsgi=("spooler-cheap",))
    cheap_idle: float = _option(10.0, "a cheap worker leaves when it had nothing to do for so long", unit="seconds")
    touch_reload: tuple[str, ...] = _option(
        (), "replace the workers one by one when this file is touched", uwsgi=("touch-spoolers-reload",), metavar="FILE"
    )
    reload: bool = _option(False, "replace the workers when a Python file below the working directory changes")
    pidfile: str | None = _option(None, "write the process number there", metavar="FILE")
    health: str | None = _option(
        None, "answer HTTP there: /alive, /ready, /status and /metrics; HOST:PORT, :PORT or unix:PATH", metavar="WHERE"
    )
    log_level: str = _option("info", "what is told on stderr", choices=LOG_LEVELS)
    log_format: str = _option("text", "in which form", choices=LOG_FORMATS)
    log_config: str | None = _option(
        None, "a file for logging.config, .toml, .json or .ini, instead of both", metavar="FILE"
    )

    def __post_init__(self) -> None:
        WorkerSettings.__post_init__(self)
        self._check("processes", "at least 1", lambda value: value >= 1)
        for name in ("restart_wait", "longest_restart_wait", "cheap_idle"):
            self._check(name, "more than 0 seconds", lambda value: 0 < value < math.inf)
        self._check("log_level", f"one of {', '.join(LOG_LEVELS)}", lambda value: value in LOG_LEVELS)
        self._check("log_format", f"one of {', '.join(LOG_FORMATS)}", lambda value: value in LOG_FORMATS)
        self._check("health", "HOST:PORT, [IPV6]:PORT, :PORT, *:PORT or unix:PATH", _ADDRESS.fullmatch)
        for one, other in self._contradictions():
            raise CallError(f"{one} contradicts {other}: leave out one of them")
        if self.ordered and not self.spools and not self.external:
            raise CallError("ordered is for spools that are given beside it; an application's own say it themselves")
        if self.longest_restart_wait < self.restart_wait:
            raise CallError(f"longest_restart_wait must be at least restart_wait, {self.restart_wait:g} seconds")

    def _contradictions(self) -> list[tuple[str, str]]:
        found = []
        if self.burst:
            found += [("burst", name) for name in ("cheap", "reload", "touch_reload") if getattr(self, name)]
        if self.supervisor is False and (reason := self.supervised_for) is not None:
            found.append(("supervisor=False", reason))
        if self.log_config is not None:
            found += [("log_config", name) for name in ("log_level", "log_format") if name in self.as_record()]
        return found

    @property
    def supervised_for(self) -> str | None:
        """The first option that only a supervisor can do. Without one, max_tasks and the like just end the worker."""
        if self.processes > 1:
            return f"processes={self.processes}"
        return next((name for name in _SUPERVISED if getattr(self, name)), None)

    @property
    def wants_supervisor(self) -> bool:
        """Whether these settings alone call for a supervisor."""
        if self.supervisor is not None:
            return self.supervisor
        ends = (self.max_tasks, self.max_rss, self.max_age, self.harakiri)
        return self.supervised_for is not None or any(value is not None for value in ends)
