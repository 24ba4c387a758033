"""Locks: what each call gives in a real uWSGI and here; processes, threads, forks, and deaths."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from aspool.compat import Program, Role
from aspool.compat.shared.locks import Locks
from aspool.compat.shared.locks import _locks as locks_of_process

from ..calls_compared import differences, ours, real
from ..conftest import MakeProgram

CALLS = [
    "uwsgi.is_locked()", "uwsgi.lock()", "uwsgi.is_locked()", "uwsgi.is_locked(1)", "uwsgi.lock(1)", "uwsgi.lock(3)",
    "uwsgi.is_locked(3)", "uwsgi.is_locked(9)", "uwsgi.unlock()", "uwsgi.is_locked()", "uwsgi.unlock()",
    "uwsgi.unlock(9)", "uwsgi.lock(9)", "uwsgi.lock(-1)", "uwsgi.unlock(1)", 'uwsgi.lock("x")', "uwsgi.unlock(3)",
]  # fmt: skip


def test_each_call_gives_what_it_gives_there(make_program: MakeProgram, tmp_path: Path) -> None:
    there = real(tmp_path / "real", "master", CALLS, "--locks", "3")
    uwsgi = make_program(options={"locks": b"3"}).module
    assert differences(CALLS, there, ours(uwsgi, CALLS)) == []


@pytest.fixture
def locks(program: Program) -> Iterator[Locks]:
    made = Locks(program)
    yield made
    made.unlock()


def _hold(locks: Locks, end: Connection) -> None:
    locks.lock()
    end.send("locked")
    end.recv()


@contextmanager
def held_by_another(locks: Locks) -> Iterator[Any]:
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_hold, args=(locks, theirs))
    process.start()
    theirs.close()
    try:
        assert ours.recv() == "locked"
        yield process
    finally:
        process.kill()
        process.join(60)
        ours.close()


def take_and_give_back(locks: Locks) -> None:
    locks.lock()
    locks.unlock()


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_another_process_waits_and_a_death_frees_it(locks: Locks) -> None:
    with held_by_another(locks) as process:
        assert locks.is_locked()
        locks.unlock()
        assert locks.is_locked(), "it is not ours to give back"
        waiting = in_thread(lambda: take_and_give_back(locks))
        assert waiting.is_alive()
        process.kill()
        waiting.join(60)
        assert not waiting.is_alive()
    assert not locks.is_locked()


def test_threads_of_one_process_take_turns(locks: Locks) -> None:
    locks.lock()
    waiting = in_thread(locks.lock)
    assert waiting.is_alive()
    locks.unlock()
    waiting.join(60)
    assert not waiting.is_alive()
    assert locks.is_locked()


def test_taking_it_twice_is_told_instead_of_waiting_for_ever(locks: Locks) -> None:
    locks.lock()
    with pytest.raises(ValueError, match="lock 0 is held by this very thread"):
        locks.lock()


def test_a_child_has_no_lock_of_its_parent(locks: Locks) -> None:
    locks.lock()
    pid = os.fork()
    if pid == 0:
        locks.unlock()
        os._exit(0 if locks.is_locked() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert locks.is_locked()


def test_what_was_given_back_is_free_though_a_child_has_the_file_still(locks: Locks) -> None:
    """As one that is being forked, by another thread."""
    locks.lock()
    (lock,) = (lock for lock in locks_of_process.values() if lock.fd >= 0)
    of_child = os.dup(lock.fd)  # it shares the kernel's lock, as a fork does
    try:
        locks.unlock()
        assert not locks.is_locked()
    finally:
        os.close(of_child)


def test_in_a_spooler_they_work_unless_it_is_strict(make_program: MakeProgram) -> None:
    uwsgi: Any = make_program(role=Role("spooler")).module
    uwsgi.lock()
    uwsgi.unlock()
    uwsgi = make_program(role=Role("spooler"), strict=True).module
    for function in (uwsgi.lock, uwsgi.unlock, uwsgi.is_locked):
        with pytest.raises(ValueError, match=r"^The spooler cannot lock/unlock resources$"):
            function()
