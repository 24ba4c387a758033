"""The spool directory, its priority directories and its private area, all held by descriptors.

Opening, checking, reopening; what is in the directories is other files' affair.
"""

import errno
import math
import os
import stat
import threading
import weakref
from dataclasses import dataclass, field

from ...errors import SpoolUnusable
from . import descriptors, file_system

PRIVATE = ".aspool"  # uWSGI ignores names that start with a dot
AREAS = ("dead", "corrupt", "ids", "tmp", "workers", "results", "changes", "orders", "slots", "paused", "schedules")
VERSION = "1"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
DEEPEST = 8  # levels of priority directories in priority directories that are looked at


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Place:
    """A directory in which task files wait: "" is the spool itself, "5" and "5/2" are priorities."""

    path: str
    fd: int
    rank: tuple[float, ...] = field(default=(math.inf,))

    def named(self, name: str) -> str:
        """The path of a file in it, below the spool directory."""
        return f"{self.path}/{name}" if self.path else name

    @property
    def priority(self) -> int | None:
        """The number that the directory is called, the first of several."""
        return int(self.path.split("/")[0]) if self.path else None


NOWHERE = Place("", -1)


def rank_of(path: str) -> tuple[float, ...]:
    """The order of work: by number, a directory in a directory first, the spool itself last (uWSGI's ordered scan)."""
    return (*(int(part) for part in path.split("/") if part), math.inf)


_trees: "weakref.WeakSet[Tree]" = weakref.WeakSet()


