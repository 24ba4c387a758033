"""The seam that every spool implements, in the words of tasks. No I/O in here.

A spool keeps messages, hands each to one worker at a time, and does with it what the outcome says.
What it writes and how is its own affair; the conformance suite in `aspool.testing` says what it must do.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .body import Body
from .message import Message
from .outcomes import Outcome


class Stored(NamedTuple):
    """A message is in the spool. `duplicate`: it was there already, under the id that the caller chose."""

    id: str
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Claim:
    """A message held by one worker; while it is held nobody else runs it.

    `crashed`: the worker that held it before died while running it (already counted in `message.crashes`).
    """

    message: Message
    body: Body
    crashed: bool = False
    newer: bool = False  # written by a later aspool than this


class Spool(Protocol):
    """Where messages wait. Moments are UNIX timestamps. Making one does no I/O; it opens when first used."""

    @property
    def address(self) -> str:
        """What a person calls it: an absolute path, a URL."""
        ...

    async def open(self) -> None:
        """Open it now, instead of when it is first used. Raises SpoolUnusable."""
        ...

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """Write messages down; one answer for each, in order. What is answered Stored will run."""
        ...

    def serving(self, frequency: Callable[[], float]) -> AbstractAsyncContextManager[None]:
        """Opens the spool for claiming: what it needs in the background runs until the block ends.

        `frequency` answers the seconds between two looks at it, where events cannot be trusted.
        """
        ...

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Up to `limit` due messages, the most urgent first, each now held by the caller alone."""
        ...

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Do what each outcome says: delete, put off, hand back, bury. Then the message is no longer held.

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
class PutsBlocking(Protocol):
    """A spool that can also be written to without an event loop."""

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        """As `Spool.put`; bodies must be bytes, paths or open files."""
        ...

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without being spooled. Raises TypeError for an async source."""
        ...


@runtime_checkable
class KeepsScoreboards(Protocol):
    """A spool on a disk, where workers may show what they run."""

    @property
    def scoreboards(self) -> Path:
        """The directory of the workers' scoreboards; exists while the spool is served."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of a spool as a person looks at it, without its arguments."""

    id: str
    state: str  # waiting, scheduled, running, retrying, unknown, dead, corrupt
    task: str | None
    due: datetime | None
    priority: int | None = None
    attempt: int = 0
    crashes: int = 0
    size: int = 0  # bytes
    reason: str = ""
    name: str = ""  # where it is: a path below the spool directory, say


@dataclass(frozen=True, slots=True)
class Details:
    """All of one message: the listing, its variables and whatever is kept beside it."""

    listed: Listed
    variables: Mapping[str, str] = field(default_factory=dict)
    body_size: int = 0
    history: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Browsable(Protocol):
    """Looking and changing by hand; optional. All of it blocks: it is for the command line and for admin pages."""

    def browse(self, states: frozenset[str] = frozenset(), limit: int | None = None) -> Sequence[Listed]:
        """The messages, in the order of work; of the given states only."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many messages there are of each state."""
        ...

    def find(self, id: str) -> Sequence[Listed]:
        """The messages whose id is, begins with or ends with `id`."""
        ...

    def read(self, listed: Listed) -> Details:
        """All of one message. Raises FileNotFoundError when it has gone meanwhile."""
        ...

    def delete(self, listed: Listed) -> bool:
        """Remove a message for good; False when a worker runs it or it has gone meanwhile."""
        ...

    def requeue(self, listed: Listed, due: float) -> bool:
        """Let a dead, waiting or put-off message run at `due`, its counts back at 0; False as for `delete`."""
        ...
