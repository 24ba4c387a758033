"""Job: one run of a message, as the running function sees it; and `current_job()`. Its I/O is passed in."""

import json
import logging
import sys
import time
import traceback
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import Any, Generic, Protocol, cast

from typing_extensions import TypeVar

from . import clock
from .errors import CallError
from .message import Firing
from .moments import Moment, timestamp
from .outcomes import Changes
from .protocol import Progress
from .ticket import Ticket
from .track import Item, Track, Tracked

Resources_co = TypeVar("Resources_co", covariant=True, default=object)
KEPT_LINES = 50  # of a job's log
LONGEST_LINE = 2000  # characters

logger = logging.getLogger("aspool.job")
_current: ContextVar["Job[Any] | None"] = ContextVar("aspool_job", default=None)


class Again(Protocol):
    """What a job needs to spool its own task again."""

    async def spool(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        """Write a call down."""
        ...

    def spool_sync(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        """The same, blocking."""
        ...


class JobSide(Protocol):
    """What a job needs of whoever runs it."""

    def progressed(self, progress: Progress) -> None:
        """The job has got on."""
        ...

    def extend(self, seconds: float) -> None:
        """Let it run longer."""
        ...

    def set_harakiri(self, seconds: float | None) -> None:
        """Let it run so long from now; None: as long as it likes."""
        ...

    def logged(self, level: int, text: str) -> bool:
        """It has written a line to its log; whether that is passed on from here, to be written elsewhere."""
        ...

    def again(self, job: "Job[Any]") -> Again:
        """The task of the job, with what a job hands on to its next message."""
        ...

    @property
    def resources(self) -> Any:
        """What the worker's resources gave. Raises LookupError where there are none."""
        ...


class _Detached:
    """The side of a direct call, which no worker runs, and of a job that has ended."""

    def __init__(self, what: str) -> None:
        self._what = what

    def progressed(self, progress: Progress) -> None:
        pass

    def extend(self, seconds: float) -> None:
        pass

    def set_harakiri(self, seconds: float | None) -> None:
        pass

    def logged(self, level: int, text: str) -> bool:  # noqa: ARG002 - as JobSide
        return False

    def again(self, job: "Job[Any]") -> Again:
        raise LookupError(f"{self._what} of {job.task} is no message of a spool: there is nothing to spool again")

    @property
    def resources(self) -> Any:
        raise LookupError(f"{self._what} has no worker, and so none of its resources")


_DETACHED = _Detached("a direct call")
_ENDED = _Detached("a run that has ended")


class _Made:
    """What few jobs do: a buffer, another moment, a log."""

    __slots__ = ("at", "buffer", "lines")

    def __init__(self) -> None:
        self.at: float | None = None
        self.buffer: dict[str, Any] | None = None
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)


class Job(Generic[Resources_co]):
    """One run of a message. The type parameter is what the worker's resources are, if the task uses them.

    `id` of the message, `task` its name, `attempt` counts from 1;
    `cancelled`: somebody wants it to stop (for a function in a thread, which nothing else can stop);
    `origin`: "net" if the message came over a network, through a listener, else "".
    """

    __slots__ = (
        "_at", "_firing", "_given", "_made", "_retries_left", "_side", "attempt", "cancelled", "id", "origin", "task",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        task: str,
        *,
        attempt: int = 1,
        retries_left: int = 0,
        at: float = 0.0,
        buffer: Mapping[str, Any] | None = None,
        firing: Firing | None = None,
        origin: str = "",
        side: JobSide = _DETACHED,
    ) -> None:
        self.id = id
        self.task = task
        self.origin = origin
        self.attempt = attempt
        self._retries_left = retries_left
        self.cancelled = False
        self._at = at
        self._given = buffer
        self._firing = firing
        self._made: _Made | None = None
        self._side = side

    @classmethod
    def detached(cls, task: str) -> "Job[Any]":
        """The job of a direct call, which no spool knows."""
        return Job("", task)

    def __repr__(self) -> str:
        return f"<Job {self.id or 'detached'} {self.task} attempt {self.attempt}>"

    @property
    def retries_left(self) -> int:
        """How many runs may come after this one. It may be set; raises CallError for what is no whole number from 0."""
        return self._retries_left

    @retries_left.setter
    def retries_left(self, count: int) -> None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise CallError(f"retries_left must be a whole number from 0, not {count!r}")
        self._retries_left = count

    @property
    def at(self) -> float:
        """The moment it was due, a UNIX timestamp. Set it (as `using(at=…)`) and the next run is then.

        That is the next attempt, if this run fails or returns SPOOL_RETRY, and what `again` spools.
        """
        return self._at if self._made is None or self._made.at is None else self._made.at

    @at.setter
    def at(self, moment: Moment) -> None:
        self._own().at = timestamp(moment)

    @property
    def scheduled_for(self) -> datetime | None:
        """The moment of its schedule for which it runs, in the schedule's zone; None if no schedule spooled it.

        `datetime.now(UTC) - job.scheduled_for` is how late it is.
        """
        if self._firing is None:
            return None
        from zoneinfo import ZoneInfo  # 2 ms that most programs need not spend

        try:
            zone: tzinfo = ZoneInfo(self._firing.tz)
        except (ValueError, OSError, LookupError):  # it came from outside, or another machine knows more zones
            zone = UTC
        return datetime.fromtimestamp(self._firing.moment, zone)

    @property
    def next_at(self) -> float | None:
        """What `at` was set to, if it was."""
        return None if self._made is None else self._made.at

    def _own(self) -> _Made:
        if self._made is None:
            self._made = _Made()
        return self._made

    @property
    def buffer(self) -> dict[str, Any]:
        """A small dict that travels to the next attempt, and to what `again` spools: JSON, 32 KiB at most."""
        made = self._own()
        if made.buffer is not None:
            return made.buffer
        own: dict[str, Any] = json.loads(json.dumps(self._given)) if self._given else {}
        made.buffer = own  # a copy, so that a change can be told
        return own

    def leave_side(self) -> None:
        """The run has ended: whoever kept the job speaks for nobody's seat any more (the worker's part).

        It ends a cycle of references too, which only the garbage collector would.
        """
        self._side = _ENDED

    def take_over(self, buffer: dict[str, Any] | None, retries_left: int, next_at: float | None) -> None:
        """What the same job changed in a child process (the worker's part)."""
        self.retries_left = retries_left
        if buffer is not None or next_at is not None:
            self._own().buffer, self._own().at = buffer, next_at

    @property
    def touched_buffer(self) -> dict[str, Any] | None:
        """The buffer, if the job has looked at it (the worker's part)."""
        return None if self._made is None else self._made.buffer

    def changes(self, allowed: int, options: Mapping[str, Any]) -> Changes | None:
        """What the next run must know, if this one changed anything (the worker's part).

        `allowed`: how many retries the message had in all; `options` are its own.
        """
        given, buffer, retries = self._given or {}, self.touched_buffer, options.get("retries")
        if self._retries_left != max(0, allowed - self.attempt + 1):
            retries = self.attempt - 1 + self._retries_left
        elif buffer is None or _is_same(buffer, given):
            return None
        return Changes(given if buffer is None else buffer, retries)

    @property
    def resources(self) -> Resources_co:
        """What `Spooler(resources=…)` gave this worker. Raises LookupError where there are none."""
        return cast("Resources_co", self._side.resources)

    # --- telling how it goes ---------------------------------------------------------------------------------

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tell how far the job is: shown by tickets and the command line, from any process. A few microseconds.

        Raises TypeError or ValueError for what is no number.
        """
        self._side.progressed(Progress(float(done), None if total is None else float(total), str(text)))

    def track(self, items: "Tracked[Item]", total: float | None = None, text: str = "") -> "Track[Item]":
        """The items, one after another, with the progress told: `for x in job.track(…)`, also `async for`.

        `total` is their number, if it is known; otherwise the items are asked.
        """
        return Track(self.progress, items, total, text)

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose lines carry the id, the task and the attempt; a dead task keeps its last 50."""
        return _JobLogger(self)

    def logged(self, level: int, text: str) -> bool:
        """Keep a line of its log for the case that the message is buried; whether its side writes it elsewhere."""
        moment = time.strftime("%H:%M:%S", time.localtime(clock.now()))
        self._own().lines.append(f"{moment} {logging.getLevelName(level)} {text}"[:LONGEST_LINE])
        return self._side.logged(level, text[:LONGEST_LINE])

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines of its log."""
        return () if self._made is None else tuple(self._made.lines)

    # --- changing what comes ---------------------------------------------------------------------------------

    def extend(self, seconds: float) -> None:
        """Let it run so many seconds longer before its harakiri. Nothing changes for a job without one."""
        self._side.extend(seconds)

    def set_harakiri(self, seconds: float | None) -> None:
        """Let it run so many seconds from now before its harakiri, whatever was said before; None: without one."""
        self._side.set_harakiri(seconds)

    async def again(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        """Spool this task again, with these arguments and this job's buffer; at `at`, if that was set."""
        return await self._side.again(self).spool(*args, **kwargs)

    def again_sync(self, *args: Any, **kwargs: Any) -> Ticket[Any]:
        """As `again`, in a function that is not async."""
        return self._side.again(self).spool_sync(*args, **kwargs)


def _is_same(buffer: object, given: object) -> bool:
    """Whether a buffer is as it was; what cannot be compared has been changed."""
    try:
        return bool(buffer == given)
    except Exception:  # a value of the task's own, as an array
        return False


class _JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Lines of one job. Those from INFO on are remembered, whoever else hears them."""

    def __init__(self, job: Job[Any]) -> None:
        super().__init__(logger, {"aspool_id": job.id, "aspool_task": job.task, "aspool_attempt": job.attempt})
        self._job = job

    def process(self, msg: object, kwargs: Any) -> tuple[str, Any]:
        extra = dict(self.extra or {})
        kwargs["extra"] = {**extra, **kwargs.get("extra", {})}
        return f"[{self._job.task} {self._job.id} #{self._job.attempt}] {msg}", kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if level < logging.INFO and not self.isEnabledFor(level):
            return
        if not self._job.logged(level, _text(msg, args, kwargs.get("exc_info"))):
            super().log(level, msg, *args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1})


def _text(msg: object, args: tuple[object, ...], exc_info: Any) -> str:
    try:
        text = str(msg) % args if args else str(msg)
    except (TypeError, ValueError):
        text = f"{msg} {args}"
    if not exc_info:
        return text
    error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
    return text if error is None else f"{text}\n{''.join(traceback.format_exception(error))}"


def current_job() -> Job[Any]:
    """The job that runs here. Raises LookupError outside of one."""
    job = _current.get()
    if job is None:
        raise LookupError("no job runs here: current_job() works inside a task that a worker runs")
    return job


def enter_job(job: Job[Any] | None) -> None:
    """Make `job` the current one of this context, or none (the worker's part)."""
    _current.set(job)


def job_of(task: object) -> Job[Any] | None:
    """The job that an asyncio task belongs to, from any thread; None where that cannot be told, before Python 3.12."""
    context = getattr(task, "get_context", None)
    return None if context is None else context().get(_current)
