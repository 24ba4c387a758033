"""Checks of what the kernel and the file system can do here. Probes use files without a name: nothing is left."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ...spools.directory import locks
from ...spools.directory.watch import start_watching
from .finding import Finding, ok, warn

LIMITS = "/proc/sys/fs/inotify"


@contextmanager
def probe(path: str) -> Iterator[int]:
    """A new file in the directory that nobody sees. Raises OSError."""
    try:
        fd = os.open(path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):
        # The name begins with a dot, which uWSGI ignores, and is gone at once.
        fd, name = tempfile.mkstemp(prefix=".aspool-doctor-", dir=path)
        os.unlink(name)
    try:
        yield fd
    finally:
        os.close(fd)


def unnamed_files(path: str) -> Finding:
    """A file that gets its name when it is whole leaves nothing behind when its writer is killed."""
    try:
        os.close(os.open(path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except (OSError, AttributeError):
        return warn(
            "O_TMPFILE",
            "not here",
            "nothing to do: files are written in .aspool/tmp first; a kill may leave one there",
        )
    return ok("O_TMPFILE", "works")


def attributes(path: str) -> Finding:
    """What no byte of a file's header should say is an extended attribute: that its job is done, and some counts."""
    try:
        with probe(path) as fd:
            os.setxattr(fd, "user.aspool", b"probe")
    except (OSError, AttributeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not in this Python"
        return warn("attributes", f"user attributes do not work ({reason})",
                    "mount with user_xattr if you can; else a dead worker's last jobs may repeat")  # fmt: skip
    return ok("attributes", "user attributes work")


def file_locks(path: str) -> Finding:
    """A running task is a locked file."""
    if not locks.HAVE_OFD:
        return warn(
            "locks",
            "no OFD locks: flock is used, which uWSGI does not see",
            "do not let uWSGI serve this directory too",
        )
    try:
        with probe(path) as fd:
            works = locks.try_lock(fd)
    except OSError as error:
        works = False
        if error.errno not in (errno.ENOLCK, errno.EINVAL, errno.ENOTSUP):
            raise
    if not works:
        return warn("locks", "a new file cannot be locked", "move the spool to a local file system")
    return ok("locks", "OFD locks work")


def instant_wakeup() -> Finding:
    """Without inotify a worker sees new tasks only when it looks, at its frequency."""
    watch = start_watching()
    if watch is None:
        return warn("inotify", "no inotify descriptor is to be had: tasks start up to --frequency seconds late",
                    f"raise {LIMITS}/max_user_instances ({_limit('max_user_instances')}) with sysctl")  # fmt: skip
    watch.close()
    limits = ", ".join(
        f"{name} {_limit(name)}" for name in ("max_user_instances", "max_user_watches", "max_queued_events")
    )
    return ok("inotify", f"works ({limits})")


def _limit(name: str) -> str:
    try:
        with open(f"{LIMITS}/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def capacity() -> Finding:
    """Each running job holds a file open."""
    import resource

    from ...settings import WorkerSettings

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * WorkerSettings().concurrency + 100
    if soft != resource.RLIM_INFINITY and soft < wanted:
        return warn("descriptors", f"a process may open {soft} files (hard limit {hard})",
                    f"ulimit -n {wanted} or more, or a smaller --concurrency")  # fmt: skip
    return ok("descriptors", f"a process may open {soft} files")
