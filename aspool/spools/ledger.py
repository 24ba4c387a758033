"""Ledger: how the messages of a memory spool stand, and how they ended, for tickets on any event loop.

Its owner calls it under the lock that both share; followers are woken through their own event loops.
"""

from asyncio import AbstractEventLoop, get_running_loop
from dataclasses import dataclass
from threading import Lock
from typing import cast

from .. import clock
from ..failures import Failure
from ..message import Message
from ..outcomes import Buried, Cancelled, Done, Kept
from ..protocol import Entry, Progress, Standing, State
from ..records import cancelled_record, dead_record, state_of
from .bell import Bell

CANCELLED_KEPT = 3600.0  # seconds that a cancelled message is remembered, if nothing else is said
MANY = 1000  # records that are kept before the expired ones are looked for
HEARTBEAT = 1.0  # seconds: time alone makes a scheduled message a waiting one


@dataclass(slots=True)
class Line:
    """One message that is not over. `number` is its place in the spool's heaps."""

    message: Message
    number: int
    runs: bool = False


class Ledger:
    """A line for each message that waits or runs, a record for each end that is kept, an entry for each job."""

    def __init__(self, lock: Lock, dead: list[tuple[Message, Buried]]) -> None:
        self.lock = lock
        self.lines: dict[str, Line] = {}
        self.entries: dict[str, Entry] = {}  # of running jobs, as their workers show them
        self._dead = dead
        self._records: dict[str, tuple[bytes, float]] = {}  # and when each expires
        self._followers: dict[str, set[MemoryFollower]] = {}

    def keep(self, message: Message, number: int) -> None:
        """A message waits, for the first time or again."""
        self.lines[message.id] = Line(message, number)
        self.tell(message.id)

    def begin(self, message: Message) -> None:
        """A message runs."""
        if (line := self.lines.get(message.id)) is not None:
            line.runs = True
            self.tell(message.id)

    def end(self, id: str, outcome: Done | Cancelled | Buried) -> None:
        """A message is over."""
        line = self.lines.pop(id, None)
        kept = outcome.kept
        if kept is None and isinstance(outcome, Cancelled):
            kept = Kept(cancelled_record(outcome.reason), CANCELLED_KEPT)
        if kept is not None:
            self._keep_record(id, kept)
        state: State = "done" if isinstance(outcome, Done) else "dead" if isinstance(outcome, Buried) else "cancelled"
        attempt = 0 if line is None else line.message.attempt + 1
        seen = Standing(state, attempt, record=None if kept is None else kept.record)
        if isinstance(outcome, Buried) and kept is None:
            seen = _buried(outcome)
        for follower in self._followers.get(id, ()):
            follower.seen = seen
        self.tell(id)

    def _keep_record(self, id: str, kept: Kept) -> None:
        now = clock.now()
        self._records[id] = kept.record, now + kept.seconds
        if len(self._records) % MANY == 0:
            self._records = {id: record for id, record in self._records.items() if record[1] > now}

    def forget(self, id: str) -> None:
        """A new message has this id: what is kept of an earlier one is not about it."""
        self._records.pop(id, None)

    def standing(self, id: str) -> Standing:
        """How a message stands."""
        record, expires = self._records.get(id, (None, 0.0))
        if record is not None and expires > clock.now():
            return Standing(cast("State", state_of(record)), record=record)
        line = self.lines.get(id)
        if line is None:
            buried = next((outcome for message, outcome in reversed(self._dead) if message.id == id), None)
            return Standing("unknown") if buried is None else _buried(buried)
        message = line.message
        if line.runs:
            entry = self.entries.get(id)
            progress = None if entry is None or entry.progress == Progress() else entry.progress
            return Standing("running", message.attempt + 1, message.due, progress)
        if message.attempt or message.crashes:
            return Standing("retrying", message.attempt + 1, message.due)
        return Standing("scheduled" if message.due > clock.now() else "waiting", 1, message.due)

    def follow(self, follower: "MemoryFollower") -> None:
        """Wake it whenever something happens to its message."""
        with self.lock:
            self._followers.setdefault(follower.id, set()).add(follower)

    def unfollow(self, follower: "MemoryFollower") -> None:
        """No longer."""
        with self.lock:
            followers = self._followers.get(follower.id, set())
            followers.discard(follower)
            if not followers:
                self._followers.pop(follower.id, None)

    def tell(self, id: str) -> None:
        """Something happened to a message."""
        if self._followers:
            for follower in self._followers.get(id, ()):
                follower.wake()


def _buried(outcome: Buried) -> Standing:
    return Standing("dead", outcome.attempt, record=dead_record(Failure(outcome.reason, outcome.traceback)))


class MemoryFollower:
    """Follows one message from one event loop."""

    def __init__(self, id: str, ledger: Ledger) -> None:
        self.id = id
        self.seen: Standing | None = None  # how it ended, meanwhile
        self._ledger = ledger
        self._bell = Bell()
        self._loop: AbstractEventLoop = get_running_loop()
        self._last = Standing("unknown")

    async def look(self) -> Standing:
        """How it stands now."""
        with self._ledger.lock:
            self._last = self._ledger.standing(self.id) if self.seen is None else self.seen
        return self._last

    async def changed(self) -> None:
        """Return when it may stand differently."""
        patience = HEARTBEAT
        if self._last.state == "scheduled" and self._last.due is not None:
            patience = min(HEARTBEAT, max(0.0, self._last.due - clock.now()) + 0.001)
        await self._bell.heard(patience)

    def wake(self) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._bell.ring)
