"""Publish: write, make durable, give a name, answer. In that order, whatever fails."""

import errno
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from ...errors import AspoolError, NotSpooled, SpoolUnusable, Uncertain
from ...message import Message
from ...protocol import Stored
from ..readers import chunks
from . import descriptors
from .draft import Draft
from .names import FileName, microseconds
from .tree import Place, Tree
from .unique import link_unique

Durability = Literal["disk", "process"]
GROUP = 64  # files that are open at the same time
PARALLEL_SYNCS = 16  # the journal merges parallel fsyncs; a serial loop of them saves nothing

Answer = Stored | Exception
_full = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Item:
    """A message to publish; `draft` is there when its body has been streamed already."""

    message: Message
    draft: Draft | None = None

    def close(self) -> None:
        """Give it up."""
        if self.draft is not None:
            self.draft.close()


class Publisher:
    """Writes messages of one spool. Blocking, and safe from any thread."""

    def __init__(self, tree: Tree, durability: Durability) -> None:
        self._tree = tree
        self.durable = durability == "disk"
        self._syncs: tuple[int, ThreadPoolExecutor] | None = None

    def publish(self, items: Sequence[Item]) -> list[Answer]:
        """One answer for each, in order: Stored once it is as safe as the durability says, or why it is not."""
        answers: list[Answer] = []
        self._follow()
        for start in range(0, len(items), GROUP):
            answers += self._publish_group(items[start : start + GROUP])
        return answers

    def _follow(self) -> None:
        """Write where the path leads now: in a directory that was moved away nobody might ever look."""
        if self._tree.is_gone():
            try:
                self._tree.reopen()
            except SpoolUnusable:
                pass  # each message is told

    def _publish_group(self, items: Sequence[Item]) -> list[Answer]:
        steps: list[Draft | Exception] = [self._write(item) for item in items]
        if self.durable:
            steps = self._sync_files(steps)
        answers = [step if isinstance(step, Exception) else self._link(step) for step in steps]
        if self.durable:
            answers = self._sync_directories(steps, answers)
        for step in steps:
            if isinstance(step, Draft):
                step.close()
        return answers

    def _write(self, item: Item) -> Draft | Exception:
        draft = item.draft
        try:
            if draft is None:
                draft = self.start(item.message)
                if item.message.body is not None:
                    for chunk in chunks(item.message.body):
                        draft.write(chunk)
            draft.seal()
        except Exception as error:
            if draft is not None:
                draft.close()
            return self.refusal(error)
        return draft

    def start(self, message: Message) -> Draft:
        """The file of a message, open for writing. Raises OSError or AspoolError."""
        self._tree.open()
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
        name = str(FileName(microseconds(message.due), message.id, message.attempt, message.crashes))
        try:
            if message.unique:
                return Stored(message.id, duplicate=not link_unique(self._tree, draft, name))
            draft.link(name, draft.place.fd)
        except FileExistsError:
            return Stored(message.id, duplicate=True)  # the same id and moment: it is this message
        except OSError as error:
            return self.refusal(error)
        return Stored(message.id)

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


def _sync_directory(place: Place) -> OSError | None:
    try:
        os.fsync(place.fd)
    except OSError as error:
        return error
    return None
