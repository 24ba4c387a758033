"""Gate: which messages may begin now. It knows what is paused, the limits of tasks, and who has the turn.

It says why one may not begin; what becomes of that one then is the affair of the claim and of the look.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..tree import Tree
from . import paused
from .slots import RAW, TURN, Slot, Slots, file_name

LIMITED, PAUSED, UNKNOWN_TASK = "limited", "paused", "unknown task"
MANY = 1000  # names that are let in at the same time where no slot is needed


class Reason(NamedTuple):
    """What messages wait for."""

    why: str
    task: str | None


class Gate:
    """One worker's gate to one spool. `limit` as in WorkerSide."""

    def __init__(self, tree: Tree, limit: Callable[[str | None], float]) -> None:
        self.paused: frozenset[str | None] = frozenset()
        self.must_look = True  # what is paused may have changed
        self.waits_for_turn = False
        self._tree = tree
        self._limit = limit
        self._slots = Slots(tree)
        self._tasks: dict[str, str | None] = {}  # by the name of the file of their slots

    def is_open(self, task: str | None) -> bool:
        """Whether messages of this task may begin without further question; most may."""
        return not self.paused and self._limit(task) == math.inf

    def admit(self, task: str | None) -> Slot | Reason | None:
        """Whether a message of this task may begin: in the slot, or without one; or why not. Raises OSError."""
        if self.paused and task in self.paused:
            return Reason(PAUSED, task)
        limit = self._limit(task)
        if limit == math.inf:
            return None
        if limit < 1:
            return Reason(UNKNOWN_TASK, task)
        return self._slots.take(self._file_of(task), int(limit)) or Reason(LIMITED, task)

    def room(self, reason: Reason) -> int:
        """How many of those that wait for that may begin now, as far as can be seen."""
        if reason.why == PAUSED:
            return 0 if reason.task in self.paused else MANY
        limit = self._limit(reason.task)
        if not 1 <= limit < math.inf:
            return MANY
        try:
            return self._slots.count_free(self._file_of(reason.task), int(limit))
        except OSError:
            return 1  # the one that is tried says what is wrong

    def _file_of(self, task: str | None) -> str:
        name = RAW if task is None else file_name(task)
        self._tasks[name] = task
        return name

    def reason_of(self, slots_file: str) -> Reason | None:
        """Who may wait for the slots of that file; None if nobody here does."""
        return Reason(LIMITED, self._tasks[slots_file]) if slots_file in self._tasks else None

    @property
    def is_shut(self) -> bool:
        """Whether the whole spool is paused."""
        return None in self.paused

    def look(self) -> None:
        """See what is paused now. Blocking. Raises SpoolUnusable."""
        self.must_look = False
        try:
            self.paused = paused.paused(self._tree)
        except BaseException:
            self.must_look = True
            raise

    def take_turn(self) -> Slot | None:
        """The turn of an ordered spool, or None: then another worker, or an earlier claim, has it. Raises OSError."""
        self.waits_for_turn = True
        turn = self._slots.take(TURN, 1)
        self.waits_for_turn = turn is None
        return turn

    def leave(self) -> None:
        """The spool is not served any more, or it was replaced."""
        self._slots.leave()
        self._tasks.clear()
        self.must_look, self.waits_for_turn = True, False
