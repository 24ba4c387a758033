"""Locks: one holder at a time, between descriptors, processes and uWSGI's own kind, and gone with their holder."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspool.spools.directory.locks import HAVE_OFD, is_locked, try_lock, unlock

LOCKING = """
import fcntl, sys
kind, path = sys.argv[1:]
file = open(path, "r+b")
if kind == "aspool":
    from aspool.spools.directory.locks import try_lock
    assert try_lock(file.fileno())
else:  # as uwsgi_fcntl_lock: a POSIX lock over the whole file
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.read()
"""

TRYING = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("refused")
    else:
        print("taken")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "task").write_bytes(b"\x11\0\0\0")
    return tmp_path / "task"


@pytest.fixture
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_one_open_file_at_a_time_has_the_lock(opened: int, path: Path) -> None:
    other = os.open(path, os.O_RDWR)
    assert not is_locked(opened)
    assert try_lock(opened)
    assert try_lock(opened)  # its own already
    assert not try_lock(other)
    assert is_locked(other)
    assert not is_locked(opened)  # nobody else has one
    unlock(opened)
    assert not is_locked(other)
    assert try_lock(other)
    assert not try_lock(opened)
    os.close(other)
    assert try_lock(opened)


def test_looking_leaves_no_lock_behind(opened: int, path: Path) -> None:
    other = os.open(path, os.O_RDWR)
    assert not is_locked(opened)
    assert try_lock(other)
    os.close(other)


def test_another_open_and_close_of_the_file_does_not_lose_it(opened: int, path: Path) -> None:
    assert try_lock(opened)
    path.read_bytes()  # a POSIX lock would be gone now
    other = os.open(path, os.O_RDWR)
    assert not try_lock(other)
    os.close(other)


def test_it_is_held_as_long_as_one_copy_of_the_descriptor_is_open(opened: int, path: Path) -> None:
    first = os.open(path, os.O_RDWR)
    assert try_lock(first)
    copy = os.dup(first)
    os.close(first)
    assert not try_lock(opened)
    unlock(copy)
    assert try_lock(opened)
    os.close(copy)


@pytest.mark.parametrize("kind", ["aspool", "uwsgi"])
def test_another_process_keeps_its_lock_until_it_is_killed(opened: int, path: Path, kind: str) -> None:
    command = [sys.executable, "-c", LOCKING, kind, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert not try_lock(opened)
        assert is_locked(opened)
        holder.kill()
    assert try_lock(opened)
    assert not is_locked(opened)


@pytest.mark.skipif(not HAVE_OFD, reason="flock is not seen by uWSGI")
def test_uwsgi_is_kept_off_by_our_lock(opened: int, path: Path) -> None:
    def uwsgi_tries() -> str:
        return subprocess.check_output([sys.executable, "-c", TRYING, str(path)], text=True).strip()

    assert try_lock(opened)
    assert uwsgi_tries() == "refused"
    unlock(opened)
    assert uwsgi_tries() == "taken"


@pytest.mark.skipif(not HAVE_OFD, reason="flock knows no parts")
@pytest.mark.parametrize(("kind", "start", "length"), [(fcntl.LOCK_SH, 0, 0), (fcntl.LOCK_EX, 1000, 1)])
def test_any_other_lock_on_any_part_is_respected(opened: int, path: Path, kind: int, start: int, length: int) -> None:
    with path.open("r+b") as other:
        fcntl.lockf(other, kind | fcntl.LOCK_NB, length, start)
        assert not try_lock(opened)
        assert is_locked(opened)


def test_errors_are_not_taken_for_a_refusal(path: Path) -> None:
    read_only = os.open(path, os.O_RDONLY)
    os.close(read_only)
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lock(read_only)
    with pytest.raises(OSError, match="Bad file descriptor"):
        is_locked(read_only)
