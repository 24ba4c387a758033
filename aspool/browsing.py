"""Looking at a spool and changing it by hand: an optional part of the seam (protocol.py). No I/O in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable


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
    function: str = ""  # of a raw message: what a package of uWSGI calls in it

    @property
    def called(self) -> str:
        """The task as people read it."""
        return self.task or f"(raw) {self.function}".rstrip()


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
