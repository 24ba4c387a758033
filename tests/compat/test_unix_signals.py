"""Whatever a task does with signals, those of its worker are in place again afterwards."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aspool.compat.signals.calling import in_its_way
from aspool.compat.unix_signals import kept_signals
from aspool.testing import drain

from .conftest import MakeProgram

pytestmark = pytest.mark.anyio


def of_the_worker(number: int, frame: object) -> None:
    """Its handler."""


def of_the_task(number: int, frame: object) -> None:
    """One that it sets."""


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, of_the_worker) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def own_loop() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)


def test_its_handlers_and_what_wakes_its_loop_are_put_back(handlers: None) -> None:
    theirs, ours = socket.socketpair()
    ours.setblocking(False)
    before = signal.set_wakeup_fd(ours.fileno())
    try:
        with pytest.raises(ValueError, match="of the task"), kept_signals():
            asyncio.run(own_loop())
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            signal.signal(signal.SIGHUP, of_the_task)
            raise ValueError("of the task")
        assert signal.getsignal(signal.SIGTERM) is of_the_worker
        assert signal.getsignal(signal.SIGHUP) is of_the_worker
    finally:
        assert signal.set_wakeup_fd(before) == ours.fileno()
        theirs.close()
        ours.close()


def test_what_the_task_has_closed_is_no_failure(handlers: None) -> None:
    theirs, ours = socket.socketpair()
    ours.setblocking(False)
    before = signal.set_wakeup_fd(ours.fileno())
    try:
        with kept_signals():
            ours.close()
    finally:
        assert signal.set_wakeup_fd(before) == -1
        theirs.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 7)])
def test_a_child_ends_by_them_as_any_process_does(handlers: None, number: int, code: int) -> None:
    """multiprocessing.Process.terminate() sends SIGTERM, and waits."""
    child = 0
    before = signal.signal(signal.SIGINT, of_the_worker)
    try:
        with kept_signals():
            child = os.fork()
            if child == 0:
                os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        assert child == 0
        os._exit(7)
    finally:
        if child == 0:
            os._exit(99)
        signal.signal(signal.SIGINT, before)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


def test_one_that_the_task_has_set_is_the_child_s_too(handlers: None) -> None:
    child = 0
    try:
        with kept_signals():
            signal.signal(signal.SIGTERM, of_the_task)
            child = os.fork()
            if child == 0:
                os._exit(int(signal.getsignal(signal.SIGTERM) is not of_the_task))
    finally:
        if child == 0:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_in_another_thread_there_are_none(handlers: None) -> None:
    seen: list[str] = []

    def run() -> None:
        with kept_signals():
            seen.append("ran")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == ["ran"]


def sets_its_own(*_: object) -> int:
    signal.signal(signal.SIGTERM, of_the_task)
    return -2


async def test_in_a_task(make_program: MakeProgram, handlers: None) -> None:
    program = make_program(in_main_thread=True)
    uwsgi: Any = program.module
    uwsgi.spooler = sets_its_own
    uwsgi.spool({b"a": b"b"})
    assert [each.state for each in await drain(program.spooler, concurrency=1)] == ["done"]
    assert signal.getsignal(signal.SIGTERM) is of_the_worker


async def test_in_the_handler_of_a_signal(make_program: MakeProgram, handlers: None) -> None:
    await in_its_way(make_program(in_main_thread=True), sets_its_own)()  # type: ignore[arg-type]  # what it returns is ignored
    assert signal.getsignal(signal.SIGTERM) is of_the_worker
