"""File monitors: what a path looks like, and when to look again, as the kernel tells (a hint: it may know nothing)."""

import errno
import os
import stat
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from .inotify import LOST, Happened, Inotify, Interest
from .report import logger

SETTLE = 0.05  # seconds without a change before it is told
LONGEST = 1.0  # seconds until it is told while changes do not end
MOST_LINKS = 40  # in one path, as the kernel's
TRIES = 10  # to follow a path that changes meanwhile
MOST_READS = 16  # of events, in one go

Identity = tuple[int, int]  # device and inode


# --- what a path looks like ----------------------------------------------------------------------------------


def signature(path: str) -> str | None:
    """What a path looks like: a short text; None if nothing is there. Blocking; raises no OSError.

    It changes when a file is touched, changed, replaced or made, and when a link leads elsewhere; for a directory when
    an entry directly in it appears, goes, is touched or changes. It is the same after a restart, and for all processes:
    no device number is in it. What is forbidden looks like its error ("EACCES").
    """
    try:
        status, own = os.stat(path), os.lstat(path)
    except OSError as error:
        return _unseen(error)
    parts = [str(status.st_mtime_ns), str(status.st_ino)]
    if stat.S_ISLNK(own.st_mode):
        parts += [str(own.st_mtime_ns), str(own.st_ino)]
    parts.append(_entries(path) if stat.S_ISDIR(status.st_mode) else str(status.st_size))
    return ":".join(parts)


def _unseen(error: OSError) -> str | None:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return None
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def _entries(path: str) -> str:
    try:
        with os.scandir(path) as entries:
            lines = sorted(_entry(entry) for entry in entries)
    except OSError as error:
        return _unseen(error) or ""
    return blake2b(b"\0".join(lines), digest_size=12).hexdigest()


def _entry(entry: "os.DirEntry[str]") -> bytes:
    name = os.fsencode(entry.name)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # it has just gone
        return name
    if stat.S_ISDIR(status.st_mode):  # what happens in there would show in its time and size
        return b"%s/%d" % (name, status.st_ino)
    return b"%s/%d/%d/%d" % (name, status.st_ino, status.st_mtime_ns, status.st_size)


# --- what must be watched to hear of a path ------------------------------------------------------------------

ITSELF, ANY = "", None  # beside the name of an entry


@dataclass(frozen=True, slots=True)
class Step:
    """One of the things that lead to a path, or the thing at its end."""

    place: str  # its path, free of links
    identity: Identity
    interest: Interest
    name: str | None  # the entry that matters, ITSELF or ANY


def trail(path: str) -> tuple[Step, ...]:
    """All that leads to a path, as far as it exists: a change of the path shows in one of them first."""
    steps: list[Step] = []
    try:
        steps.extend(_steps(path))
    except OSError:  # it is being changed: whoever sees that looks again
        pass
    return tuple(steps)


def _steps(path: str) -> Iterator[Step]:
    place, links = "/", 0
    left = deque(_names(path))
    yield _step(place, Interest.ITSELF, ITSELF)
    while left:
        name = left.popleft()
        if name == "..":
            place = os.path.dirname(place)
            continue
        below = os.path.join(place, name)
        try:
            mode = os.lstat(below).st_mode
        except OSError:
            mode = 0
        if not mode or not left or not stat.S_ISDIR(mode):  # missing, or the last, or a link, or in the way
            yield _step(place, Interest.NAMES, name)
        if stat.S_ISLNK(mode) and links < MOST_LINKS:
            target, links = os.readlink(below), links + 1
            left.extendleft(reversed(_names(target)))
            place = "/" if target.startswith("/") else place
        elif stat.S_ISDIR(mode):
            place = below
            yield _step(place, Interest.ITSELF, ITSELF)
        else:
            if mode and not left:
                yield _step(below, Interest.CONTENT, ANY)
            return
    yield _step(place, Interest.NAMES | Interest.CONTENT, ANY)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _step(place: str, interest: Interest, name: str | None) -> Step:
    status = os.lstat(place)
    return Step(place, (status.st_dev, status.st_ino), interest, name)


@dataclass(slots=True)
class _Watch:
    """One watch of the kernel, for all trails that lead over it."""

    place: str
    interest: Interest = Interest.ITSELF
    paths: dict[str | None, set[str]] = field(default_factory=dict)  # by what matters to them
    number: int | None = None  # None: it cannot be watched

    def concerned(self, happened: Happened) -> Iterable[str]:
        """The paths that may have changed."""
        nobody: set[str] = set()
        if happened.name:
            return self.paths.get(happened.name, nobody) | self.paths.get(ANY, nobody)
        if happened.of_content:
            return self.paths.get(ANY, nobody)
        return nobody.union(*self.paths.values())


# --- watching ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Unrest:
    """A path that changes: since when, and whether it has since the last look."""

    since: float
    goes_on: bool = True


