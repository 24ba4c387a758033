"""Claim: open, lock, check that it is still the same file and due, read its variables, mark it. Blocking.

Mirrors uWSGI's spooler_manage_task, with the checks that it lacks.
"""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn

from ... import wire
from ...body import Body
from ...errors import BadFile, BadPacket
from ...message import Message, from_variables, front_size, is_newer
from ...protocol import Claim
from ...records import state_of
from ..unknown import unknown_text, unknown_wait
from . import descriptors, marks, names
from .bury import quarantine, retire
from .content import CHECKSUM, LENGTH, checksum_fits
from .following.changes import changed_message, was_cancelled
from .following.notes import remove_note
from .following.results import Results
from .guard import GuardedFile
from .held import Held
from .limits.gate import UNKNOWN_TASK, Gate, Reason
from .limits.slots import Slot
from .locks import may_flock, try_lock
from .marks import Mark
from .names import FileName, microseconds
from .tree import NOWHERE, Place, Tree
from .unique import free_id, is_id_of

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# The worker died, or handed it back and left: in both cases a job's process may live on for a moment, or have ended
# without being heard.
_HELD = (Mark.RUNNING, Mark.PUT_OFF)
YOUNG = 60.0  # seconds: a short file may still be written by uWSGI, which creates before it locks
GONE, BUSY, LATER, STRANGE, BROKEN_DISK, NO_DESCRIPTORS = (
    "gone",
    "busy",
    "later",
    "strange",
    "broken disk",
    "no descriptors",
)
_STRANGE = (errno.ELOOP, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV, errno.ENOTDIR)


class Candidate(NamedTuple):
    """A name that may be claimed."""

    place: Place
    name: str


class Skip(NamedTuple):
    """Why a name was not claimed; `due` (a UNIX timestamp) when it is only later, `reason` when it must wait."""

    why: str
    due: float = 0.0
    text: str = ""
    reason: Reason | None = None


@dataclass(slots=True, eq=False)
class FileClaim(Claim):
    """A claim that is a locked file."""

    fd: int = -1
    place: Place = NOWHERE
    name: str = ""
    linked: bool = False  # it has an id of its caller's, a second link
    changed: bool = False  # by an earlier run of its job
    held: str = ""  # the name under which this worker knows that it holds it
    slots: tuple[Slot, ...] = ()  # that its job has, until the claim is settled

    def have(self, slot: Slot) -> None:
        """Its job, wherever that runs, has a slot."""
        self.slots = (*self.slots, slot)
        if isinstance(self.body.reader, GuardedFile):
            self.body.reader.slots = tuple(held.guard(os.getpid()) for held in self.slots)


class _Unclaimed(Exception):
    def __init__(self, skip: Skip) -> None:
        self.skip = skip


