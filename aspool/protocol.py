"""The seam that every spool implements, in the words of tasks. No I/O in here.

A spool keeps messages, hands each to one worker at a time, and does with it what the outcome says.
What it writes and how is its own affair; the conformance suite in `aspool.testing` says what it must do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from .body import Body
from .message import Message
from .outcomes import Outcome


class Stored(NamedTuple):
    """A message is in the spool. `duplicate`: it was there already, under the id that the caller chose.

    `path`: of its file, in a spool that has some; only of plain messages.
    """

    id: str
    duplicate: bool = False
    path: str = ""


@dataclass(slots=True, eq=False)
class Claim:
    """A message held by one worker; while it is held nobody else runs it.

    `crashed`: the worker that held it before died while running it (already counted in `message.crashes`).
    """

    message: Message
    body: Body
    crashed: bool = False
    newer: bool = False  # written by a later aspool than this


@dataclass(frozen=True, slots=True)
class WorkerSide:
    """What a spool may ask of the worker that serves it. All of it is quick, and called on the event loop or a thread.

    `frequency`: the seconds between two looks at the spool, where events cannot be trusted.
    `limit`: how many jobs of a task (None: of the handler of raw messages) may run at the same time, over all
    workers of the spool: math.inf where there is no limit, 0 for a task that this worker does not know.
    `cancel`: stop the job of the message with this id, whose caller wants it; whether it is here. On the event loop.
    `schedules_changed`: the record of a schedule has changed, or (None) that of any may have. On the event loop.
    """

    frequency: Callable[[], float]
    limit: Callable[[str | None], float] = lambda _: math.inf
    cancel: Callable[[str], bool] = lambda _: False
    schedules_changed: Callable[[str | None], None] = lambda _: None


class Spool(Protocol):
    """Where messages wait. Moments are UNIX timestamps. Making one does no I/O; it opens when first used."""

    @property
    def address(self) -> str:
        """What a person calls it: an absolute path, a URL."""
        ...

    @property
    def concurrency(self) -> int | None:
        """How many of its messages one worker may run at the same time; None: as many as the worker has places."""
        ...

    @property
    def external(self) -> bool:
        """Whether it is only written to: somebody else runs it."""
        ...

    async def open(self) -> None:
        """Open it now, instead of when it is first used. Raises SpoolUnusable."""
        ...

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages down; one answer for each, in order. What is answered Stored will run."""
        ...

    def serving(self, side: WorkerSide) -> AbstractAsyncContextManager[None]:
        """Opens the spool for claiming: what it needs in the background runs until the block ends."""
        ...

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first, each now held by the caller alone.

        Left out, without charging them and without holding up what is behind them: messages of a task whose
        limit is reached, of a task that the worker does not know, of a task that is paused; all while the spool is.
        """
        ...

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says: delete, put off, hand back, bury. Then the message is no longer held.

        What an outcome wants to be kept for tickets is kept before the message goes.

        What the spool cannot do now it does later, still holding the message: it is never run again meanwhile.
        """
        ...

    def abandon(self, claim: Claim) -> None:
        """Keep holding a message until this process ends, and do not charge its end to it.

        For a thread that does not stop: its message must not run elsewhere while it goes on.
        """
        ...

    async def wait(self, timeout: float) -> None:
        """Return when something may have become due, at the latest after `timeout` seconds."""
        ...

    def next_due(self) -> float | None:
        """The moment when the earliest known message becomes due; None when none is known."""
        ...

    @property
    def has_looked(self) -> bool:
        """Whether all that was there when `serving` began is known, so that an empty claim means something."""
        ...

    async def aclose(self) -> None:
        """Let go of everything. A closed spool opens again when it is used."""
        ...


