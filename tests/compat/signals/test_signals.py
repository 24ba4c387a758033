"""Signals of the module `uwsgi`: what its functions give, who runs a handler, and what processes know of each other."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after, sleep

from aspool import Spooler, WorkerSettings
from aspool.compat import Program, Role
from aspool.compat.forks import begin
from aspool.compat.signals.registry import is_alive, process_key, registry_of
from aspool.testing import drain_sync
from aspool.worker import running

from ..calls_compared import differences, ours, real
from ..conftest import MakeProgram

SPOOLER = Role("spooler", 1)
CALLS = [
    "uwsgi.register_signal(5, '', handler)",
    "uwsgi.register_signal(5, '', handler)",
    "uwsgi.register_signal(5, '', other)",
    "uwsgi.register_signal(261, '', handler)",
    "uwsgi.register_signal(-1, 'nonsense', handler)",
    "uwsgi.register_signal('x', '', handler)",
    "uwsgi.register_signal(6, b'', handler)",
    "uwsgi.register_signal(6, None, handler)",
    "uwsgi.register_signal(9)",
    "uwsgi.register_signal(9, 'a' * 64, handler)",
    "uwsgi.register_signal(10, 'mule', handler)",
    "uwsgi.register_signal(num=11, who='', handler=handler)",
    "uwsgi.signal_registered(5)",
    "uwsgi.signal_registered(255)",
    "uwsgi.signal_registered(200)",
    "uwsgi.signal_registered(261)",
    "uwsgi.signal_registered('x')",
    "uwsgi.signal(5)",
    "uwsgi.signal(200)",
    "uwsgi.signal(300)",
    "uwsgi.signal()",
    "uwsgi.signal(5, '127.0.0.1:1')",
    "uwsgi.signal(5, '/nonexistent')",
    "uwsgi.signal(5, '')",
    "uwsgi.signal(5, b'127.0.0.1:1')",
    "uwsgi.add_timer(5, 30)",
    "uwsgi.add_timer(5, 30)",
    "uwsgi.add_timer(5, 0)",
    "uwsgi.add_timer(5, -3)",
    "uwsgi.add_timer(5, 1.5)",
    "uwsgi.add_timer(5)",
    "uwsgi.add_timer(300, 30)",
    "uwsgi.add_timer(5, '3')",
    "uwsgi.add_rb_timer(5, 30)",
    "uwsgi.add_rb_timer(5, 30, 2)",
    "uwsgi.add_rb_timer(5, 30, -1)",
    "uwsgi.add_rb_timer(5, 0, 1)",
    "uwsgi.add_rb_timer(5, 30, None)",
    "uwsgi.add_cron(5, -1, -1, -1, -1, -1)",
    "uwsgi.add_cron(5, 99, -1, -1, -1, -1)",
    "uwsgi.add_cron(5, 1, 2, 3)",
    "uwsgi.add_cron(5, '1', -1, -1, -1, -1)",
    "uwsgi.add_cron(5, 0, 0, 31, 2, -1)",
    "uwsgi.add_file_monitor(5, '/tmp')",
    "uwsgi.add_file_monitor(5, '/nonexistent/x')",
    "uwsgi.add_file_monitor(5, b'/tmp')",
    "uwsgi.add_file_monitor(5, '/tmp/' + 'x' * 300)",
    "uwsgi.signal_received()",
]


def test_strict_gives_what_a_real_uwsgi_gives(tmp_path: Path, make_program: MakeProgram) -> None:
    there = real(tmp_path / "real", "master", CALLS)
    here = ours(make_program(role=SPOOLER, strict=True).module, CALLS)
    assert differences(CALLS, there, here) == []


# --- the programs of the tests -----------------------------------------------------------------------------------


@contextmanager
def module(tmp_path: Path, name: str, text: str) -> Iterator[Any]:
    """A module of a program, imported."""
    (tmp_path / f"{name}.py").write_text(text)
    sys.path.insert(0, str(tmp_path))
    try:
        yield __import__(name)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(name, None)


def ran(program: Program) -> list[tuple[str, str]]:
    """What runs now: its task, and how it ended."""
    return [(each.task, each.reason or each.state) for each in drain_sync(program.spooler, schedules=True)]


def declared(program: Program, handler: Any, number: int = 17, target: str = "") -> None:
    """A signal of the code of a worker, which has begun since."""
    program.module.register_signal(number, target, handler)
    begin(program)


# --- registering -------------------------------------------------------------------------------------------------


def test_a_signal_that_a_module_declares_runs_in_a_worker(make_program: MakeProgram) -> None:
    got: list[Any] = []
    program = make_program(role=SPOOLER)
    declared(program, got.append)
    assert program.module.signal(17) is None
    assert program.module.signal(17 + 256) is None
    assert [state for _, state in ran(program)] == ["done", "done"]
    assert got == [17, 17]


def test_a_signal_of_nobody_does_nothing(uwsgi: Any, program: Program) -> None:
    assert uwsgi.signal(99) is None
    assert uwsgi.signal_registered(99) is None
    assert ran(program) == []


def test_the_same_handler_may_be_declared_again_and_another_not(make_program: MakeProgram) -> None:
    uwsgi: Any = make_program(role=SPOOLER).module
    uwsgi.register_signal(1, "", abs)
    uwsgi.register_signal(1, "", abs)
    with pytest.raises(ValueError, match=r"signal 1 for builtins\.len: it is that of builtins\.abs"):
        uwsgi.register_signal(1, "", len)
    with pytest.raises(TypeError, match="a function that takes its number, not 'x'"):
        uwsgi.register_signal(2, "", "x")


def test_what_imports_sees_only_what_it_declares_so_that_all_processes_have_the_same_numbers(
    make_program: MakeProgram, spool_path: Path
) -> None:
    for _ in range(2):  # two workers that import the same
        program = make_program(Spooler(spool_path), role=SPOOLER)
        uwsgi: Any = program.module
        free = [next(number for number in range(256) if not uwsgi.signal_registered(number))]
        uwsgi.register_signal(free[0], "", abs)
        assert free == [0]
        begin(program)
    web: Any = make_program(Spooler(spool_path)).module
    assert web.signal_registered(0) is True, "once it runs, each process sees what any has"


def test_a_handler_that_fails_is_logged_and_not_retried(
    make_program: MakeProgram, caplog: pytest.LogCaptureFixture
) -> None:
    program = make_program(role=SPOOLER)
    declared(program, lambda number: 1 // (number - 17))
    program.module.signal(17)
    with caplog.at_level(logging.WARNING):
        ((task, reason),) = ran(program)
    assert "<lambda>" in task
    assert reason == "ZeroDivisionError: integer division or modulo by zero"


def test_in_the_main_thread(make_program: MakeProgram) -> None:
    got: list[Any] = []
    program = make_program(role=SPOOLER, in_main_thread=True)
    declared(program, lambda _: got.append(threading.current_thread().name))
    program.module.signal(17)
    ran(program)
    assert "worker" not in got[0].lower(), "the thread of the event loop"


# --- registered while the program runs ---------------------------------------------------------------------------

LATER = """
import uwsgi, os
def tick(num):
    with open("got", "a") as file:
        file.write(f"{num}\\n")
