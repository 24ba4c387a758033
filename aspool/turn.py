"""Turns: what a spool must do that keeps schedules; an optional part of the seam (protocol.py). No I/O in here.

A schedule's record is in the spool that its messages go to, so that all processes know the same of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from .errors import Uncertain
from .message import Message
from .protocol import Stored

Lives = Callable[[str], bool]  # whether a message of that id, which somebody chose, waits or runs


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody does who has a schedule for a moment: messages to put, and the record from then on.

    `record` None leaves it as it is; b"" removes it. `record_first`: keep it before the messages are put, and put none
    if that fails. One that is not `durable` may be lost with the power. `partly` is the record if only the first so
    many messages could be put; None leaves it as it is then.
    """

    messages: Sequence[Message] = ()
    record: bytes | None = None
    record_first: bool = False
    durable: bool = True
    partly: Callable[[int], bytes] | None = None

    def record_after(self, answers: Sequence[Stored | Exception]) -> bytes | None:
        """The record to be kept once messages were answered; None: it stays as it is."""
        failed = [isinstance(answer, Exception) and not isinstance(answer, Uncertain) for answer in answers]
        if not any(failed):
            return self.record
        count = failed.index(True)
        return None if self.partly is None or not count else self.partly(count)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a turn: the record as it is now, and an answer for each message."""

    record: bytes | None
    answers: Sequence[Stored | Exception] = ()


class Kept(NamedTuple):
    """A record, and when it was kept last, or known to a worker (a UNIX timestamp)."""

    record: bytes
    known: float


Decide = Callable[[bytes | None, Lives], Turn | None]  # None: nothing is to be done


@runtime_checkable
class KeepsSchedules(Protocol):
    """A spool that keeps records of schedules."""

    async def turn(self, name: str, decide: Decide) -> Taken | None:
        """Take a schedule, alone among all processes, ask what is to be done with its record, do it; None: it is taken.

        The messages are put, then the record is kept, unless it is wanted first; what is kept if a put fails with
        anything but Uncertain is said by `Turn.record_after`. `decide` may be called in a thread. Raises SpoolUnusable.
        """
        ...

    async def records(self, names: Collection[str] | None = None) -> Mapping[str, Kept]:
        """The records by the names of their schedules; only these, if some are named. Raises SpoolUnusable."""
        ...

    async def keep_alive(self, names: Collection[str]) -> None:
        """Note that these schedules are known to a worker. Raises SpoolUnusable."""
        ...