@runtime_checkable
class Leaves(Protocol):
    """A spool that can settle all in one go when the process of its worker is about to end."""

    def leave(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what the outcomes say, hand back all else that is claimed, and let go of nothing: the process ends now.

        Jobs may still run, and nobody else may have their messages until the process is gone. Blocking, from any
        thread, in the middle of a claim or a finish too: what these do afterwards changes nothing any more. What
        cannot be done for one message does not keep the others from it.
        """
        ...


@runtime_checkable
class PutsBlocking(Protocol):
    """A spool that can also be written to without an event loop."""

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """As `Spool.put`; bodies must be bytes, paths or open files."""
        ...

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without being spooled. Raises TypeError for an async source."""
        ...


@runtime_checkable
class AcceptsAnyModifier(Protocol):
    """A spool of uwsgi packets that need not be a spooler's by their headers."""

    def accept_any_modifier(self) -> None:
        """Take messages whatever their modifier1 is, as uWSGI does, which never looks at it."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `done` of `total` (None: nobody knows), and what it does, in words."""

    done: float = 0.0
    total: float | None = None
    text: str = ""

    @property
    def fraction(self) -> float | None:
        """From 0 to 1, or None where no total is known."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else None


@dataclass(slots=True)
class Entry:
    """One running job, and how far it got. `since` is a UNIX timestamp."""

    id: str
    task: str
    attempt: int
    since: float
    done: float = 0.0
    total: float | None = None
    text: str = ""

    @property
    def progress(self) -> Progress:
        """How far it got."""
        return Progress(self.done, self.total, self.text)

    def got_on(self, progress: Progress) -> None:
        """The job has reported progress."""
        self.done, self.total, self.text = progress.done, progress.total, progress.text


@dataclass(frozen=True, slots=True)
class Board:
    """What anybody sees of one living worker. `slots` are the jobs that it may run at the same time.

    `owner` is the uid of who wrote it, None where that cannot be told. One that `is_leaving` claims no more.
    """

    pid: int
    host: str
    since: float
    slots: int
    entries: tuple[Entry, ...]
    owner: int | None = None
    is_leaving: bool = False


class Seat(Protocol):
    """Where one job's entry stands on a scoreboard; it can travel to another process."""

    def write(self, entry: Entry) -> bool:
        """Show an entry, from a child process; whether that can be done from there. Never fails."""
        ...


class Scoreboard(Protocol):
    """Where one worker shows what it runs. Nothing depends on it but knowledge: nothing of it fails."""

    def take(self, entry: Entry) -> Seat:
        """A seat for a job, whose entry is shown if it runs for longer than a moment. Call it on the event loop."""
        ...

    def write(self, seat: Seat, entry: Entry) -> None:
        """Show an entry now. From any thread."""
        ...

    def free(self, seat: Seat) -> None:
        """The job has ended."""
        ...

    def leave(self) -> None:
        """The worker claims no more."""
        ...

    def close(self) -> None:
        """The worker shows nothing any more."""
        ...


@runtime_checkable
class KeepsScoreboards(Protocol):
    """A spool where workers may show what they run, and how far it is."""

    def scoreboard(self, slots: int) -> Scoreboard:
        """A board for so many jobs; the spool is served meanwhile."""
        ...

    def boards(self) -> Sequence[Board]:
        """The boards of all workers that live. Blocking."""
        ...


@runtime_checkable
class Announces(Protocol):
    """A spool that can tell of arrivals to one who runs none itself."""

    async def announce(self, frequency: float, arrived: Callable[[], None], changed: Callable[[], None]) -> None:
        """Call `arrived` whenever a message may have come in, on the event loop, until cancelled.

        Once at the beginning too. `changed` is called when a pause or a schedule may be another. Where the spool cannot
        be watched, it is looked at each `frequency` seconds. Raises SpoolUnusable.
        """
        ...


class Notice(Protocol):
    """What one supervisor says of itself. Nothing of it fails."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Say something else."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


@runtime_checkable
class KeepsNotices(Protocol):
    """A spool where supervisors may say what they run, for `aspool status` and `aspool reload`."""

    def post(self) -> Notice:
        """A notice of this process, empty still; gone when the process ends."""
        ...

    def notices(self) -> Sequence[Mapping[str, Any]]:
        """Those of all supervisors that live; "owner" is the uid of who wrote it, where that can be told. Blocking."""
        ...


State = Literal["waiting", "scheduled", "running", "retrying", "done", "cancelled", "dead", "unknown"]
OVER = ("done", "cancelled", "dead", "unknown")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a message stands: what a ticket can tell.

    `attempt` counts from 1 and is the run that goes on, or the next one; `due` is a UNIX timestamp; `record` is
    what is kept of the end (see `results`). A message that is not there, and of which nothing is kept, is unknown.
    """

    state: State
    attempt: int = 0
    due: float | None = None
    progress: Progress | None = None
    record: bytes | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in OVER


class Whereabouts(NamedTuple):
    """Where a message was put: with it a spool finds the message quicker than by its id alone."""

    due: float
    priority: int | None


class Follower(Protocol):
    """One message, followed by one coroutine."""

    async def look(self) -> Standing:
        """How the message stands now."""
        ...

    async def changed(self) -> None:
        """Return when that may be different from the last look; sometimes for nothing."""
        ...


@runtime_checkable
class Follows(Protocol):
    """A spool that can tell what became of a message, from any process. `put` is where it was put, if that is known."""

    def following(self, id: str, put: Whereabouts | None) -> AbstractAsyncContextManager[Follower]:
        """Follow one message, as long as the block lasts."""
        ...

    async def cancel(self, id: str, put: Whereabouts | None) -> bool:
        """Remove a message that waits, or have its running job stopped; False when it is over, or not there."""
        ...

    async def reschedule(self, id: str, put: Whereabouts | None, due: float | None, priority: int | None) -> bool:
        """Let a waiting message run at another moment, with another priority (None: as it is); False if it runs."""
        ...


@runtime_checkable
class Pauses(Protocol):
    """A spool that can be paused, whole or task by task, until somebody resumes it. Puts are taken all the same."""

    async def pause(self, task: str | None) -> None:
        """Let no worker begin messages of a task, or (None) any; what runs goes on. Survives every restart."""
        ...

    async def resume(self, task: str | None) -> None:
        """Take that back."""
        ...

    async def paused(self) -> frozenset[str | None]:
        """What is paused: names of tasks, and None for the spool."""
        ...