"""


def test_a_handler_registered_later_is_found_by_its_name(
    make_program: MakeProgram, tmp_path: Path, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    web: Any = make_program(Spooler(spool_path)).module
    with module(tmp_path, "later", LATER) as later:
        web.register_signal(3, "", later.tick)
        sys.modules.pop("later")  # the worker has to import it
        worker = make_program(Spooler(spool_path), role=SPOOLER)
        begin(worker)
        assert worker.module.signal_registered(3) is True
        worker.module.signal(3)
        web.signal(3)
        assert ran(worker) == [("uwsgi.signal", "done")] * 2
    assert Path("got").read_text() == "3\n3\n"


def test_a_lambda_registered_later_is_refused(uwsgi: Any) -> None:
    with pytest.raises(ValueError, match="a function at the top of a module, not a lambda or a function inside"):
        uwsgi.register_signal(3, "", lambda number: number)


def test_a_handler_that_is_gone_says_how_to_end_it(make_program: MakeProgram, tmp_path: Path, spool_path: Path) -> None:
    web: Any = make_program(Spooler(spool_path)).module
    with module(tmp_path, "later", LATER) as later:
        web.register_signal(3, "", later.tick)
    worker = make_program(Spooler(spool_path), role=SPOOLER)
    begin(worker)
    web.signal(3)
    ((_, reason),) = ran(worker)
    assert reason.startswith("the handler later.tick of signal 3 cannot be found here (No module named 'later')")
    assert reason.endswith("aspool schedules remove uwsgi.signal.3")


def test_what_the_database_has_forgotten_is_found_by_its_place(
    make_program: MakeProgram, tmp_path: Path, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the machine's next start; the schedules in the spool do not."""
    monkeypatch.chdir(tmp_path)
    web: Any = make_program(Spooler(spool_path)).module
    with module(tmp_path, "later", LATER) as later:
        web.register_signal(3, "", later.tick)
        worker = make_program(Spooler(spool_path), role=SPOOLER)
        with registry_of(worker)._shared.connection() as connection:
            connection.execute("DELETE FROM signals")
        web.signal(3)
        worker.spooler.sync.raise_signal("3")  # as a listener does
        assert ran(worker) == [("uwsgi.signal", "done")] * 2
    assert Path("got").read_text() == "3\n3\n"