class FileMonitors:
    """Watches paths as long as it is open, and tells which may have changed, once they have come to rest.

    `changed` is called on the event loop with a watched path. Where the system cannot watch it says nothing.
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._inotify: Inotify | None = None
        self._has_complained = False
        self._trails: dict[str, tuple[Step, ...]] = {}
        self._watches: dict[Identity, _Watch] = {}
        self._numbers: dict[int, _Watch] = {}
        self._unrest: dict[str, _Unrest] = {}
        self._timer: TimerHandle | None = None  # while something changes; nothing is heard otherwise meanwhile

    def watch(self, paths: Collection[str]) -> None:
        """The absolute paths to watch from now on, in place of those before. Call it on the event loop."""
        wanted = set(paths)
        for path in self._trails.keys() - wanted:
            del self._trails[path]
            self._unrest.pop(path, None)
        if not wanted:
            self.close()
        elif self._inotify is None:
            self._open(wanted)
        else:
            self._follow(wanted - self._trails.keys())

    def close(self) -> None:
        """Watch nothing any more. It can be used again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in (self._trails, self._watches, self._numbers, self._unrest):
            each.clear()
        if self._inotify is not None:
            get_running_loop().remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _open(self, paths: set[str]) -> None:
        try:
            self._inotify = Inotify()
        except OSError as error:
            self._complain(error)
            return
        self._follow(paths)
        get_running_loop().add_reader(self._inotify.fd, self._wake)

    def _complain(self, error: OSError) -> None:
        if self._has_complained:
            return
        self._has_complained = True
        advice = ""
        if error.errno in (errno.EMFILE, errno.ENOSPC):
            advice = "; raise fs.inotify.max_user_instances or max_user_watches"
        logger.warning("file monitors look only at each frequency: the system watches no more (%s)%s", error, advice)

    # --- keeping to the trails -------------------------------------------------------------------------------

    def _follow(self, paths: Collection[str]) -> None:
        """Watch what leads to these paths now. Nothing that changes meanwhile is missed."""
        for _ in range(TRIES):
            before = [self._trails.get(path) for path in paths]
            self._trails.update((path, trail(path)) for path in paths)
            self._set_watches()
            if before == [self._trails[path] for path in paths]:
                return

    def _set_watches(self) -> None:
        before, self._watches, self._numbers = self._watches, self._wanted(), {}
        for identity in before.keys() - self._watches.keys():
            self._remove(before[identity])
        for identity, watch in self._watches.items():
            self._set(watch, identity, before.get(identity))
            if watch.number is not None:
                self._numbers[watch.number] = watch

    def _set(self, watch: _Watch, identity: Identity, before: _Watch | None) -> None:
        if before is not None and before.number is not None and before.interest == watch.interest:
            watch.number = before.number
            return
        watch.number = self._add(watch, identity)
        if before is not None and watch.number is None:
            self._remove(before)

    def _wanted(self) -> dict[Identity, _Watch]:
        watches: dict[Identity, _Watch] = {}
        for path, steps in self._trails.items():
            for step in steps:
                watch = watches.setdefault(step.identity, _Watch(step.place))
                watch.interest |= step.interest
                watch.paths.setdefault(step.name, set()).add(path)
        return watches

    def _add(self, watch: _Watch, identity: Identity) -> int | None:
        if self._inotify is None:
            return None
        try:
            return self._inotify.add(watch.place, identity, watch.interest)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._complain(error)
            return None  # forbidden, or gone again

    def _remove(self, watch: _Watch) -> None:
        if self._inotify is not None and watch.number is not None:
            self._inotify.remove(watch.number)

    # --- hearing ---------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """The first change after a rest. From now on it looks at times: a large file is written in many pieces."""
        assert self._inotify is not None
        get_running_loop().remove_reader(self._inotify.fd)
        self._hear()
        self._timer = get_running_loop().call_later(SETTLE, self._look)

    def _look(self) -> None:
        assert self._inotify is not None
        loop = get_running_loop()
        for unrest in self._unrest.values():
            unrest.goes_on = False
        self._hear()
        now = loop.time()
        settled = [path for path, each in self._unrest.items() if not each.goes_on or now - each.since >= LONGEST]
        for path in settled:
            del self._unrest[path]
        if self._unrest:
            self._timer = loop.call_later(SETTLE, self._look)
        else:
            self._timer = None
            loop.add_reader(self._inotify.fd, self._wake)
        self._tell(settled)

    def _tell(self, settled: list[str]) -> None:
        if settled:
            self._follow(settled)  # first: what happens from now on is heard of, or seen by whoever is told
        for path in settled:
            if path in self._trails:  # whoever was told may have changed what is watched
                self._changed(path)

    def _hear(self) -> None:
        assert self._inotify is not None
        now = get_running_loop().time()
        for _ in range(MOST_READS):
            events = self._inotify.read()
            if not events:
                return
            for path in {path for event in events for path in self._concerned(event)}:
                self._unrest.setdefault(path, _Unrest(now)).goes_on = True

    def _concerned(self, happened: Happened) -> Iterable[str]:
        if happened is LOST:
            return self._start_anew()
        watch = self._numbers.get(happened.number)
        if watch is None:
            return ()
        if happened.is_last:
            del self._numbers[happened.number]
            watch.number = None
        return watch.concerned(happened)

    def _start_anew(self) -> Iterable[str]:
        for watch in self._watches.values():
            self._remove(watch)
        self._watches, self._numbers = {}, {}
        return tuple(self._trails)
