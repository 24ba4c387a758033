"""The records of schedules in the memory of one process."""

import threading
from collections.abc import Callable, Collection, Sequence

from .. import clock
from ..message import Message
from ..protocol import Stored
from ..turn import Decide, Kept, Lives, Taken

Put = Callable[[Sequence[Message]], Sequence[Stored | Exception]]


class MemorySchedules:
    """The schedules of one memory spool. From any thread; `changed` is told the name of each that has changed."""

    def __init__(self, put: Put, lives: Lives, changed: Callable[[str], None]) -> None:
        self._put, self._lives, self._changed = put, lives, changed
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}

    def turn(self, name: str, decide: Decide) -> Taken:
        """See turn.KeepsSchedules."""
        with self._lock:
            kept = self._kept.get(name)
            before = None if kept is None else kept.record
            turn = decide(before, self._lives)
            if turn is None:
                return Taken(before)
            answers = self._put(turn.messages) if turn.messages else ()
            record = turn.record if turn.record_first else turn.record_after(answers)
            if record is None:
                return Taken(before, answers)
            self._keep(name, record)
        self._changed(name)
        return Taken(record or None, answers)

    def _keep(self, name: str, record: bytes) -> None:
        if record:
            self._kept[name] = Kept(record, clock.now())
        else:
            self._kept.pop(name, None)

    def records(self, names: Collection[str] | None) -> dict[str, Kept]:
        """The records, or these."""
        with self._lock:
            return {name: kept for name, kept in self._kept.items() if names is None or name in names}

    def keep_alive(self, names: Collection[str]) -> None:
        """Note that these are known."""
        with self._lock:
            for name in names:
                if name in self._kept:
                    self._kept[name] = self._kept[name]._replace(known=clock.now())