class Claimer:
    """Claims files of one spool, many in one trip to the disk."""

    def __init__(self, tree: Tree, gate: Gate | None = None, held: Held | None = None) -> None:
        self._tree = tree
        self._gate = gate
        self._held = held or Held()
        self._results = Results(tree)
        self._pid = os.getpid()

    def claim_all(self, candidates: Sequence[Candidate], now: float) -> list[FileClaim | Skip]:
        """An answer for each candidate, in order; fewer when descriptors ran out or the disk refuses locks."""
        answers: list[FileClaim | Skip] = []
        held = self._held
        for candidate in candidates:
            with held.lock:
                answer = Skip(BUSY) if held.has_left else self.claim(candidate, now)
                if isinstance(answer, FileClaim):
                    held.claims.add(answer)
            answers.append(answer)
            if isinstance(answer, Skip) and answer.why in (NO_DESCRIPTORS, BROKEN_DISK):
                break
        return answers

    def claim(self, candidate: Candidate, now: float) -> FileClaim | Skip:
        """Claim one file, or say why not. Nothing is changed by a refusal, except that broken files are put aside."""
        fd = -1
        try:
            fd = descriptors.open_descriptor(candidate.name, _OPEN, dir_fd=candidate.place.fd)
            return self._claim(fd, candidate, now)
        except _Unclaimed as reason:
            skip = reason.skip
        except OSError as error:
            skip = _skip_for(error)
        except Exception as error:  # the last resort: no file can stop the worker
            skip = Skip(STRANGE, text=f"{candidate.name} cannot be claimed: {error!r}")
        if fd >= 0:
            descriptors.close_descriptor(fd)
        return skip

    def _claim(self, fd: int, candidate: Candidate, now: float) -> FileClaim:
        if not try_lock(fd):
            raise _Unclaimed(Skip(BUSY))
        found = os.fstat(fd)
        linked = self._check_kind(candidate, found)
        self._check_same(candidate, found)
        name = names.parse(candidate.name) or names.foreign(candidate.name, found.st_mtime)
        due = due_moment(name, found)
        # That mark moved the mtime, which is later than now if the clock was set back since.
        if due > now and marks.read_mark(fd) is not Mark.RUNNING:
            raise _Unclaimed(Skip(LATER, due))
        try:
            packet, message, start = _read(fd, found, name, candidate.place, now)
            if packet.modifier1 != wire.SPOOL_MODIFIER:
                packet = self._adopt(fd, found, packet)
        except (BadPacket, BadFile) as error:
            self._quarantine(fd, candidate, str(error))
        path = f"{self._tree.path}/{candidate.place.named(candidate.name)}"
        reader = GuardedFile(f"/proc/{self._pid}/fd/{fd}", start, found.st_size - start, path)
        claim = FileClaim(message, Body(reader=reader), False, is_newer(packet.variables), fd, *candidate, linked)
        mark = Mark.NONE
        if packet.modifier2 and (mark := marks.mark_of(packet.modifier2)) is not Mark.NONE:
            self._obey_mark(claim, mark, found)
        if self._gate is not None and not self._gate.is_open(message.task):
            self._admit(claim, self._gate, mark, found, now)
        try:
            if mark is not Mark.NONE:
                self._take_over(claim, mark)
            marks.write_mark(fd, Mark.RUNNING)  # on the file itself, before it runs
        except BaseException:
            for slot in claim.slots:
                slot.free()
            raise
        return claim

    def _adopt(self, fd: int, found: os.stat_result, packet: wire.Packet) -> wire.Packet:
        """Another program has put something else into the header: uWSGI looks at neither modifier. Raises BadFile."""
        if not self._tree.any_modifier:
            raise BadFile(f"its modifier1 is {packet.modifier1}, not {wire.SPOOL_MODIFIER}: it is no spool file")
        os.pwrite(fd, bytes((wire.SPOOL_MODIFIER,)), 0)
        os.pwrite(fd, b"\0", 3)  # what stands there is no mark of ours
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
        return packet._replace(modifier1=wire.SPOOL_MODIFIER, modifier2=0)

    def _admit(self, claim: FileClaim, gate: Gate, mark: Mark, found: os.stat_result, now: float) -> None:
        """Ask whether the message may begin now, the last question of all. Raises _Unclaimed if not."""
        task = claim.message.task
        try:
            answer = gate.admit(task)
        except OSError as error:
            text = f"{claim.name} may not begin, as the slots of {task} cannot be used: {error}"
            raise _Unclaimed(Skip(STRANGE, text=text)) from None
        if isinstance(answer, Slot):
            claim.have(answer)
        elif answer is None or (claim.newer and answer.why == UNKNOWN_TASK):
            pass  # what a newer aspool has written is the worker's to judge
        elif answer.why == UNKNOWN_TASK:
            _show_unknown(claim.fd, mark, found)
            raise _Unclaimed(Skip(answer.why, now + unknown_wait(claim.message, now), unknown_text(task)))
        else:
            raise _Unclaimed(Skip(answer.why, reason=answer))

    def _obey_mark(self, claim: FileClaim, mark: Mark, found: os.stat_result) -> None:
        """What the last holder of a file left behind. Raises _Unclaimed when there is nothing left to run."""
        if mark in _HELD and not may_flock(claim.fd):
            raise _Unclaimed(Skip(BUSY))  # the worker is dead; the child that ran the job is about to be
        if mark in _HELD and marks.is_done(claim.fd):
            self._finish_done(claim, found)
        if mark is Mark.DEAD:
            self._retire_again(claim)
        if self._was_cancelled(claim.message.id, mark):
            self._results.keep_cancelled(claim.message.id, "its worker died before it had stopped")
            self._finish_done(claim, found)

    def _was_cancelled(self, id: str, mark: Mark) -> bool:
        """Whether it was to go when somebody died. The mark alone is a byte that anybody may have written."""
        if was_cancelled(self._tree, id):
            return True
        record = self._results.read(id) if mark is Mark.CANCELLED else None
        return record is not None and state_of(record) == "cancelled"

    def _take_over(self, claim: FileClaim, mark: Mark) -> None:
        """What earlier runs have left."""
        _take_counts(claim, crashed=mark is Mark.RUNNING)
        changed = changed_message(self._tree, claim.message)
        if changed is not None:
            claim.message, claim.changed = changed, True

    def _check_kind(self, candidate: Candidate, found: os.stat_result) -> bool:
        """A regular file of an allowed owner that nobody linked elsewhere; whether it has an id of its caller's."""
        if not stat.S_ISREG(found.st_mode):
            raise _Unclaimed(Skip(STRANGE, text=f"{candidate.name} is no regular file"))
        if found.st_uid not in self._tree.owners:
            raise _Unclaimed(Skip(STRANGE, text=f"{candidate.name} belongs to the user {found.st_uid}"))
        if found.st_nlink == 1:
            return False
        name = names.parse(candidate.name)
        if found.st_nlink == 2 and name and is_id_of(self._tree.area("ids"), name.id, found):
            return True
        if found.st_nlink == 0:
            raise _Unclaimed(Skip(GONE))
        raise _Unclaimed(Skip(BUSY if found.st_nlink == 2 else STRANGE, text=f"{candidate.name} has links elsewhere"))

    def _check_same(self, candidate: Candidate, found: os.stat_result) -> None:
        """The path must still name the file that is locked now: whoever held the lock before may have moved it."""
        try:
            at_path = os.stat(candidate.name, dir_fd=candidate.place.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise _Unclaimed(Skip(GONE)) from None
        if (at_path.st_dev, at_path.st_ino) != (found.st_dev, found.st_ino):
            raise _Unclaimed(Skip(BUSY))

    def _quarantine(self, fd: int, candidate: Candidate, reason: str) -> NoReturn:
        try:
            quarantine(self._tree, candidate.place, candidate.name, fd, reason)
        except OSError as error:
            text = f"{candidate.name} is broken ({reason}) but cannot be moved to .aspool/corrupt: {error.strerror}"
            raise _Unclaimed(Skip(STRANGE, text=text)) from None
        raise _Unclaimed(Skip(GONE, text=f"{candidate.name} is broken ({reason}): it is in .aspool/corrupt now"))

    def _finish_done(self, claim: FileClaim, found: os.stat_result) -> NoReturn:
        """A job whose worker died between its end and the deletion of its file: delete it, do not run it again."""
        os.unlink(claim.name, dir_fd=claim.place.fd)
        if claim.linked:
            free_id(self._tree, claim.message.id, found)
        remove_note(self._tree, "changes", claim.message.id)
        raise _Unclaimed(Skip(GONE))

    def _retire_again(self, claim: FileClaim) -> NoReturn:
        """A message that was buried where it lay, since the disk was full: move it now."""
        try:
            retire(self._tree, claim.place, claim.name, claim.fd, claim.message)
        except OSError:
            raise _Unclaimed(Skip(STRANGE)) from None
        raise _Unclaimed(Skip(GONE, text=f"{claim.name} is in .aspool/dead now"))


def due_moment(name: FileName, found: os.stat_result) -> float:
    """When a file is due: as its name says, or as its mtime says if somebody set that later (touch -d)."""
    due = name.due / 1_000_000
    latest = -(-name.due // 1_000_000)  # the mtime of a message due later is its moment rounded up
    return found.st_mtime if found.st_mtime > latest else due


def _read(fd: int, found: os.stat_result, name: FileName, place: Place, now: float) -> tuple[wire.Packet, Message, int]:
    """The packet, the message and where the body starts. Raises BadPacket or BadFile, for old files only."""
    data = os.pread(fd, min(found.st_size, wire.LARGEST_PACKET), 0)
    try:
        packet = _decode(data, found.st_size)
        front_length = front_size(packet.variables)
        start = packet.size + front_length
        if start > found.st_size:
            raise BadFile(f"its arguments take {front_length} bytes, but the file ends before")
        front = os.pread(fd, front_length, packet.size) if front_length else b""
        message = from_variables(
            packet.variables, front, id=name.id, due=name.due / 1_000_000, priority=place.priority,
            attempt=name.attempt, crashes=name.crashes,
        )  # fmt: skip
    except (BadPacket, BadFile):
        # Without a checksum of ours the file is another program's, which may not have finished writing it.
        if now - found.st_mtime < YOUNG and CHECKSUM not in data:
            raise _Unclaimed(Skip(BUSY)) from None
        raise
    return packet, message, start


def _decode(data: bytes, size: int) -> wire.Packet:
    packet = wire.decode(data)
    length = packet.variables.get(LENGTH)
    checksum = packet.variables.get(CHECKSUM)
    if length is not None and (not length.isdigit() or int(length) != size - packet.size):
        raise BadFile(f"its body should have {length.decode(errors='replace')} bytes, but has {size - packet.size}")
    if checksum is not None and size == len(data) and not checksum_fits(data, packet.size, checksum):
        raise BadFile("its checksum does not fit")
    return packet


def _take_counts(claim: FileClaim, *, crashed: bool) -> None:
    """What the name could not say, since the disk was full, and the death that its mark tells of."""
    message = claim.message
    attempt, crashes = marks.kept_counts(claim.fd)
    attempt, crashes = max(message.attempt, attempt), max(message.crashes, crashes) + crashed
    claim.crashed = crashed
    claim.message = replace(message, attempt=attempt, crashes=crashes)
    if crashed:
        _count_crash(claim)


def _count_crash(claim: FileClaim) -> None:
    """In the name; a full directory may not have room even for a rename."""
    name = names.parse(claim.name)
    message = claim.message
    due = microseconds(message.due) if name is None else name.due
    counted = str(FileName(due, message.id, message.attempt, message.crashes))
    try:
        os.rename(claim.name, counted, src_dir_fd=claim.place.fd, dst_dir_fd=claim.place.fd)
        claim.name = counted
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        marks.keep_counts(claim.fd, message.attempt, message.crashes)


def _show_unknown(fd: int, mark: Mark, found: os.stat_result) -> None:
    """Mark a message of an unknown task, for whoever looks; but a worker's death must still be counted."""
    if mark in (Mark.NONE, Mark.PUT_OFF):
        marks.write_mark(fd, Mark.UNKNOWN)
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def _skip_for(error: OSError) -> Skip:
    if error.errno == errno.ENOENT:
        return Skip(GONE)
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return Skip(NO_DESCRIPTORS, text=f"claiming pauses: {error.strerror}")
    if error.errno in _STRANGE:
        return Skip(STRANGE, text=f"{error.filename or 'a file'} cannot be opened: {error.strerror}")
    return Skip(BROKEN_DISK, text=f"claiming pauses, the disk refuses: {error.strerror}")
