"""Every descriptor that the directory spool holds open, so that a forked child closes them at once.

A lock belongs to the open file, which a fork shares: a child that kept a descriptor would keep the lock alive.
It closes and never unlocks, since unlocking in the child would unlock the parent's file too.
"""

import os
import threading

# A fork must not fall between the opening of a descriptor and its entry here. Reentrant, as the garbage collector may
# close a forgotten spool while we are in here.
_lock = threading.RLock()
# Held while a library call has a descriptor that cannot be entered here (os.scandir, os.listdir): a fork waits for it.
passing = threading.RLock()
_open: set[int] = set()
_generation = 0


def open_descriptor(path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
    """As os.open, always with O_CLOEXEC. Raises OSError."""
    with _lock:
        descriptor = os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)
        _open.add(descriptor)
    return descriptor


def adopt(descriptor: int) -> None:
    """Let a forked child close a descriptor that somebody else opened."""
    with _lock:
        _open.add(descriptor)


def release(descriptor: int) -> None:
    """Take an adopted descriptor out again, before its owner closes it."""
    with _lock:
        _open.discard(descriptor)


def close_descriptor(descriptor: int) -> None:
    """Close it, once; what a fork has closed already is left alone."""
    with _lock:
        if descriptor not in _open:
            return
        _open.discard(descriptor)
        os.close(descriptor)


def generation() -> int:
    """Changes with each fork: what was opened in an older generation is closed."""
    return _generation


def _before() -> None:
    passing.acquire()  # in this order, as a scan opens and closes while it passes
    _lock.acquire()


def _after_in_parent() -> None:
    _lock.release()
    passing.release()


def _after_in_child() -> None:
    global _generation
    for descriptor in _open:
        try:
            os.close(descriptor)
        except OSError:
            pass  # somebody closed all descriptors before us
    _open.clear()
    _generation += 1
    _after_in_parent()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
