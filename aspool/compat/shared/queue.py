"""Queue: `uwsgi.queue_*`, a ring of as many places as the option `queue` says, in the database that all share."""

import sqlite3

from ..program import Program
from .database import Shared

_SLOTS = "CREATE TABLE IF NOT EXISTS queue (slot INTEGER PRIMARY KEY, value BLOB NOT NULL)"
_HEADS = "CREATE TABLE IF NOT EXISTS queue_heads (name TEXT PRIMARY KEY, slot INTEGER NOT NULL) WITHOUT ROWID"
_PUSH, _PULL = "push", "pull"  # the two heads (struct uwsgi_queue_header)


class Queue:
    """What is pushed into a full ring takes the place of the oldest. An empty value is none.

    Raises ValueError where the program has no queue.
    """

    def __init__(self, program: Program) -> None:
        self.queue_size = int(program.options.get("queue", 0))
        self._shared = Shared(program, _SLOTS, _HEADS)

    def queue_push(self, value: str | bytes) -> bool | None:
        """Put a value into the next place: True."""
        data = self._data(value)
        if not data:
            return None
        with self._there().transaction() as connection:
            slot = _head(connection, _PUSH)
            connection.execute("INSERT OR REPLACE INTO queue VALUES (?, ?)", (slot, data))
            self._move(connection, _PUSH, slot + 1)
        return True

    def queue_pop(self) -> bytes | None:
        """Take the value that was pushed last. As in uwsgi_queue_pop the head goes back even if there is none."""
        with self._there().transaction() as connection:
            slot = (_head(connection, _PUSH) - 1) % self.queue_size
            self._move(connection, _PUSH, slot)
            return _taken(connection, slot)

    def queue_pull(self) -> bytes | None:
        """Take the value that was pushed first."""
        with self._there().transaction() as connection:
            slot = _head(connection, _PULL)
            value = _taken(connection, slot)
            if value is not None:
                self._move(connection, _PULL, slot + 1)
            return value

    def queue_get(self, slot: int) -> bytes | None:
        """The value in a place, which stays."""
        with self._there().connection() as connection:
            return _value(connection, slot)

    def queue_set(self, slot: int, value: str | bytes) -> bool | None:
        """Put a value into a place; None for one that there is not."""
        data = self._data(value)
        if not 0 <= slot < self.queue_size or not data:
            return None
        with self._there().connection() as connection:
            connection.execute("INSERT OR REPLACE INTO queue VALUES (?, ?)", (slot, data))
        return True

    def queue_last(self, number: int = 0) -> bytes | list[bytes | None] | None:
        """The value that was pushed last; of a number of them a list, the last one first."""
        with self._there().connection() as connection:
            head = _head(connection, _PUSH)
            slots = [(head - back) % self.queue_size for back in range(1, min(max(number, 1), self.queue_size) + 1)]
            found = [_value(connection, slot) for slot in slots]
        return found if number else found[0]

    def queue_slot(self) -> int:
        """Where the next value is pushed."""
        with self._there().connection() as connection:
            return _head(connection, _PUSH)

    def queue_pull_slot(self) -> int:
        """Where the next value is pulled."""
        with self._there().connection() as connection:
            return _head(connection, _PULL)

    def _there(self) -> Shared:
        if self.queue_size < 1:
            raise ValueError("the program has no queue: say how many places it has, with the option queue=N")
        return self._shared

    def _data(self, value: str | bytes) -> bytes:
        return value.encode() if isinstance(value, str) else bytes(memoryview(value))

    def _move(self, connection: sqlite3.Connection, name: str, slot: int) -> None:
        connection.execute("INSERT OR REPLACE INTO queue_heads VALUES (?, ?)", (name, slot % self.queue_size))


def _head(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT slot FROM queue_heads WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def _value(connection: sqlite3.Connection, slot: int) -> bytes | None:
    row = connection.execute("SELECT value FROM queue WHERE slot = ?", (slot,)).fetchone()
    return None if row is None else bytes(row[0])


def _taken(connection: sqlite3.Connection, slot: int) -> bytes | None:
    value = _value(connection, slot)
    connection.execute("DELETE FROM queue WHERE slot = ?", (slot,))
    return value
