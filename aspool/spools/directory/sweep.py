"""Sweep: remove what crashes and other programs left in the private area. Never a message."""

import os
import time

from . import descriptors
from .following.finding import paths_of
from .following.results import sweep_results
from .locks import try_lock
from .tree import PRIVATE, Tree
from .unique import remove_stale

INTERVAL = 3600.0  # seconds between two sweeps, and how old a leftover must be


def sweep(tree: Tree) -> int:
    """Remove half-written files and what belongs to no message any more; how many went. Blocking.

    Raises SpoolUnusable when the spool is gone.
    """
    return (
        _sweep_drafts(tree.area("tmp"))
        + _sweep_ids(tree.area("ids"))
        + sweep_results(tree)
        + _sweep_orders(tree.area("orders"))
        + _sweep_changes(tree)
    )


def _sweep_drafts(area: int) -> int:
    """Files of `.aspool/tmp`, where the file system has no unnamed ones: their writer died if nobody locks them."""
    return sum(_remove_draft(area, name) for name in _old_names(area))


def _remove_draft(area: int, name: str) -> bool:
    try:
        fd = descriptors.open_descriptor(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=area)
    except OSError:
        return False
    try:
        if not try_lock(fd):
            return False
        os.unlink(name, dir_fd=area)
        return True
    except OSError:
        return False
    finally:
        descriptors.close_descriptor(fd)


def _sweep_ids(area: int) -> int:
    """Ids whose message uWSGI finished, which knows nothing of ids, or whose publisher died."""
    return sum(_remove_id(area, name) for name in _old_names(area))


def _remove_id(area: int, name: str) -> bool:
    try:
        if os.stat(name, dir_fd=area, follow_symlinks=False).st_nlink > 1:
            return False
        return remove_stale(area, name)
    except OSError:
        return False


def _sweep_orders(area: int) -> int:
    """Orders of callers that died; who waits for one keeps it young."""
    return sum(_remove(area, name) for name in _old_names(area))


def _sweep_changes(tree: Tree) -> int:
    """Of messages that uWSGI finished, or somebody removed."""
    area = tree.area("changes")
    old = frozenset(_old_names(area))
    if not old:
        return 0
    try:
        there = paths_of(tree, old)
    except OSError:
        return 0
    return sum(_remove(area, id) for id in old if id not in there or there[id].startswith(PRIVATE))


def _remove(area: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=area)
    except OSError:
        return False
    return True


def _old_names(area: int) -> list[str]:
    """Names that have not been touched for a while."""
    before = time.time() - INTERVAL
    try:
        with descriptors.passing:
            names = os.listdir(area)
        return [name for name in names if _changed(area, name) < before]
    except OSError:
        return []


def _changed(area: int, name: str) -> float:
    try:
        return os.stat(name, dir_fd=area, follow_symlinks=False).st_ctime
    except OSError:
        return float("inf")  # gone meanwhile
