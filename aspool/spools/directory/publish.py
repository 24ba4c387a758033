"""Publish: write, make durable, give a name, answer. In that order, whatever fails."""

import errno
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from ...body import Body
from ...errors import AspoolError, NotSpooled, SpoolUnusable, Uncertain
from ...message import Message
from ...protocol import Stored
from ..readers import chunks, in_memory
from . import descriptors
from .content import whole
from .draft import Draft
from .limits.room import Bounds, Room, size_of
from .names import microseconds, written
from .tree import Place, Tree
from .unique import link_unique

Durability = Literal["disk", "process"]
GROUP = 64  # files that are open at the same time
FOLLOW = 0.05  # seconds between two looks whether the directory was moved
SMALL = 64 * 1024  # bytes
_UNNAMED = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
PARALLEL_SYNCS = 16  # the journal merges parallel fsyncs; a serial loop of them saves nothing

Answer = Stored | Exception
_full = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Item:
    """A message to publish; `draft` is there when its body has been streamed already."""

    message: Message
    draft: Draft | None = None
    is_small: bool = False  # one write takes all of it

    def close(self) -> None:
        """Give it up."""
        if self.draft is not None:
            self.draft.close()


class Publisher:
    """Writes messages of one spool. Blocking, and safe from any thread."""

    def __init__(self, tree: Tree, durability: Durability, bounds: Bounds | None = None) -> None:
        self._tree = tree
        self._room = Room(tree, bounds) if bounds else None
        self.durable = durability == "disk"
        self._followed = 0.0  # of the monotonic clock
        self._syncs: tuple[int, ThreadPoolExecutor] | None = None

    def publish(self, items: Sequence[Item]) -> list[Answer]:
        """One answer for each, in order: Stored once it is as safe as the durability says, or why it is not."""
        self._follow()
        return self._publish(items) if self._room is None else self._publish_what_fits(items, self._room)

    def _publish_what_fits(self, items: Sequence[Item], room: Room) -> list[Answer]:
        answers: dict[int, Answer] = {}
        left = dict(enumerate(items))
        has_room = True
        while left and has_room:
            refusals = self._refusals(list(left.values()), room)
            let_in = {at: item for (at, item), refusal in zip(left.items(), refusals, strict=True) if refusal is None}
            answers |= {at: refusal for at, refusal in zip(left, refusals, strict=True) if refusal is not None}
            left = {at: item for at, item in left.items() if at not in let_in}
            stored = self._publish_let_in(let_in, room, answers)
            has_room = stored < len(let_in)  # the others were duplicates, say
        _close_all(left.values())
        return [answers[at] for at in range(len(items))]

    def _refusals(self, items: Sequence[Item], room: Room) -> Sequence[Exception | None]:
        try:
            return room.let_in([(item.message, 0 if item.draft else size_of(item.message)) for item in items])
        except (OSError, SpoolUnusable) as error:
            return [self.refusal(error) for _ in items]

    def _publish_let_in(self, let_in: Mapping[int, Item], room: Room, answers: dict[int, Answer]) -> int:
        """Publish and answer those that were let in; how many are in the spool now."""
        stored = 0
        try:
            done = self._publish(list(let_in.values()))
            stored = sum(map(_is_new, done))
        finally:
            room.arrived(len(let_in), stored)
        answers.update(zip(let_in, done, strict=True))
        return stored

    def _publish(self, items: Sequence[Item]) -> list[Answer]:
        if not self.durable:
            return [self._publish_one(item) for item in items]
        answers: list[Answer] = []
        for start in range(0, len(items), GROUP):
            answers += self._publish_group(items[start : start + GROUP])
        return answers

    def _follow(self) -> None:
        """Write where the path leads now: in a directory that was moved away nobody might ever look."""
        now = time.monotonic()
        if now - self._followed < FOLLOW:
            return
        self._followed = now
        if self._tree.is_gone():
            try:
                self._tree.reopen()
            except SpoolUnusable:
                pass  # each message is told

    def _publish_one(self, item: Item) -> Answer:
        if item.is_small and not item.message.unique and not self._tree.strips_modes:
            try:
                return self._publish_at_once(item.message)
            except Exception:  # noqa: S110 - whatever it is, the careful way tells
                pass  # nothing of it has a name: again, with care, and with an answer to what is wrong
        draft = self._write(item)
        if isinstance(draft, Exception):
            return draft
        answer = self._link(draft)
        draft.close()
        return answer

    def _publish_at_once(self, message: Message) -> Stored:
        """What most messages need, and no more. Raises anything."""
        place = self._tree.place("" if message.priority is None else str(message.priority))
        content = whole(message, in_memory(message.body) or b"")
        fd = os.open(".", _UNNAMED, 0o600, dir_fd=place.fd)
        try:
            if os.write(fd, content) < len(content):
                raise OSError(errno.ENOSPC, "a short write")
            if message.due > message.spooled:
                due = math.ceil(message.due)
                os.utime(fd, (due, due))
            os.link(f"/proc/self/fd/{fd}", _name_of(message), dst_dir_fd=place.fd, follow_symlinks=True)
        finally:
            os.close(fd)  # a child forked meanwhile may keep it: it has no lock
        return self._stored(message, place) if message.plain else Stored(message.id)

    def _publish_group(self, items: Sequence[Item]) -> list[Answer]:
        steps = self._sync_files([self._write(item) for item in items])
        answers = [step if isinstance(step, Exception) else self._link(step) for step in steps]
        answers = self._sync_directories(steps, answers)
        for step in steps:
            if isinstance(step, Draft):
                step.close()
        return answers

    def _write(self, item: Item) -> Draft | Exception:
        """The file of a message, whole but for its name."""
        draft = item.draft
        try:
            if draft is not None:
                draft.end_stream()
            else:
                draft = self.start(item.message)
                _fill(draft, item.message.body)
            draft.set_due()
        except Exception as error:
            if draft is not None:
                draft.close()
            return self.refusal(error)
        return draft

    def start_stream(self, message: Message) -> Draft:
        """As `start`, for a message that has not been let in yet. Raises SpoolFull before anything is written."""
        if self._room is not None:
            self._room.check(message)
        return self.start(message)

    def start(self, message: Message) -> Draft:
        """The file of a message, open for writing. Raises OSError or AspoolError."""
        try:
            return Draft(self._tree, message, durable=self.durable)
        except FileNotFoundError:  # the spool was replaced, or a priority directory removed
            self._tree.reopen()
            return Draft(self._tree, message, durable=self.durable)

    def _sync_files(self, steps: Sequence[Draft | Exception]) -> list[Draft | Exception]:
        if len(steps) == 1:
            return [self._sync_file(steps[0])]
        return list(self._pool().map(self._sync_file, steps))

    def _sync_file(self, step: Draft | Exception) -> Draft | Exception:
        if isinstance(step, Exception):
            return step
        try:
            os.fsync(step.fd)
        except OSError as error:
            step.close()  # never fsync again: the kernel may have marked the lost pages clean
            return self.refusal(error)
        return step

    def _pool(self) -> ThreadPoolExecutor:
        generation = descriptors.generation()  # threads do not survive a fork
        if self._syncs is None or self._syncs[0] != generation:
            self._syncs = generation, ThreadPoolExecutor(PARALLEL_SYNCS, thread_name_prefix="aspool fsync")
        return self._syncs[1]

    def _link(self, draft: Draft) -> Answer:
        message = draft.message
        name = _name_of(message)
        try:
            if message.unique:
                return Stored(message.id, duplicate=not link_unique(self._tree, draft, name))
            draft.link(name, draft.place.fd)
        except FileExistsError:
            return Stored(message.id, duplicate=True)  # the same id and moment: it is this message
        except OSError as error:
            return self.refusal(error)
        return self._stored(message, draft.place) if message.plain else Stored(message.id)

    def _stored(self, message: Message, place: Place) -> Stored:
        """The answer with the path, which uwsgi.spool gives."""
        return Stored(message.id, path=f"{self._tree.path}/{place.named(_name_of(message))}")

    def _sync_directories(self, steps: Sequence[Draft | Exception], answers: Sequence[Answer]) -> list[Answer]:
        places = {
            step.place.path: step.place
            for step, answer in zip(steps, answers, strict=True)
            if isinstance(step, Draft) and isinstance(answer, Stored)
        }
        failed = {path: error for path, place in places.items() if (error := _sync_directory(place)) is not None}
        return [
            self._uncertain(step.message.id, failed[step.place.path])
            if isinstance(step, Draft) and isinstance(answer, Stored) and step.place.path in failed
            else answer
            for step, answer in zip(steps, answers, strict=True)
        ]

    def _uncertain(self, id: str, error: OSError) -> Uncertain:
        return Uncertain(
            f"the message {id} is in {self._tree.path}, but the disk did not confirm it ({error.strerror}): "
            "it may run; do not spool it again without looking",
            id,
        )

    def refusal(self, error: Exception) -> Exception:
        """What a caller is told of an error: a CallError or TypeError as it is, the disk's in words."""
        if not isinstance(error, OSError):
            return (
                error
                if isinstance(error, AspoolError | TypeError)
                else NotSpooled(f"its body could not be read: {error!r}")
            )
        if self._tree.is_gone():
            return SpoolUnusable(f"the spool {self._tree.path} has been deleted or replaced while it was in use")
        advice = "make room and spool again" if error.errno in _full else "look at the disk and the directory's mode"
        return NotSpooled(f"nothing was written to {self._tree.path}: {error.strerror or error}; {advice}")


def _close_all(items: Iterable[Item]) -> None:
    for item in items:
        item.close()


def _is_new(answer: Answer) -> bool:
    """Whether there is one message more now."""
    return isinstance(answer, Uncertain) or (isinstance(answer, Stored) and not answer.duplicate)


def is_small(message: Message) -> bool:
    """Whether one write takes all of it."""
    data = in_memory(message.body)
    return data is not None and len(data) + len(message.arguments) < SMALL


def _name_of(message: Message) -> str:
    return written(microseconds(message.due), message.id, message.attempt, message.crashes)


def _fill(draft: Draft, body: Body | None) -> None:
    data = in_memory(body)
    if data is not None:
        draft.write_whole(data)
    elif body is not None:
        draft.write_stream(chunks(body))


def _sync_directory(place: Place) -> OSError | None:
    try:
        os.fsync(place.fd)
    except OSError as error:
        return error
    return None