def test_a_raise_that_nobody_has_registered_is_told(
    make_program: MakeProgram, spool_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = make_program(Spooler(spool_path), role=SPOOLER)
    begin(program)
    program.module.add_timer(3, 0.01)
    with caplog.at_level(logging.WARNING):
        deadline = time.monotonic() + 60
        while not ran(program):
            assert time.monotonic() < deadline
    assert "signal 3 was raised, and nobody has registered it" in caplog.text


def test_signals_of_code_that_is_gone_are_forgotten_with_its_master(
    make_program: MakeProgram, spool_path: Path
) -> None:
    ended = subprocess.Popen(["true"])
    old = make_program(Spooler(spool_path), role=Role("spooler", 1, ended.pid), modules=("old",))
    declared(old, abs)
    ended.wait()
    new = make_program(Spooler(spool_path), role=SPOOLER, modules=("new",))
    declared(new, abs, number=18)
    assert [new.module.signal_registered(number) for number in (17, 18)] == [None, True]


def test_a_number_of_the_code_is_refused_to_others(make_program: MakeProgram, spool_path: Path) -> None:
    declared(make_program(Spooler(spool_path), role=SPOOLER), abs)
    web: Any = make_program(Spooler(spool_path)).module
    web.register_signal(17, "", abs)  # it is the same
    with pytest.raises(ValueError, match=r"signal 17 for builtins\.len: the modules of the program have it"):
        web.register_signal(17, "", len)


def test_the_last_one_has_a_number_that_was_registered_later(program: Program, uwsgi: Any) -> None:
    uwsgi.register_signal(3, "", len)
    uwsgi.register_signal(3, "", abs)
    uwsgi.signal(3)
    assert ran(program) == [("uwsgi.signal", "done")], "len(3) would fail"


def test_what_a_dead_process_registered_is_taken_over(make_program: MakeProgram, spool_path: Path) -> None:
    """A web process that registers at each start, with a free number each time, has it once."""
    first = make_program(Spooler(spool_path))
    first.module.register_signal(3, "", abs)
    first.module.add_timer(3, 60)
    shared = registry_of(first)._shared  # its process is to die
    with shared.connection() as connection:
        connection.execute("UPDATE signals SET owner = '1 0'")
    second: Any = make_program(Spooler(spool_path))
    second.module.register_signal(4, "", abs)
    second.module.add_timer(4, 60)
    assert second.module.signal_registered(3) is None
    names = [path.name for path in (spool_path / ".aspool" / "schedules").iterdir()]
    assert all(".3" not in name for name in names), names


def test_who_lives() -> None:
    assert is_alive(process_key(os.getpid()))
    assert not is_alive(f"{os.getpid()} 1"), "another process had this pid"
    ended = subprocess.Popen(["true"])
    key = process_key(ended.pid)
    ended.wait()
    assert not is_alive(key)
    assert not is_alive("code app")


def test_strict_refuses_to_register_in_a_spooler_once_it_runs(make_program: MakeProgram) -> None:
    program = make_program(role=SPOOLER, strict=True)
    begin(program)
    with pytest.raises(ValueError, match=r"^unable to register signal$"):
        program.module.register_signal(3, "", abs)


# --- targets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["", "worker", "worker0", "spooler"])
def test_one_worker_runs_it(make_program: MakeProgram, target: str) -> None:
    got: list[Any] = []
    program = make_program(role=SPOOLER)
    declared(program, got.append, target=target)
    program.module.signal(17)
    ran(program)
    assert got == [17]


@pytest.mark.anyio
async def test_every_worker_runs_it_or_the_one_of_a_number(make_program: MakeProgram) -> None:
    got: list[Any] = []
    program = make_program(role=SPOOLER, workers=2, mules=1)
    uwsgi: Any = program.module
    targets = ["workers", "active-workers", "mules", "worker2", "worker1"]
    for number, target in enumerate(targets):
        uwsgi.register_signal(number, target, got.append)
    begin(program)
    async with running(program.spooler, WorkerSettings()):
        for number in range(len(targets)):
            uwsgi.signal(number)
        with fail_after(30):
            while not {0, 1, 2, 4} <= set(got):
                await sleep(0.005)
    assert sorted(got) == [0, 1, 2, 4], "3 is for another worker"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("subscribed", "'subscribed' is no target here; there are '' or worker, workers"),
        ("spoolers", "'spoolers' is no target here"),
        ("/srv/spool", "'/srv/spool' is no target here"),
        ("topic", "'topic' is no target here"),
        ("worker3", r"the target is worker3, and there are 2 workers \(--processes\)"),
        ("mule2", r"the target is mule2, and there are 1 mules \(--mules\)"),
        ("farm_none", r"there is no such farm; there are one \(--farm\)"),
        ("farm2", "there is no such farm"),
        ("farm0", "'farm0' is no target here"),
    ],
)
def test_targets_that_are_refused(make_program: MakeProgram, target: str, why: str) -> None:
    uwsgi: Any = make_program(role=SPOOLER, workers=2, mules=1, farms={"one": (1,)}).module
    with pytest.raises(ValueError, match=why):
        uwsgi.register_signal(1, target, abs)


