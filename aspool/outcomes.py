"""How a job ended, as values; and what a task may return or raise to say so."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class SpoolReturn(enum.Enum):
    """What a task may return to speak to the spool, as with uWSGI. Recognised by identity: 0 or -1 mean nothing."""

    OK = -2
    RETRY = -1
    IGNORE = 0


SPOOL_OK = SpoolReturn.OK
SPOOL_RETRY = SpoolReturn.RETRY
SPOOL_IGNORE = SpoolReturn.IGNORE


class Retry(Exception):
    """Raise it in a task to run again.

    `delay` in seconds replaces the policy's wait; `count` replaces how many retries this message may have.
    """

    def __init__(
        self, reason: str = "the task asked for a retry", *, delay: float | None = None, count: int | None = None
    ) -> None:
        super().__init__(reason)
        self.delay = delay
        self.count = count


class Bury(Exception):
    """Raise it in a task to give up at once: the message goes to the dead ones with this reason."""

    def __init__(self, reason: str = "the task gave up") -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a message's end, for whoever asks: a record of `results`, for so many seconds."""

    record: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What a job changed of its message, for the next run: its buffer, and how many retries it may have in all."""

    buffer: Mapping[str, Any] = field(default_factory=dict)
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The job succeeded: the message goes."""

    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody wanted the job to stop, and it did: the message goes."""

    reason: str = ""
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class PutOff:
    """The message runs again at `due` (a UNIX timestamp); `attempt` and `crashes` are its new counts.

    `unknown`: no worker of this kind knows its task; it is shown as such. `changes` replace those of an earlier run.
    """

    due: float
    attempt: int
    crashes: int
    reason: str = ""
    unknown: bool = False
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The job was stopped through no fault of its own: the message is free at once, uncharged."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Buried:
    """The message is put aside, with the reason, where a person can see it. `log` has the job's last lines."""

    reason: str
    traceback: str = ""
    attempt: int = 0
    crashes: int = 0
    log: tuple[str, ...] = ()
    kept: Kept | None = None


Outcome = Done | Cancelled | PutOff | HandedBack | Buried


def spoken(value: object) -> SpoolReturn:
    """What a returned value says to the spool: only members of the enum say anything, all else is success."""
    return value if isinstance(value, SpoolReturn) else SPOOL_OK
