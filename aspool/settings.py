"""Every option once: name, default, unit, help, and uWSGI's names for it. Values only; the command line reads them."""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Self, get_args

from .errors import CallError

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "rich", "json")
REPLIES = ("auto", "uwsgi", "http")
_ADDRESS = re.compile(r"unix:.+|(\[[^\]]+\]|[^:]*):\d{1,5}", re.ASCII | re.DOTALL)
_FARM = re.compile(r"([^:]+):(\d+(?:,\d+)*)", re.ASCII)
_SUPERVISED = ("cheap", "reload", "touch_reload", "health", "pidfile", "listen")  # what only a supervisor does


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


def _check_kinds(settings: Any) -> None:
    """Make tuples of lists. Raises CallError for values of other types."""
    for option in fields(settings):
        value = getattr(settings, option.name)
        if wanted := misfit(option, value):
            raise CallError(f"{option.name} must be {wanted}, not {value!r}")
        if isinstance(value, list):
            object.__setattr__(settings, option.name, tuple(value))


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a sentence about a name that nobody knows: the one that is most like it, or nothing."""
    found = get_close_matches(name, known, 1, 0.75)
    return f"; did you mean {found[0]}?" if found else ""


@dataclass(frozen=True, kw_only=True)  # without slots: Settings has two bases, and only one of them may have some
class ListenerSettings:
    """How a listener for uwsgi packets behaves. Sizes are bytes, durations float seconds."""

    listen: tuple[str, ...] = _option(
        (), "take tasks as uwsgi packets there: HOST:PORT, :PORT or unix:PATH", metavar="WHERE"
    )
    keep: tuple[str, ...] = _option(
        (),
        "keep these headers and stock variables of a request from a web server, as HTTP_X_* or QUERY_STRING, instead "
        "of the usual ones; all of them: *",
        metavar="NAME",
    )
    reply: str = _option("auto", "how requests are answered", choices=REPLIES)
    allow: tuple[str, ...] = _option((), "let this network in, as 10.0.0.0/8; beside this machine", metavar="NETWORK")
    secret_file: str | None = _option(
        None, "a file with the secret that peers from other machines must know", metavar="FILE"
    )
    allow_user: tuple[str, ...] = _option(
        (), "let this user connect to a unix: socket, as www-data; beside our own and root", metavar="USER"
    )
    max_packet: int = _option(65_535, "refuse requests whose variables take more", unit="bytes")
    max_body: int = _option(1_073_741_824, "refuse bodies that are larger", unit="bytes")
    max_connections: int = _option(1_000, "connections at the same time", unit="connections")
    max_connections_per_peer: int | None = _option(
        None, "of them, from one address of another machine; a tenth of all if it is not given", unit="connections"
    )
    packet_timeout: float = _option(10.0, "how long the variables of a request may take to arrive", unit="seconds")
    body_timeout: float = _option(60.0, "how long a body may rest before its next piece", unit="seconds")
    min_free: int = _option(104_857_600, "refuse tasks when less than this is free on the disk", unit="bytes")

    def __post_init__(self) -> None:
        _check_kinds(self)
        self.check_listener()

    def check_listener(self) -> None:
        """Raises CallError for values that cannot be."""
        for where in self.listen:
            if not _ADDRESS.fullmatch(where):
                raise CallError(f"listen must be HOST:PORT, [IPV6]:PORT, :PORT, *:PORT or unix:PATH, not {where}")
        if self.reply not in REPLIES:
            raise CallError(f"reply must be one of {', '.join(REPLIES)}, not {self.reply}")
        for network in self.allow:
            _check_network(network)
        least = {"max_packet": 1, "max_body": 0, "max_connections": 1, "max_connections_per_peer": 1, "min_free": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise CallError(f"{name} must be at least {smallest}, not {value}")
        for name in ("packet_timeout", "body_timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise CallError(f"{name} must be more than 0 seconds, not {getattr(self, name)}")


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise CallError(f"allow must be a network, as 10.0.0.0/8, not {text}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class UwsgiSettings:
    """How a program that was written for uWSGI runs."""

    uwsgi: tuple[str, ...] = _option(
        (),
        "run this module, or file, as uWSGI does, with its modules uwsgi and uwsgidecorators, instead of an APP",
        metavar="MODULE",
    )
    uwsgi_options: tuple[str, ...] = _option(
        (), "an option of uWSGI, as the program finds it in uwsgi.opt", flag="uwsgi_option", metavar="KEY[=VALUE]"
    )
    uwsgi_strict: bool = _option(False, "give the program the errors of the real uWSGI, where aspool does better")
    uwsgi_network: bool = _option(False, "its handler takes what came over a network: it unpickles nothing of that")
    mules: int = _option(0, "how many mules the program has", unit="mules")
    farms: tuple[str, ...] = _option((), "mules with a name: NAME:1,2", flag="farm", metavar="NAME:N,N")
    tz: str | None = _option(None, "the zone of its crons; that of the machine if it is not given", metavar="ZONE")

    def check_uwsgi(self, spools: tuple[str, ...]) -> None:
        """Raises CallError for values that cannot be."""
        given = [option.name for option in fields(UwsgiSettings) if getattr(self, option.name) != option.default]
        if given and not self.uwsgi:
            raise CallError(f"{given[0]} is for a program of uWSGI: name its modules with uwsgi")
        if self.uwsgi and not spools:
            raise CallError("uwsgi names a program that has no spools of its own: give it one with --spool")
        if self.mules < 0:
            raise CallError(f"mules must be at least 0, not {self.mules}")
        for farm in self.farms:
            found = _FARM.fullmatch(farm)
            if found is None or not all(1 <= int(mule) <= self.mules for mule in found[2].split(",")):
                numbers = f"numbers of mules, of which there are {self.mules}"
                raise CallError(f"farms must be NAME:N,N with {numbers}: {farm}")


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
        _check_kinds(self)
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
class Settings(WorkerSettings, ListenerSettings, UwsgiSettings):
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
        self.check_listener()
        self.check_uwsgi(self.spools)
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
        if self.uwsgi:  # its tasks are in the way of all else in its process, and uWSGI has a master
            return True
        return self.supervised_for is not None or any(value is not None for value in ends)
