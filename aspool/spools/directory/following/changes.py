"""Changes: what a job changed of its message, for its next run, or that there is none: `.aspool/changes/<id>`, JSON."""

import errno
import json
import logging
from dataclasses import replace
from typing import Any

from ....errors import ArgumentsRefused, SpoolUnusable
from ....message import LARGEST_BUFFER, Message, written_buffer
from ....outcomes import Changes
from ..tree import Tree
from .notes import read_note, write_note

_LARGEST_FILE = LARGEST_BUFFER + 1024  # bytes
_CANCELLED = b'{"cancelled": true}'
_FULL = (errno.ENOSPC, errno.EDQUOT)
logger = logging.getLogger("aspool.directory")


def write_changes(tree: Tree, id: str, changes: Changes) -> None:
    """Write down what changed, instead of what an earlier run did. Raises OSError while the disk is full."""
    try:
        buffer = written_buffer(changes.buffer)
        write_note(tree, "changes", id, b'{"buffer": %b, "retries": %b}' % (buffer, _number(changes.retries)))
    except (OSError, ArgumentsRefused) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        logger.error("%s: what the job of %s changed is lost: %s", tree.path, id, error)


def _number(retries: object) -> bytes:
    """What an option of the message says may be anything: its file came from outside."""
    return b"%d" % retries if isinstance(retries, int) else b"null"


def note_cancelled(tree: Tree, id: str) -> None:
    """The job of a message is to be stopped: should its worker die, the message does not run again. Never fails."""
    try:
        write_note(tree, "changes", id, _CANCELLED)
    except (OSError, SpoolUnusable) as error:
        logger.error("%s: if the worker of %s dies now it runs again, though cancelled: %s", tree.path, id, error)


def was_cancelled(tree: Tree, id: str) -> bool:
    """Whether `note_cancelled` said so. Never fails."""
    found = read_note(tree, "changes", id, _LARGEST_FILE)
    return found is not None and found[0] == _CANCELLED


def changed_message(tree: Tree, message: Message) -> Message | None:
    """The message as its last run left it; None when that changed nothing. Never fails."""
    found = read_note(tree, "changes", message.id, _LARGEST_FILE)
    changes = None if found is None else _parsed(found[0])
    if changes is None:
        return None
    options = dict(message.options)
    if changes.retries is not None:
        options["retries"] = changes.retries
    return replace(message, buffer=changes.buffer, options=options)


def _parsed(data: bytes) -> Changes | None:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(buffer := found.get("buffer"), dict):
        return None
    retries = found.get("retries")
    is_number = isinstance(retries, int) and not isinstance(retries, bool) and retries >= 0
    return Changes(buffer, retries if is_number else None)
