"""What a task forks: it ends where the function ends, whatever it does, and answers for nothing."""

import os
import sys
from typing import Any, NoReturn

import pytest

from aspool.compat.children import ended_children
from aspool.compat.forks import run_post_fork
from aspool.compat.signals.calling import call
from aspool.compat.signals.registry import Signal
from aspool.compat.signals.targets import target_of
from aspool.testing import drain

from .conftest import MakeProgram

pytestmark = pytest.mark.anyio
STRANGER = 99  # the exit code of a child that goes on


def exits(code: object) -> NoReturn:
    sys.exit(code)  # type: ignore[arg-type]  # whatever programs give it


def fails(_: object) -> NoReturn:
    raise ValueError("of the child")


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        (lambda: None, 0, ""),
        (lambda: exits(None), 0, ""),
        (lambda: exits(7), 7, ""),
        (lambda: exits(-1), 255, ""),
        (lambda: exits("enough"), 1, "enough\n"),
        (lambda: fails(None), 1, "ValueError: of the child\n"),
    ],
)
def test_its_code_and_what_it_says(end: Any, code: int, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    pid = -1
    try:
        with ended_children():
            pid = os.fork()
            if pid == 0:
                sys.stdout.write("printed")
                end()
    finally:
        if pid == 0:
            os._exit(STRANGER)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    out, err = capfd.readouterr()
    assert "printed" in out
    assert err.endswith(told) if told else not err


def test_the_parent_goes_on() -> None:
    with pytest.raises(SystemExit), ended_children():
        exits(3)
    with ended_children():
        pass


@pytest.mark.parametrize("in_main_thread", [True, False])
@pytest.mark.parametrize(("end", "code"), [(lambda _: -2, 0), (exits, 1), (fails, 1)])
async def test_in_a_task(make_program: MakeProgram, in_main_thread: bool, end: Any, code: int) -> None:
    program = make_program(in_main_thread=in_main_thread)
    parent, codes = os.getpid(), []

    def spooler(env: dict[Any, bytes]) -> int:
        pid = os.fork()
        if pid == 0:
            return int(end(env))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return -2

    uwsgi: Any = program.module
    uwsgi.spooler = spooler
    uwsgi.spool({b"a": b"b"})
    try:
        ran = [each.state for each in await drain(program.spooler, concurrency=1)]
    finally:
        if os.getpid() != parent:
            os._exit(STRANGER)
    assert (ran, codes) == (["done"], [code])


def test_in_the_handler_of_a_signal() -> None:
    parent, children = os.getpid(), []
    target = target_of("")
    assert target is not None
    signal = Signal(17, target, "f", "s", "", lambda: lambda _: children.append(os.fork()), is_declared=True)
    try:
        call(signal)
    finally:
        if os.getpid() != parent:
            os._exit(STRANGER)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_in_the_hook_after_a_fork(make_program: MakeProgram) -> None:
    program = make_program()
    parent, children = os.getpid(), []
    uwsgi: Any = program.module
    uwsgi.post_fork_hook = lambda: children.append(os.fork())
    try:
        run_post_fork(program)
    finally:
        if os.getpid() != parent:
            os._exit(STRANGER)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
