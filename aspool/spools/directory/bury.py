"""Putting files aside for good: buried messages into `.aspool/dead`, broken files into `.aspool/corrupt`.

Beside each lies a JSON with the reason. The caller holds the lock of the file.
"""

import json
import os
from datetime import UTC, datetime
from typing import Any

from ...message import Message
from ...outcomes import Buried
from . import descriptors, marks
from .marks import Mark
from .names import FileName, microseconds
from .tree import Place, Tree
from .unique import free_id

FAR_FUTURE = 4_102_444_800  # 2100-01-01: the mtime of a dead message that could not be moved


def bury(tree: Tree, place: Place, name: str, fd: int, message: Message, outcome: Buried, *, durable: bool) -> None:
    """Move a message to the dead ones; on a full disk park it where it lies. Raises OSError if not even that works."""
    try:
        target = _free_name(tree, message, outcome)
        _put_aside(tree, "dead", place, name, fd, target, _dead_record(message, outcome))
        marks.write_mark(fd, Mark.NONE)
    except FileNotFoundError:
        raise
    except OSError:
        marks.write_mark(fd, Mark.DEAD)
        marks.keep_counts(fd, outcome.attempt, outcome.crashes)
        os.utime(fd, (FAR_FUTURE, FAR_FUTURE))
        return
    if durable:
        os.fsync(place.fd)
        os.fsync(tree.area("dead"))


def retire(tree: Tree, place: Place, name: str, fd: int, message: Message) -> None:
    """Move a message that `bury` had to park. Raises OSError when there is still no room."""
    outcome = Buried("buried while the disk was full; the reason was not kept", "", message.attempt, message.crashes)
    target = _free_name(tree, message, outcome)
    _put_aside(tree, "dead", place, name, fd, target, _dead_record(message, outcome))
    marks.write_mark(fd, Mark.NONE)


def _free_name(tree: Tree, message: Message, outcome: Buried) -> str:
    """A name among the dead; an earlier one of the same id and moment, whose caller chose both, stays."""
    due = microseconds(message.due)
    while True:
        name = str(FileName(due, message.id, outcome.attempt, outcome.crashes))
        try:
            os.stat(name, dir_fd=tree.area("dead"), follow_symlinks=False)
        except FileNotFoundError:
            return name
        due += 1


def quarantine(tree: Tree, place: Place, name: str, fd: int, reason: str) -> None:
    """Move a broken file to `.aspool/corrupt`, its inode number added to its name. Raises OSError."""
    record = {"reason": reason, "name": place.named(name), "moved": _iso(datetime.now(UTC).timestamp())}
    # As long as the file lies there no other file can have its inode, so the new name is free.
    _put_aside(tree, "corrupt", place, name, fd, f"{name}.{os.fstat(fd).st_ino}", record)


def _put_aside(tree: Tree, area: str, place: Place, name: str, fd: int, target: str, record: dict[str, Any]) -> None:
    directory = tree.area(area)
    found = os.fstat(fd)
    _write_record(directory, f"{target}.json", {**record, "unique": found.st_nlink > 1})
    if area == "dead" and found.st_nlink > 1:
        free_id(tree, record["id"], found)
    os.rename(name, target, src_dir_fd=place.fd, dst_dir_fd=directory)


def _write_record(directory: int, name: str, record: dict[str, Any]) -> None:
    """Best effort: a missing reason must not keep the file from being put aside."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        fd = descriptors.open_descriptor(name, flags, dir_fd=directory)
    except OSError:
        return
    try:
        os.write(fd, json.dumps(record, indent=1).encode(errors="backslashreplace"))
    except OSError:
        pass
    finally:
        descriptors.close_descriptor(fd)


def read_record(directory: int, name: str) -> dict[str, Any]:
    """The JSON beside a file that was put aside; anything strange in it counts as nothing."""
    try:
        fd = descriptors.open_descriptor(f"{name}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return {}
    try:
        record = json.loads(os.read(fd, 1 << 20))
    except (OSError, ValueError, RecursionError):
        return {}
    finally:
        descriptors.close_descriptor(fd)
    return record if isinstance(record, dict) else {}


def _dead_record(message: Message, outcome: Buried) -> dict[str, Any]:
    return {
        "id": message.id,
        "task": message.task,
        "reason": outcome.reason,
        "traceback": outcome.traceback,
        "attempts": outcome.attempt,
        "crashes": outcome.crashes,
        "priority": message.priority,
        "spooled": _iso(message.spooled),
        "due": _iso(message.due),
        "buried": _iso(datetime.now(UTC).timestamp()),
        "log": list(outcome.log),
    }


def _iso(moment: float) -> str | None:
    if not moment:
        return None  # nobody has said when
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat()
    except (ValueError, OverflowError):
        return None  # a forged one