def test_mules_are_refused_where_there_are_none_but_a_web_process_does_not_know(make_program: MakeProgram) -> None:
    uwsgi: Any = make_program(role=SPOOLER).module
    with pytest.raises(ValueError, match="there are no mules"):
        uwsgi.register_signal(1, "mule", abs)
    web: Any = make_program().module
    web.register_signal(1, "mule1", abs)


def test_strict_takes_any_target_and_drops_the_signal(
    make_program: MakeProgram, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    program = make_program(role=SPOOLER, strict=True)
    declared(program, got.append, target="subscribed")
    program.module.signal(17)
    with caplog.at_level(logging.WARNING):
        ran(program)
    assert got == []
    assert "UNSUPPORTED SIGNAL TARGET: subscribed" in caplog.text


# --- over the network --------------------------------------------------------------------------------------------


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port where one peer is heard, and answered."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(64))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join()


def test_a_signal_to_another_machine(uwsgi: Any) -> None:
    with answering(b"\xff\0\0\1") as (port, heard):
        assert uwsgi.signal(17, f"127.0.0.1:{port}") is None
    assert heard == [b"\x6e\0\0\x11"]
    with answering(b"\xff\0\0\0") as (port, _), pytest.raises(ValueError, match="rejected signal 17"):
        uwsgi.signal(17, f"127.0.0.1:{port}")
    with answering(b"") as (port, _), pytest.raises(OSError, match="closed without an answer"):
        uwsgi.signal(17, f"127.0.0.1:{port}")
