"""How a job ended, as values; what a task may return or raise to say so; and a failure, written down."""

import enum
import traceback
from dataclasses import dataclass


class SpoolReturn(enum.Enum):
    """What a task may return to speak to the spool, as with uWSGI. Recognised by identity: 0 or -1 mean nothing."""

    OK = -2
    RETRY = -1
    IGNORE = 0


_PACKAGE = __file__.rpartition("/")[0] + "/"

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
class Done:
    """The job succeeded: the message goes."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """The message runs again at `due` (a UNIX timestamp); `attempt` and `crashes` are its new counts.

    `unknown`: no worker of this kind knows its task; it is shown as such.
    """

    due: float
    attempt: int
    crashes: int
    reason: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The job was stopped through no fault of its own: the message is free at once, uncharged."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Buried:
    """The message is put aside, with the reason, where a person can see it."""

    reason: str
    traceback: str = ""
    attempt: int = 0
    crashes: int = 0


Outcome = Done | PutOff | HandedBack | Buried


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception, written down: it travels between processes and into files."""

    reason: str
    traceback: str = ""
    retriable: bool = True
    delay: float | None = None  # asked for by Retry, in seconds
    count: int | None = None  # asked for by Retry
    crashed: bool = False  # the process that ran it died


Result = SpoolReturn | Failure  # of one call of the function


def spoken(value: object) -> SpoolReturn:
    """What a returned value says to the spool: only members of the enum say anything, all else is success."""
    return value if isinstance(value, SpoolReturn) else SPOOL_OK


def failure_of(error: BaseException, retry_on: tuple[type[BaseException], ...] | None) -> Failure:
    """What an exception means; `retry_on` are the classes that are worth a retry (None: all)."""
    if isinstance(error, Retry):
        return Failure(str(error), _traceback(error.__cause__), delay=error.delay, count=error.count)
    if isinstance(error, Bury):
        return Failure(str(error), _traceback(error.__cause__), retriable=False)
    return Failure(_one_line(error), _traceback(error), retriable=retry_on is None or isinstance(error, retry_on))


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
    return "".join(traceback.format_exception(error))[-20_000:]
