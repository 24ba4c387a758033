"""Results: what is kept of messages that ended, `.aspool/results/<id>`; its mtime is the moment when it expires."""

import logging
import os
import time

from .... import clock
from ....errors import SpoolUnusable
from ....outcomes import Kept
from ....records import cancelled_record, state_of
from ....results import LARGEST
from .. import descriptors
from ..tree import Tree
from .notes import read_note, remove_note, write_note
from .orders import void_orders

CANCELLED_KEPT = 3600.0  # seconds that a cancelled message is remembered, if nothing else is said
LATEST = 4_102_444_800.0  # 2100-01-01: no file expires later
MANY = 1000  # records that are worth a sweep before the hour is over
LEAST_PAUSE = 30.0  # seconds between two sweeps
_LARGEST_FILE = LARGEST + 64 * 1024  # bytes; a failure with its traceback is smaller by far
_SILENCE = 60.0  # seconds between two log lines
logger = logging.getLogger("aspool.directory")


class Results:
    """Writes and reads the records of one spool. Blocking."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._complained = float("-inf")
        self._written = 0  # since the last sweep
        self._shortest = float("inf")  # seconds that one of them was kept
        self._swept = float("-inf")
        self._duration = 0.0

    def keep(self, id: str, kept: Kept) -> None:
        """Keep a record. Never fails: what cannot be kept must not hold up the end of a message."""
        try:
            write_note(self._tree, "results", id, kept.record, min(clock.now() + kept.seconds, LATEST))
        except (OSError, SpoolUnusable) as error:
            self._complain(id, error)
        self._written += 1
        self._shortest = min(self._shortest, kept.seconds)

    def keep_cancelled(self, id: str, reason: str) -> None:
        """Keep for a while that a message was cancelled. Never fails."""
        self.keep(id, Kept(cancelled_record(reason), CANCELLED_KEPT))

    def _complain(self, id: str, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained >= _SILENCE:
            self._complained = now
            logger.error("%s: the result of %s cannot be kept: %s", self._tree.path, id, error)

    def read(self, id: str) -> bytes | None:
        """The record of a message; None when none is kept, or no more."""
        found = read_note(self._tree, "results", id, _LARGEST_FILE)
        if found is None or found[1] <= clock.now() or not state_of(found[0]):
            return None
        return found[0]

    def wants_sweep(self) -> bool:
        """Whether so many are kept for so short that they cannot wait for the hourly sweep."""
        pause = max(LEAST_PAUSE, self._shortest, 100 * self._duration)
        return self._written >= MANY and time.monotonic() - self._swept >= pause

    def sweep(self) -> None:
        """Remove what has expired. Never fails."""
        self._written, self._shortest = 0, float("inf")
        self._swept = time.monotonic()
        sweep_results(self._tree)
        self._duration = time.monotonic() - self._swept


def sweep_results(tree: Tree) -> int:
    """Remove what has expired; how many went. Never fails."""
    area = tree.area("results")
    try:
        with descriptors.passing:
            names = os.listdir(area)
    except OSError:
        return 0
    return sum(_remove_expired(area, name) for name in names)


def _remove_expired(area: int, name: str) -> bool:
    try:
        if os.stat(name, dir_fd=area, follow_symlinks=False).st_mtime > clock.now():
            return False
        os.unlink(name, dir_fd=area)
    except OSError:
        return False  # gone meanwhile, or no file
    return True


def forget_earlier(tree: Tree, id: str) -> None:
    """A new message has this id, or a dead one lives again: what is kept of the earlier one is not about it."""
    for area in ("results", "changes"):
        remove_note(tree, area, id)
    void_orders(tree, id)
