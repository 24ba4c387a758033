"""Waiting for signals: who is told, by whom, and what runs meanwhile."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import Spooler
from aspool.compat import Program, Role
from aspool.compat.forks import begin
from aspool.compat.signals.registry import registry_of
from aspool.compat.signals.targets import Target
from aspool.compat.signals.waiting import Raised, until
from aspool.testing import drain_sync

from ..conftest import MakeProgram

PATIENCE = 60.0
SPOOLER = Role("spooler", 1)


def wait_until(condition: Callable[[], object]) -> None:
    """Return when it holds; fail after a while."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def ears(program: Program) -> list[str]:
    """The pipes of those who wait."""
    directory = program.shared / "waiting"
    return [name for name in os.listdir(directory) if not name.startswith(".")] if directory.exists() else []


@contextmanager
def waits(program: Program, *number: int) -> Iterator[list[bytes]]:
    """A thread that is in signal_wait; what that gave."""
    given: list[bytes] = []
    before = len(ears(program))
    thread = threading.Thread(target=lambda: given.append(program.module.signal_wait(*number)))
    thread.start()
    wait_until(lambda: len(ears(program)) > before)
    yield given
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def web(make_program: MakeProgram, spool_path: Path) -> Program:
    """A web process."""
    return make_program(Spooler(spool_path))


def worker(make_program: MakeProgram, spool_path: Path, got: list[int], target: str = "", *numbers: int) -> Program:
    """A worker, whose code has these signals."""
    program = make_program(Spooler(spool_path), role=SPOOLER, workers=2)
    for number in numbers or (17,):
        program.module.register_signal(number, target, got.append)
    begin(program)
    return program


def raise_in(program: Program, *numbers: int) -> None:
    """Raise signals, and let a worker run what is due."""
    for number in numbers:
        program.module.signal(number)
    drain_sync(program.spooler, schedules=True)


def handler_of_test(number: int) -> None:
    """It is found by its name."""
    heard.append(number)


heard: list[int] = []


def test_a_process_that_waits_runs_the_handler_in_place_of_a_worker(
    web: Program, make_program: MakeProgram, spool_path: Path
) -> None:
    heard.clear()
    one = make_program(Spooler(spool_path), role=SPOOLER)
    uwsgi: Any = one.module
    uwsgi.register_signal(17, "", handler_of_test)
    begin(one)
    assert web.module.signal_received() == 0
    with waits(web) as given:
        raise_in(one, 17)
    assert (given, heard) == ([b""], [17]), "the web process has not imported it, and finds it by its name"
    assert web.module.signal_received() == 17
    assert ears(web) == []
    raise_in(one, 17)
    assert heard == [17, 17], "nobody waits any more: the worker runs it"


def test_waiting_for_one_signal_others_run_meanwhile(web: Program, make_program: MakeProgram, spool_path: Path) -> None:
    got: list[int] = []
    one = worker(make_program, spool_path, got, "", 17, 18)
    uwsgi: Any = web.module
    uwsgi.register_signal(3, "", handler_of_test)
    heard.clear()
    with waits(web, 18) as given:
        raise_in(one, 3)
        wait_until(lambda: heard == [3])
        assert given == []
        raise_in(one, 18)
    assert given == [b""]
    assert web.module.signal_received() == 18


def test_another_kind_is_not_told(web: Program, make_program: MakeProgram, spool_path: Path) -> None:
    got: list[int] = []
    one = worker(make_program, spool_path, got, "spooler")
    with waits(web, 17) as given:
        raise_in(one, 17)
        assert (given, got) == ([], [17])
        registry_of(web).waiting.tell(Target("", "worker"), Raised(17))


def test_whoever_waits_is_told_once_of_what_all_run(web: Program) -> None:
    everyone = Target("workers", "worker", everyone=True)
    waiting = registry_of(web).waiting
    ear = waiting.ear()
    for moment in ("a", "a", "b"):  # three workers tell; two of them of the same raise
        assert waiting.tell(everyone, Raised(17, moment=moment)) == 1
    assert [ear.wait(0), ear.wait(0), ear.wait(0)] == [Raised(17, moment="a"), Raised(17, moment="b"), None]
    assert not ear.close()


def test_only_the_process_of_a_number_is_told(make_program: MakeProgram, spool_path: Path) -> None:
    two = make_program(Spooler(spool_path), role=Role("worker", 2))
    waiting = registry_of(two).waiting
    ear = waiting.ear()
    assert waiting.tell(Target("worker1", "worker", 1), Raised(1)) == 0
    assert waiting.tell(Target("worker2", "worker", 2), Raised(2)) == 1
    assert waiting.tell(Target("", "worker"), Raised(3)) == 1
    assert [raised.number for raised in ear.close()] == [2, 3], "what was told before it closed is not lost"


def test_one_that_died_is_not_told(web: Program, make_program: MakeProgram, spool_path: Path) -> None:
    got: list[int] = []
    one = worker(make_program, spool_path, got)
    directory = web.shared / "waiting"
    directory.mkdir()
    os.mkfifo(directory / "worker.1.999999.1")
    raise_in(one, 17)
    assert got == [17]
    assert ears(web) == []


def test_a_handler_that_fails_ends_no_wait(
    web: Program, make_program: MakeProgram, spool_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[int] = []
    one = worker(make_program, spool_path, got)
    web.module.register_signal(3, "", len)
    with waits(web) as given:
        raise_in(one, 3)
    assert given == [b""]
    assert "the handler of signal 3 failed" in caplog.text


def test_a_task_in_the_main_thread_may_wait(make_program: MakeProgram, spool_path: Path) -> None:
    program = make_program(Spooler(spool_path), role=SPOOLER, in_main_thread=True)
    waiting = registry_of(program).waiting

    def tell() -> None:
        wait_until(lambda: ears(program))
        waiting.tell(Target("", "worker"), Raised(5))

    async def task() -> bytes:
        found: bytes = program.module.signal_wait()
        return found

    thread = threading.Thread(target=tell)
    thread.start()
    assert anyio.run(task) == b""
    thread.join()


def test_a_mule_hears_what_is_raised_between_two_waits(make_program: MakeProgram, spool_path: Path) -> None:
    mule = make_program(Spooler(spool_path), role=Role("mule", 1), mules=1)
    uwsgi, waiting = mule.module, registry_of(mule).waiting
    target = Target("mule", "mule")
    waiting.own_ear()
    for number in (1, 2):
        assert waiting.tell(target, Raised(number)) == 1
        assert uwsgi.signal_wait() == b""
        assert uwsgi.signal_received() == number
        assert waiting.tell(target, Raised(number, moment="again")) == 1
        assert uwsgi.signal_wait(number) == b""
    waiting.close()
    assert ears(mule) == []


def test_how_long_to_wait() -> None:
    assert next(until(None)) == 10.0
    assert list(until(0)) == []
    assert 0 < next(until(0.5)) <= 0.5


def test_garbage_in_a_pipe_is_passed_over(web: Program) -> None:
    ear = registry_of(web).waiting.ear()
    (name,) = ears(web)
    (web.shared / "waiting" / name).write_bytes(b"garbage\n[]\n{}\n\n" + Raised(1).written())
    assert ear.wait(0) == Raised(1)
    ear.close()
