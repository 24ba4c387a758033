"""The scoreboard of a memory spool: what its worker runs, for tickets of the same process."""

import os
import socket
import time
from dataclasses import dataclass, replace

from ..protocol import Board, Entry, Seat
from .ledger import Ledger


@dataclass(frozen=True, slots=True)
class MemorySeat:
    """Where one job's entry stands. In another process there is no such memory."""

    number: int

    def write(self, entry: Entry) -> bool:  # noqa: ARG002 - as Seat
        """Not from here: the worker's own process shows what it hears of."""
        return False


class MemoryBoard:
    """What one worker shows. Thread-safe."""

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self._ledger = ledger
        self._slots = slots
        self._since = time.time()
        self.is_open = True
        self._is_leaving = False
        self._count = 0
        self._shown: dict[Seat, Entry] = {}

    def take(self, entry: Entry) -> MemorySeat:
        """A seat for a job."""
        self._count += 1
        seat = MemorySeat(self._count)
        self.write(seat, entry)
        return seat

    def write(self, seat: Seat, entry: Entry) -> None:
        """Show an entry now."""
        shown = replace(entry)  # the worker goes on with its own
        with self._ledger.lock:
            self._shown[seat] = self._ledger.entries[entry.id] = shown
            self._ledger.tell(entry.id)

    def free(self, seat: Seat) -> None:
        """The job has ended."""
        with self._ledger.lock:
            entry = self._shown.pop(seat, None)
            if entry is not None and self._ledger.entries.get(entry.id) is entry:
                del self._ledger.entries[entry.id]

    def leave(self) -> None:
        """The worker claims no more."""
        self._is_leaving = True

    def close(self) -> None:
        """The worker shows nothing any more."""
        self.is_open = False
        for seat in list(self._shown):
            self.free(seat)

    def board(self) -> Board:
        """As anybody sees it."""
        with self._ledger.lock:
            entries = tuple(self._shown.values())
        return Board(os.getpid(), socket.gethostname(), self._since, self._slots, entries, is_leaving=self._is_leaving)
