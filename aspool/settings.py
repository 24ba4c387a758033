"""Every option once: name, default, unit, help, and uWSGI's name for it. Values only; the command line reads them."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import CallError


def _option(default: Any, help: str, *, unit: str = "", uwsgi: str = "") -> Any:
    return field(default=default, metadata={"help": help, "unit": unit, "uwsgi": uwsgi})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker runs. Durations are float seconds."""

    concurrency: int = _option(100, "jobs at the same time, in one process", unit="jobs")
    threads: int = _option(40, "of them, sync functions in threads", unit="threads")
    processes: int = _option(0, "of them, jobs in processes of their own (0: as many as cores)", unit="processes")
    frequency: float = _option(30.0, "look at the spool at least this often", unit="seconds", uwsgi="spooler-frequency")
    harakiri: float | None = _option(None, "stop a job after this long", unit="seconds", uwsgi="spooler-harakiri")
    harakiri_grace: float = _option(5.0, "how long a stopped job may take to end", unit="seconds")
    grace: float = _option(25.0, "how long running jobs may go on when the worker stops", unit="seconds")
    max_tasks: int | None = _option(None, "leave after this many runs", unit="runs", uwsgi="spooler-max-tasks")
    signal_as_task: bool = _option(
        True, "count the runs of schedules and signals among these", uwsgi="spooler-signal-as-task"
    )
    schedules: bool = _option(True, "fire timers, crons, file monitors and signals")
    max_crashes: int = _option(3, "bury a message after this many dead workers", unit="crashes")
    burst: bool = _option(False, "run what is due, then leave")

    def __post_init__(self) -> None:
        for name in ("concurrency", "threads", "max_crashes", "max_tasks"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise CallError(f"{name} must be at least 1, not {value}")
        for name in ("frequency", "harakiri"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise CallError(f"{name} must be more than 0 seconds, not {value}")
        for name in ("processes", "grace", "harakiri_grace"):
            if not getattr(self, name) >= 0:
                raise CallError(f"{name} must be 0 or more, not {getattr(self, name)}")

    def changed(self, **options: Any) -> "WorkerSettings":
        """These settings with some options replaced; None leaves an option as it is.

        Raises CallError for an option that does not exist.
        """
        known = {option.name for option in fields(self)}
        if unknown := options.keys() - known:
            raise CallError(
                f"no such worker option: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        return replace(self, **{name: value for name, value in options.items() if value is not None})
