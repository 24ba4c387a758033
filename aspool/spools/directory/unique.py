"""Ids that callers choose: a hard link `.aspool/ids/<id>` to the task file says that the id waits or runs.

The link count tells the states apart: 2 is a message, 1 is a leftover of a crash or of uWSGI, which knows no ids.
"""

import os

from . import descriptors
from .draft import Draft
from .following.results import forget_earlier
from .locks import try_lock, unlock
from .tree import Tree


def link_unique(tree: Tree, draft: Draft, name: str) -> bool:
    """Lock the new file, link its id, then its name; False when the id waits or runs already. Raises OSError."""
    ids = tree.area("ids")
    id = draft.message.id
    try_lock(draft.fd)  # nobody else has the file yet; a reader must not judge it between the two links
    while True:
        try:
            draft.link(id, ids)
            break
        except FileExistsError:
            if not remove_stale(ids, id):
                return False
    forget_earlier(tree, id)
    try:
        draft.link(name, draft.place.fd)
    except OSError:
        os.unlink(id, dir_fd=ids)
        raise
    unlock(draft.fd)  # whoever heard of the name already tries to claim it
    return True


def remove_stale(ids: int, id: str) -> bool:
    """Remove an id that no message has any more; False when one has it."""
    try:
        fd = descriptors.open_descriptor(id, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=ids)
    except FileNotFoundError:
        return True
    try:
        if os.fstat(fd).st_nlink > 1 or not try_lock(fd):
            return False  # it waits; or its publisher is between the two links
        there = os.fstat(fd)
        if there.st_nlink > 1:
            return False
        if is_id_of(ids, id, there):
            os.unlink(id, dir_fd=ids)
        return True
    finally:
        descriptors.close_descriptor(fd)


def is_id_of(ids: int, id: str, file: os.stat_result) -> bool:
    """Whether `.aspool/ids/<id>` is a link to this file."""
    try:
        found = os.stat(id, dir_fd=ids, follow_symlinks=False)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)


def free_id(tree: Tree, id: str, file: os.stat_result) -> None:
    """Remove the id of a message that is finished or buried, if it is still its own. Raises OSError."""
    ids = tree.area("ids")
    if is_id_of(ids, id, file):
        os.unlink(id, dir_fd=ids)
