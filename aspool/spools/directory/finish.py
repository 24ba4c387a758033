"""Finish: do with a claimed file what its outcome says, while its lock is held. Blocking."""

import errno
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import replace

from ...errors import SpoolUnusable
from ...outcomes import Buried, Cancelled, Changes, Done, HandedBack, Outcome, PutOff
from ...protocol import Claim
from . import descriptors, marks
from .bury import bury
from .claim import FileClaim
from .following.changes import write_changes
from .following.notes import remove_note
from .following.results import Results
from .held import Held
from .locks import unlock
from .marks import Mark
from .names import FileName, microseconds
from .tree import Tree
from .unique import free_id

logger = logging.getLogger("aspool.directory")

_GONE = (Done, Cancelled)  # the message goes
HANG = 0.3  # seconds for which a leaving process waits for a claim or a finish that the disk holds up


class Finisher:
    """Settles claims of one spool."""

    def __init__(self, tree: Tree, *, durable: bool) -> None:
        self._tree = tree
        self._durable = durable
        self.results = Results(tree)
        self.held = Held()

    def finish(self, claim: FileClaim, outcome: Outcome) -> None:
        """Settle, then let go of the file.

        Raises OSError when the disk refuses: the file is then still held, so that nobody runs it again.
        """
        with self.held.lock:
            if claim.fd < 0 or self.held.has_left:
                return  # settled already: whoever waited for it was cancelled and tells us again
            if self._settle(claim, outcome):
                self._close(claim)  # nobody finds it any more, so the lock need not go first
            else:
                self._let_go(claim)

    def _settle(self, claim: FileClaim, outcome: Outcome) -> bool:
        """Do what the outcome says; whether the file is deleted now."""
        try:
            if isinstance(outcome, _GONE):
                if outcome.kept is not None or type(outcome) is Cancelled:
                    self._keep_end(claim, outcome)
                self._delete(claim, outcome)
                return True
            if isinstance(outcome, PutOff):
                self._put_off(claim, outcome)
            elif isinstance(outcome, HandedBack):
                _hand_back(claim)
            else:
                self._bury(claim, outcome)
        except FileNotFoundError:
            pass  # somebody removed it by hand: it is as finished as can be
        return False

    def let_go(self, claim: FileClaim) -> None:
        """Unlock and close, whatever becomes of it."""
        if not self.held.has_left:
            self._let_go(claim)

    def _let_go(self, claim: FileClaim) -> None:
        try:
            unlock(claim.fd)  # not only close: a forked child may have the file open too
        except OSError:
            pass
        self._close(claim)

    def _close(self, claim: FileClaim) -> None:
        self.held.claims.discard(claim)
        descriptors.close_descriptor(claim.fd)
        claim.fd = -1
        if claim.slots:
            for slot in claim.slots:
                slot.free()

    def leave(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:
        """Settle these, hand back the others that are held, and keep all of them locked: this process ends now."""
        held = self.held
        if held.has_left:
            return
        is_free = held.lock.acquire(timeout=HANG)  # if not, one file hangs; the others can be changed all the same
        held.has_left = True
        errors = []
        try:
            outcomes: dict[Claim, Outcome] = dict.fromkeys(held.claims, HandedBack("its worker left"))
            for claim, outcome in (outcomes | dict(settled)).items():
                assert isinstance(claim, FileClaim), "a claim of another spool"
                try:
                    if claim.fd >= 0:
                        self._settle(claim, outcome)
                except (OSError, SpoolUnusable) as error:
                    errors.append(f"the end of {claim.name} cannot be written: {error}")
        finally:
            if is_free:
                held.lock.release()
        for text in errors:
            logger.error("%s: %s", self._tree.path, text)

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


def _hand_back(claim: FileClaim) -> None:
    """As it was before the claim, whose mark moved the mtime."""
    marks.write_mark(claim.fd, Mark.PUT_OFF)
    due = math.ceil(claim.message.due)
    os.utime(claim.fd, (due, due))
