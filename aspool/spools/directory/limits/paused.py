"""Paused: what nobody may begin, as files in `.aspool/paused`: one for the spool, one for each task. Blocking."""

import os

from ....errors import SpoolUnusable
from .. import descriptors
from ..following.notes import read_note
from ..tree import Tree
from .slots import file_name

AREA = "paused"
SPOOL = "spool"  # the file that pauses all of it
LONGEST = 4096  # bytes
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def pause(tree: Tree, task: str | None) -> None:
    """Write it down, safe from power loss. Raises SpoolUnusable."""
    try:
        _pause(tree.area(AREA), _name_of(task), (task or "").encode(errors="replace"))
    except OSError as error:
        raise SpoolUnusable(f"{_what(tree, task)} cannot be paused: {error.strerror}") from error


def _pause(area: int, name: str, content: bytes) -> None:
    draft = f".{os.urandom(4).hex()}"
    fd = descriptors.open_descriptor(draft, _NEW, dir_fd=area)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, content)
        os.fsync(fd)
        os.rename(draft, name, src_dir_fd=area, dst_dir_fd=area)  # whoever sees it sees all of it
        os.fsync(area)
    except OSError:
        os.unlink(draft, dir_fd=area)
        raise
    finally:
        descriptors.close_descriptor(fd)


def resume(tree: Tree, task: str | None) -> None:
    """Take it back. Raises SpoolUnusable."""
    area = tree.area(AREA)
    try:
        os.unlink(_name_of(task), dir_fd=area)
        os.fsync(area)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SpoolUnusable(f"{_what(tree, task)} cannot be resumed: {error.strerror}") from error


def paused(tree: Tree) -> frozenset[str | None]:
    """What is paused: names of tasks, and None for the spool; files of others say nothing. Raises SpoolUnusable."""
    area = tree.area(AREA)
    try:
        with descriptors.passing:
            names = os.listdir(area)
    except OSError as error:
        raise SpoolUnusable(f"what is paused in {tree.path} cannot be read: {error.strerror}") from error
    tasks = [_task_of(tree, name) for name in names]
    return frozenset(task or None for task in tasks if task is not None)


def _what(tree: Tree, task: str | None) -> str:
    return f"the spool {tree.path}" if task is None else f"{task} in the spool {tree.path}"


def _name_of(task: str | None) -> str:
    return SPOOL if task is None else file_name(task)


def _task_of(tree: Tree, name: str) -> str | None:
    """The task that a file names, "" for the spool; None if it is no file of ours."""
    note = read_note(tree, AREA, name, LONGEST)
    if note is None:
        return None
    if name == SPOOL:
        return ""
    task = note[0].decode(errors="replace")
    return task if task and file_name(task) == name else None
