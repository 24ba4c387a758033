"""What observers may see of a worker: frozen records."""

from dataclasses import dataclass

from .outcomes import Outcome


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A job begins to run. `lateness` in seconds behind its due moment."""

    id: str
    task: str
    attempt: int
    lateness: float


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A run has ended, or a message was refused before it ran. `duration` in seconds.

    `spooled`: its message was in a spool, and not only in this worker's memory, as for a schedule's `target="workers"`.
    """

    id: str
    task: str
    attempt: int
    duration: float
    outcome: Outcome
    spooled: bool = True


@dataclass(frozen=True, slots=True)
class JobOverdue:
    """Harakiri or its ticket has cancelled a job, but it does not stop; or it keeps the event loop from doing so.

    `stack` shows where it hangs, and below that where all threads and asyncio tasks of the process are.
    """

    id: str
    task: str
    stack: str


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker is ready to claim. `spools` are their addresses."""

    spools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerStopping:
    """A worker claims no more. `reason` in words."""

    reason: str
    running: int


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """A worker is done. `runs` it made in its life."""

    runs: int


Event = JobStarted | JobEnded | JobOverdue | WorkerStarted | WorkerStopping | WorkerStopped
