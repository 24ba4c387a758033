"""Finding: all places of a spool, what lies in them, and where the message with some id is. Blocking."""

import os
from collections.abc import Iterator

from .. import descriptors, names
from ..names import PREFIX
from ..scan import scan
from ..tree import PRIVATE, Place, Tree


def all_places(tree: Tree) -> list[Place]:
    """The spool and its priority directories, in the order of work, also those that nobody has opened yet."""
    found: dict[str, Place] = {}
    waiting = [tree.top]
    while waiting:
        place = waiting.pop()
        found[place.path] = place
        for name in _directories(place):
            try:
                waiting.append(tree.place(place.named(name)))
            except OSError:
                continue  # a link, or gone meanwhile
    return sorted(found.values(), key=lambda place: place.rank)


def _directories(place: Place) -> list[str]:
    try:
        return scan(place, 1).directories
    except OSError:
        return []


def names_in(directory: int, prefix: str = PREFIX) -> list[str]:
    """The names of task files in a directory, or others with a prefix, in no order. Raises OSError."""
    # A descriptor of its own: two readers of one would share the position.
    fd = descriptors.open_descriptor(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        with descriptors.passing:
            found = os.listdir(fd)
    finally:
        descriptors.close_descriptor(fd)
    return [name for name in found if name.startswith(prefix)]


def id_of(name: str) -> str:
    """The id of the message in a file of that name."""
    parsed = names.parse(name)
    return parsed.id if parsed else names.foreign(name, 0).id


def paths_of(tree: Tree, ids: frozenset[str]) -> dict[str, str]:
    """The path below the spool of each of these messages, also of the dead; without those that are nowhere.

    Reads all names, twice where something is not found: a rename meanwhile may hide a name. Raises OSError.
    """
    found: dict[str, str] = {}
    for _ in range(2):
        for path, name in _all_names(tree):
            id = _quick_id(name)
            if id in ids and id == id_of(name):
                found.setdefault(id, path + name)
                if len(found) == len(ids):
                    return found
    return found


def _all_names(tree: Tree) -> Iterator[tuple[str, str]]:
    """Directory and name of each task file; the dead last."""
    for place in all_places(tree):
        try:
            yield from ((f"{place.path}/" if place.path else "", name) for name in names_in(place.fd))
        except FileNotFoundError:
            continue  # a priority directory that was removed
    dead = f"{PRIVATE}/dead/"
    # Of several dead ones with an id of their caller's the last is meant.
    for name in sorted(names_in(tree.area("dead")), reverse=True):
        if not name.endswith(".json"):
            yield dead, name


_ID = len(PREFIX) + 17  # where the id begins in a name of ours


def _quick_id(name: str) -> str:
    """As `id_of`, for names by the thousand, all of ours but a few."""
    return id_of(name) if names.glance(name) is None else name[_ID:].rsplit("_", 2)[0]
