"""A spool directory, read without a trace: files are opened for reading only, no lock is taken, and nothing is made."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...errors import BadPacket
from ...spools.directory import names
from ...spools.directory.tree import DEEPEST
from ...wire import LARGEST_PACKET
from .kinds import Kind, content_of

YOUNG = 60.0  # seconds: a file that cannot be read may still be written
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OWNERS = stat.S_IRUSR | stat.S_IWUSR
_UNSEEN = getattr(os, "O_NOATIME", 0)  # only the owner may


@dataclass(slots=True)
class Survey:
    """What lies in a spool. Moments are UNIX timestamps, paths are below the directory."""

    kinds: dict[Kind, Counter[str]] = field(default_factory=dict)
    pickled: int = 0
    of_others: int = 0  # of those with pickles: not of the directory's owner
    later: int = 0
    latest: float = 0.0
    young: int = 0
    below: Counter[str] = field(default_factory=Counter)  # by numbered directory
    priorities: Counter[str] = field(default_factory=Counter)  # those that are no numbers
    broken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many can be read."""
        return sum(names.total() for names in self.kinds.values())


def survey(path: str, now: float) -> Survey:
    """Look at all task files of a directory that exists. Raises OSError for one that cannot be read."""
    found = Survey()
    owner = os.stat(path).st_uid
    for below, entry in _task_files(path, ""):
        try:
            _look_at(entry, below, owner, now, found)
        except FileNotFoundError:
            continue  # it ran meanwhile
        except OSError as error:
            found.broken.append((os.path.join(below, entry.name), f"it cannot be read: {error.strerror}"))
    return found


def _task_files(path: str, below: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Regular files with the prefix, there and in numbered directories; the others are no tasks."""
    with os.scandir(os.path.join(path, below)) as entries:
        for entry in entries:
            inner = os.path.join(below, entry.name)
            if entry.name.startswith(names.PREFIX):
                if entry.is_file(follow_symlinks=False):
                    yield below, entry
            elif _is_priority(entry) and inner.count("/") + 1 < DEEPEST and os.access(entry.path, os.R_OK | os.X_OK):
                yield from _task_files(path, inner)


def _is_priority(entry: "os.DirEntry[str]") -> bool:
    return entry.name.isdecimal() and entry.name.isascii() and entry.is_dir(follow_symlinks=False)


def _look_at(entry: "os.DirEntry[str]", below: str, owner: int, now: float, found: Survey) -> None:
    data, status = _read(entry.path)
    if not stat.S_ISREG(status.st_mode):
        return
    path, mode = os.path.join(below, entry.name), stat.S_IMODE(status.st_mode)
    if mode & _OWNERS != _OWNERS:
        found.broken.append((path, f"its mode is {mode:04o}: its owner may not write it, and so not lock it"))
        return
    try:
        content = content_of(data, status.st_size)
    except BadPacket as error:
        if now - status.st_mtime < YOUNG:
            found.young += 1
        else:
            found.broken.append((path, str(error)))
        return
    found.kinds.setdefault(content.kind, Counter())[content.name] += 1
    found.pickled += content.has_pickles
    found.of_others += content.has_pickles and status.st_uid != owner
    if status.st_mtime > now:
        found.later += 1
        found.latest = max(found.latest, status.st_mtime)
    if below:
        found.below[below] += 1
    if content.priority and not (content.priority.isdecimal() and content.priority.isascii()):
        found.priorities[content.priority] += 1


def _read(path: str) -> tuple[bytes, os.stat_result]:
    """The packet and what the system says of the file."""
    try:
        descriptor = os.open(path, _READ | _UNSEEN)
    except PermissionError:
        descriptor = os.open(path, _READ)
    try:
        return os.read(descriptor, LARGEST_PACKET + 2), os.fstat(descriptor)
    finally:
        os.close(descriptor)
