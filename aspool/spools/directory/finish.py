"""Finish: do with a claimed file what its outcome says, while its lock is held. Blocking."""

import errno
import math
import os
from dataclasses import replace

from ...outcomes import Buried, Cancelled, Changes, Done, HandedBack, Outcome, PutOff
from . import descriptors, marks
from .bury import bury
from .claim import FileClaim
from .following.changes import write_changes
from .following.notes import remove_note
from .following.results import Results
from .locks import unlock
from .marks import Mark
from .names import FileName, microseconds
from .tree import Tree
from .unique import free_id

_GONE = (Done, Cancelled)  # the message goes


class Finisher:
    """Settles claims of one spool."""

    def __init__(self, tree: Tree, *, durable: bool) -> None:
        self._tree = tree
        self._durable = durable
        self.results = Results(tree)

    def finish(self, claim: FileClaim, outcome: Outcome) -> None:
        """Settle, then let go of the file.

        Raises OSError when the disk refuses: the file is then still held, so that nobody runs it again.
        """
        if claim.fd < 0:
            return  # settled already: whoever waited for it was cancelled and tells us again
        try:
            if isinstance(outcome, _GONE):
                if outcome.kept is not None or type(outcome) is Cancelled:
                    self._keep_end(claim, outcome)
                self._delete(claim, outcome)
                _close(claim)  # nobody finds it any more, so the lock need not go first
                return
            if isinstance(outcome, PutOff):
                self._put_off(claim, outcome)
            elif isinstance(outcome, HandedBack):
                _hand_back(claim)
            else:
                self._bury(claim, outcome)
        except FileNotFoundError:
            pass  # somebody removed it by hand: it is as finished as can be
        self.let_go(claim)

    def let_go(self, claim: FileClaim) -> None:
        """Unlock and close."""
        try:
            unlock(claim.fd)  # not only close: a forked child may have the file open too
        except OSError:
            pass
        _close(claim)

    def _keep_end(self, claim: FileClaim, outcome: Done | Cancelled | Buried) -> None:
        """What tickets are told of it later; before the message goes, so that they never find nothing."""
        if outcome.kept is not None:
            self.results.keep(claim.message.id, outcome.kept)
        elif isinstance(outcome, Cancelled):
            self.results.keep_cancelled(claim.message.id, outcome.reason)
        if isinstance(outcome, Cancelled):
            marks.write_mark(claim.fd, Mark.CANCELLED)

    def _delete(self, claim: FileClaim, outcome: Done | Cancelled) -> None:
        os.unlink(claim.name, dir_fd=claim.place.fd)
        if claim.linked:
            try:
                free_id(self._tree, claim.message.id, os.fstat(claim.fd))
            except OSError:
                pass  # with one link left it counts as stale: who publishes the id next removes it
        if claim.changed or type(outcome) is Cancelled:
            remove_note(self._tree, "changes", claim.message.id)

    def _put_off(self, claim: FileClaim, outcome: PutOff) -> None:
        """Mark and mtime first, so that a kill in between leaves "later", uncharged; then one rename.

        The rename also shuts uWSGI out, which may have read the old mtime: its access() of the old name fails.
        """
        if outcome.changes is not None:
            self._write_changes(claim, outcome.changes)
        marks.write_mark(claim.fd, Mark.UNKNOWN if outcome.unknown else Mark.PUT_OFF)
        due = math.ceil(outcome.due)
        os.utime(claim.fd, (due, due))
        name = str(FileName(microseconds(outcome.due), claim.message.id, outcome.attempt, outcome.crashes))
        try:
            os.rename(claim.name, name, src_dir_fd=claim.place.fd, dst_dir_fd=claim.place.fd)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            marks.keep_counts(claim.fd, outcome.attempt, outcome.crashes)  # a full directory may not have room
            return
        claim.name = name

    def _write_changes(self, claim: FileClaim, changes: Changes) -> None:
        if changes.retries is None and claim.changed:  # an earlier run may have changed them
            changes = replace(changes, retries=claim.message.options.get("retries"))
        write_changes(self._tree, claim.message.id, changes)

    def _bury(self, claim: FileClaim, outcome: Buried) -> None:
        self._keep_end(claim, outcome)
        bury(self._tree, claim.place, claim.name, claim.fd, claim.message, outcome, durable=self._durable)
        if claim.changed:
            remove_note(self._tree, "changes", claim.message.id)


def _close(claim: FileClaim) -> None:
    descriptors.close_descriptor(claim.fd)
    claim.fd = -1
    if claim.slots:
        for slot in claim.slots:
            slot.free()


def _hand_back(claim: FileClaim) -> None:
    """As it was before the claim, whose mark moved the mtime."""
    marks.write_mark(claim.fd, Mark.PUT_OFF)
    due = math.ceil(claim.message.due)
    os.utime(claim.fd, (due, due))
