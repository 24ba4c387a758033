"""Notes: small files of ours about a message, `.aspool/<area>/<id>`: what is kept of its end, what a job changed in it.

They are replaced whole. Whatever else somebody laid there (links, directories, huge files) counts as nothing.
"""

import os
import stat

from ....errors import SpoolUnusable
from .. import descriptors
from ..tree import Tree

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def write_note(
    tree: Tree, area: str, id: str, data: bytes, mtime: float | None = None, *, durable: bool = False
) -> None:
    """Write a note, instead of one that may be there; `durable`, safe from power loss.

    Raises OSError or SpoolUnusable; then the older one is as it was, unless the disk did not confirm the new one.
    """
    draft = draft_note(tree, area, data, mtime, durable=durable)
    name_note(tree, area, id, draft, durable=durable)


def draft_note(tree: Tree, area: str, data: bytes, mtime: float | None = None, *, durable: bool = False) -> str:
    """Write a note that has no place yet; `name_note` gives it one. Raises OSError or SpoolUnusable."""
    drafts = tree.area("tmp")
    draft = f"{area}.{os.urandom(8).hex()}"
    fd = descriptors.open_descriptor(draft, _NEW, dir_fd=drafts)
    try:
        if tree.strips_modes:
            os.fchmod(fd, 0o600)
        give_to_owner(tree, fd)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if mtime is not None:
            os.utime(fd, (mtime, mtime))
        if durable:
            os.fsync(fd)
    except OSError:
        os.unlink(draft, dir_fd=drafts)
        raise
    finally:
        descriptors.close_descriptor(fd)
    return draft


def name_note(tree: Tree, area: str, id: str, draft: str, *, durable: bool = False) -> None:
    """Put a draft in the place of the note that may be there. Raises OSError; then the draft is gone."""
    drafts = tree.area("tmp")
    try:
        os.rename(draft, id, src_dir_fd=drafts, dst_dir_fd=tree.area(area))
    except OSError:
        os.unlink(draft, dir_fd=drafts)
        raise
    if durable:
        os.fsync(tree.area(area))


def give_to_owner(tree: Tree, fd: int) -> None:
    """What root writes must be readable for the workers, which are another user's. Raises OSError."""
    if os.geteuid() == 0:
        owner = os.stat(".", dir_fd=tree.top.fd)
        if owner.st_uid:
            os.fchown(fd, owner.st_uid, owner.st_gid)


def read_note(tree: Tree, area: str, id: str, largest: int) -> tuple[bytes, float] | None:
    """A note and its mtime; None when there is none, or what is there cannot be one. Never fails."""
    try:
        fd = descriptors.open_descriptor(id, _LOOK, dir_fd=tree.area(area))
    except (OSError, ValueError, SpoolUnusable):
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in tree.owners or found.st_size > largest:
            return None
        return _read_all(fd, found.st_size), found.st_mtime
    except OSError:
        return None
    finally:
        descriptors.close_descriptor(fd)


def _read_all(fd: int, size: int) -> bytes:
    data = os.read(fd, size)
    while len(data) < size and (more := os.read(fd, size - len(data))):
        data += more
    return data


def remove_note(tree: Tree, area: str, id: str) -> None:
    """Remove a note, if there is one. Never fails."""
    try:
        os.unlink(id, dir_fd=tree.area(area))
    except (OSError, SpoolUnusable):
        pass  # there was none, or it is none of ours; the sweep looks too