class Tree:
    """Opens when first used, again after a fork, and again when the directory was replaced by another."""

    def __init__(self, path: str, *, insecure: bool = False, network: bool = False) -> None:
        self.path = path
        self.owners: frozenset[int] = frozenset()
        self.strips_modes = True  # the umask takes away what the owner of a new file should have
        self.any_modifier = False  # files with another modifier1 than a spooler's are messages too
        self._insecure = insecure
        self._network = network
        self._lock = threading.RLock()
        _trees.add(self)
        self._generation = -1
        self._was_open = False
        self._held: list[int] = []  # all open descriptors, also of directories replaced since: a claim may need them
        weakref.finalize(self, _close_all, self._held).atexit = False
        self._forget()

    def _forget(self) -> None:
        self._places: dict[str, Place] = {}
        self._areas: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        """Whether the descriptors are this process's own and open."""
        return self._generation == descriptors.generation() and "" in self._places

    def open(self, *, create: bool = True) -> None:
        """Open it and make what is missing below it; with `create` the directory itself, never its parents.

        Raises SpoolUnusable with the reason.
        """
        if self.is_open:
            return
        with self._lock:
            if self.is_open:
                return
            self._forget()
            if self._generation != descriptors.generation():
                self._held.clear()  # the fork has closed them
                self._generation = descriptors.generation()
            held = len(self._held)
            try:
                self._open(create and not self._was_open)
            except (OSError, SpoolUnusable) as error:
                self._forget()
                failed, self._held[held:] = self._held[held:], []  # the others are of claims that still run
                _close_all(failed)
                if isinstance(error, SpoolUnusable):
                    raise
                raise SpoolUnusable(f"the spool {self.path} cannot be used: {_explain(error, self.path)}") from error

    def _open(self, create: bool) -> None:
        if create:
            try:
                os.mkdir(self.path, 0o700)
                os.chmod(self.path, 0o700)  # whatever the umask
            except FileExistsError:
                pass
        top = self._hold(descriptors.open_descriptor(self.path, _DIRECTORY))
        if not self._network and (reason := file_system.refusal(file_system.kind_at(top))):
            raise SpoolUnusable(f"the spool {self.path} {reason}")
        found = os.fstat(top)
        if found.st_mode & stat.S_IWOTH and not self._insecure:
            raise SpoolUnusable(
                f"the spool {self.path} is world-writable, so anybody could queue tasks as you: chmod o-w it"
            )
        if not os.access(".", os.R_OK | os.W_OK | os.X_OK, dir_fd=top, effective_ids=True):
            raise SpoolUnusable(f"the spool {self.path} cannot be written by this user")
        self.owners = frozenset({os.geteuid(), found.st_uid, 0})
        self.strips_modes = bool(_umask() & 0o600)
        private = self._make(PRIVATE, top)
        self._areas[""] = private
        if os.fstat(private).st_dev != found.st_dev:
            raise SpoolUnusable(
                f"{self.path}/{PRIVATE} lies on another file system than the spool: files cannot move there"
            )
        for area in AREAS:
            self._areas[area] = self._make(area, private)
        self._check_version(private)
        self._was_open = True
        self._places[""] = Place("", top)  # from here on it is open

    def _check_version(self, private: int) -> None:
        try:
            version = descriptors.open_descriptor("version", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=private)
        except FileNotFoundError:
            version = descriptors.open_descriptor("version", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, dir_fd=private)
            os.write(version, VERSION.encode())
            os.lseek(version, 0, os.SEEK_SET)
        try:
            text = os.read(version, 20).decode(errors="replace").strip()
        finally:
            descriptors.close_descriptor(version)
        if text not in ("", VERSION):  # empty: another process is writing it now
            raise SpoolUnusable(
                f"the spool {self.path} has format {text!r}, this aspool knows {VERSION}: use a newer one"
            )

    def _make(self, name: str, parent: int) -> int:
        """A directory of 0700 below another one, made if missing, never through a link."""
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            os.chmod(name, 0o700, dir_fd=parent)
        except FileExistsError:
            pass
        return self._hold(descriptors.open_descriptor(name, _DIRECTORY, dir_fd=parent))

    def _hold(self, fd: int) -> int:
        self._held.append(fd)
        return fd

    def close(self) -> None:
        """Close all descriptors."""
        with self._lock:
            if self._generation == descriptors.generation():
                _close_all(self._held)
            self._was_open = False
            self._forget()

    def area(self, name: str) -> int:
        """The descriptor of a private directory; "" is the private area itself."""
        with self._lock:  # another thread may be about to reopen it
            self.open()
            return self._areas[name]

    def make_again(self, name: str) -> None:
        """Make a private directory that somebody has removed. Raises OSError."""
        with self._lock:
            self._areas[name] = self._make(name, self.area(""))

    @property
    def top(self) -> Place:
        """The spool directory itself."""
        with self._lock:
            self.open()
            return self._places[""]

    def known_places(self) -> list[Place]:
        """The directories that are open, in the order of work."""
        with self._lock:
            self.open()
            return sorted(self._places.values(), key=lambda place: place.rank)

    def place(self, path: str, *, create: bool = False, sync: bool = False) -> Place:
        """A priority directory by its path ("5", "5/2"). Raises OSError when it is missing, a link or no directory."""
        self.open()
        known = self._places.get(path)
        if known is not None:
            return known
        with self._lock:
            if path in self._places:
                return self._places[path]
            above, _, name = path.rpartition("/")
            parent = self.place(above)
            if create:
                try:
                    os.mkdir(name, 0o700, dir_fd=parent.fd)
                    os.chmod(name, 0o700, dir_fd=parent.fd)
                    if sync:
                        os.fsync(parent.fd)
                except FileExistsError:
                    pass
            fd = self._hold(descriptors.open_descriptor(name, _DIRECTORY, dir_fd=parent.fd))
            self._places[path] = Place(path, fd, rank_of(path))
            return self._places[path]

    def drop(self, place: Place) -> None:
        """Forget a priority directory that somebody removed; it is closed when the last claim of it is settled."""
        with self._lock:
            if self._places.get(place.path) is place and place.path:
                del self._places[place.path]
                self._held.remove(place.fd)
                weakref.finalize(place, _close_one, place.fd, descriptors.generation()).atexit = False

    def drop_removed(self) -> list[Place]:
        """Forget the priority directories that their path no longer leads to, and name them."""
        removed = [place for place in self.known_places() if place.path and not self._is_there(place)]
        for place in removed:
            self.drop(place)
        return removed

    def place_now(self, path: str) -> Place:
        """As `place`, but never one that was removed and made again since. Raises OSError."""
        known = self._places.get(path)
        if known is not None and known.path and not self._is_there(known):
            self.drop(known)
        return self.place(path)

    def _is_there(self, place: Place) -> bool:
        try:
            at_path, here = os.stat(place.path, dir_fd=self.top.fd, follow_symlinks=False), os.fstat(place.fd)
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return (at_path.st_dev, at_path.st_ino) == (here.st_dev, here.st_ino)

    def mtimes(self) -> dict[str, int]:
        """The mtime (ns) of each place, by its path; a place that cannot be read is left out."""
        mtimes = {}
        for place in self.known_places():
            try:
                mtimes[place.path] = os.fstat(place.fd).st_mtime_ns
            except OSError:
                pass
        return mtimes

    def is_gone(self) -> bool:
        """Whether the path no longer leads to the directory that is open."""
        with self._lock:
            if not self.is_open:
                return False
            top = self._places[""].fd
        try:
            at_path = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return True
        try:
            here = os.fstat(top)
        except OSError:
            return False  # the disk refuses: others will say so
        return (at_path.st_dev, at_path.st_ino) != (here.st_dev, here.st_ino)

    def reopen(self) -> None:
        """Open what is at the path now. Raises SpoolUnusable when nothing is: it is not made again in silence."""
        with self._lock:
            if self.is_open and not self.is_gone():
                self.drop_removed()
                return
            self._forget()
            if not os.path.lexists(self.path):
                raise SpoolUnusable(
                    f"the spool {self.path} has been deleted while it was in use; make the directory again"
                )
            self.open(create=False)


def _close_all(held: list[int]) -> None:
    while held:
        descriptors.close_descriptor(held.pop())


def _renew_locks() -> None:
    """A thread that held one while another forked does not exist in the child, and would never give it back."""
    for tree in list(_trees):
        tree._lock = threading.RLock()  # noqa: SLF001 - of this module


os.register_at_fork(after_in_child=_renew_locks)


def _close_one(fd: int, generation: int) -> None:
    if generation == descriptors.generation():  # otherwise a fork has closed it
        descriptors.close_descriptor(fd)


def _umask() -> int:
    """Asked of the kernel where that is possible: os.umask sets it, for a moment, for all threads."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
    except (OSError, StopIteration, ValueError):
        return 0o777  # not to be known here


def _explain(error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT and os.path.isdir(os.path.dirname(path)):
        return "it has been deleted while it was in use; make the directory again"
    if error.errno == errno.ENOENT:
        return f"the directory above it does not exist ({os.path.dirname(path)}); aspool makes only the last one"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        if os.path.islink(path):
            return "it is a symbolic link: name the real directory"
        return "it, or something above it, is no directory"
    return os.strerror(error.errno or 0)
