"""Mules: messages to them, as jobs and to processes of their own; their signals, and what they know of themselves."""

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from aspool import Body, Bury, Spooler
from aspool.compat import Program, Role, mule_jobs
from aspool.compat.forks import begin, begin_in_child, run_post_fork
from aspool.compat.mules import serve
from aspool.compat.signals.registry import registry_of
from aspool.compat.signals.targets import checked_target
from aspool.job import Job, enter_job
from aspool.outcomes import SPOOL_OK, SPOOL_RETRY
from aspool.testing import drain_sync

from .calls_compared import differences, ours, real
from .conftest import MakeProgram

FARMS = {"f1": (1, 2), "second": (2,)}
SENDING = [
    "uwsgi.mule_msg('x')",
    "uwsgi.mule_msg(b'x', 1)",
    "uwsgi.mule_msg(b'x', 0)",
    "uwsgi.mule_msg(b'x', 7)",
    "uwsgi.mule_msg(b'x', -1)",
    "uwsgi.mule_msg('x', 'f1')",
    "uwsgi.mule_msg('x', b'f1')",
    "uwsgi.mule_msg('x', b'nofarm')",
    "uwsgi.mule_msg(5)",
    "uwsgi.mule_msg('')",
    "uwsgi.mule_msg(b'x' * 70000, 1)",
    "uwsgi.mule_msg('x', 1.5)",
    "uwsgi.farm_msg('f1', 'x')",
    "uwsgi.farm_msg(b'f1', b'x')",
    "uwsgi.farm_msg('nofarm', 'x')",
    "uwsgi.mule_get_msg()",
    "uwsgi.farm_get_msg()",
    "uwsgi.in_farm()",
    "uwsgi.in_farm('f1')",
    "uwsgi.mule_id()",
]
IN_A_MULE = [
    "uwsgi.mule_id()",
    "uwsgi.in_farm()",
    "uwsgi.in_farm('f1')",
    "uwsgi.in_farm('nofarm')",
    "uwsgi.mule_msg(b'own', 1)",
    "uwsgi.mule_get_msg()",
    "uwsgi.mule_msg(b'to the farm', b'f1')",
    "uwsgi.farm_get_msg()",
    "uwsgi.mule_msg('text', b'f1')",
    "uwsgi.mule_get_msg(True, True)",
    "uwsgi.mule_msg('any')",
    "uwsgi.mule_get_msg(timeout=60)",
    "uwsgi.mule_get_msg(timeout=0)",
]


def mule(make_program: MakeProgram, spool_path: Path, number: int = 1) -> Program:
    """The process of a mule."""
    return make_program(Spooler(spool_path), role=Role("mule", number), mules=2, farms=FARMS)


def sender(make_program: MakeProgram, spool_path: Path) -> Any:
    """The module `uwsgi` of a web process."""
    return make_program(Spooler(spool_path), mules=2, farms=FARMS).module


@contextmanager
def hearing(program: Program) -> Iterator[Program]:
    """While the block lasts, the process of the mule lives."""
    registry_of(program).waiting.own_ear()
    try:
        yield program
    finally:
        registry_of(program).waiting.close()


def spooled(spool_path: Path) -> list[str]:
    """The tasks of what waits in the spool."""

    spool: Any = Spooler(spool_path).spool_of(None)
    return sorted(str(item.task) for item in spool.browse())


# --- compared with a real uWSGI ----------------------------------------------------------------------------------


def test_without_mules_as_in_a_real_uwsgi(tmp_path: Path, program: Program) -> None:
    calls = [call for call in SENDING if "1.5" not in call and "5)" not in call]
    assert differences(calls, real(tmp_path / "real", "master", calls), ours(program.module, calls)) == []


def test_sending_as_in_a_real_uwsgi(tmp_path: Path, make_program: MakeProgram) -> None:
    there = real(tmp_path / "real", "worker", SENDING, "--mule", "--mule", "--farm", "f1:1,2")
    strict = make_program(mules=2, farms=FARMS, strict=True).module
    assert differences(SENDING, there, ours(strict, SENDING)) == []
    assert ours(sender(make_program, tmp_path / "spool"), ["uwsgi.mule_msg('x', 'f1')"]) == ["True"]


def test_receiving_as_in_a_real_uwsgi(tmp_path: Path, make_program: MakeProgram, spool_path: Path) -> None:
    # One mule alone: which of several has a message for any is chance.
    there = real(tmp_path / "real", "mule", IN_A_MULE[:-1], "--mule", "--farm", "f1:1")
    with hearing(make_program(role=Role("mule", 1), mules=1, farms={"f1": (1,)})) as one:
        assert differences(IN_A_MULE[:-1], there, ours(one.module, IN_A_MULE[:-1])) == []
        assert ours(one.module, IN_A_MULE[-1:]) == ["None"]


# --- as jobs -----------------------------------------------------------------------------------------------------


def run_as_job(program: Program, mule: int, message: bytes, farm: str = "", *signal: Any, origin: str = "") -> Any:
    """What the job of a mule does in its process."""
    begin_in_child(program)
    mule_jobs.make_tasks(program)  # as if it were the only program of this process
    enter_job(Job("a", mule_jobs.name_of(mule), origin=origin))
    try:
        return mule_jobs.run_in_mule(Body(message), farm, *signal)
    finally:
        enter_job(None)


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Body that was not stored can be read."""
    monkeypatch.setattr(Body, "file", property(lambda self: BytesIO(self.source)))


def test_messages_are_spooled_while_no_process_of_a_mule_lives(make_program: MakeProgram, spool_path: Path) -> None:
    uwsgi = sender(make_program, spool_path)
    assert uwsgi.mule_msg("any") is True
    assert uwsgi.mule_msg(b"two", 2) is True
    uwsgi.farm_msg("second", "of the farm")
    assert spooled(spool_path) == ["uwsgi.mule0", "uwsgi.mule2", "uwsgi.mule2"]


def test_a_job_gives_the_message_to_the_hook(make_program: MakeProgram, spool_path: Path, readable: None) -> None:
    got: list[Any] = []
    program = mule(make_program, spool_path)
    program.module.install_mule_msg_hook(got.append)
    assert run_as_job(program, 1, b"hello") is SPOOL_OK
    assert got == [b"hello"]


def test_a_job_takes_what_the_process_of_a_mule_has_left(
    make_program: MakeProgram, spool_path: Path, readable: None, caplog: pytest.LogCaptureFixture
) -> None:
    with hearing(mule(make_program, spool_path)) as one:
        one.module.mule_msg("left", 1)
        one.module.mule_msg("bad", 1)
    program = mule(make_program, spool_path)
    got: list[bytes] = []

    def hook(message: bytes) -> None:
        got.append(message)
        if message == b"bad":
            raise ValueError(message)

    vars(program.module)["mule_msg_hook"] = hook
    assert run_as_job(program, 1, b"new") is SPOOL_OK
    assert got == [b"left", b"bad", b"new"]
    assert "uwsgi.mule_msg_hook failed" in caplog.text


def test_a_job_that_waits_is_no_process_of_a_mule_after(
    make_program: MakeProgram, spool_path: Path, readable: None
) -> None:
    program = mule(make_program, spool_path)
    given: list[Any] = []
    vars(program.module)["mule_msg_hook"] = lambda _: given.append(program.module.mule_get_msg(timeout=0))
    assert run_as_job(program, 1, b"hello") is SPOOL_OK
    assert given == [None]
    assert list((program.shared / "waiting").iterdir()) == []


def test_without_a_hook_the_message_stays(make_program: MakeProgram, spool_path: Path, readable: None) -> None:
    program = mule(make_program, spool_path)
    assert run_as_job(program, 1, b"hello") is SPOOL_RETRY


def test_a_job_gives_it_to_a_process_that_has_begun_since(
    make_program: MakeProgram, spool_path: Path, readable: None
) -> None:
    with hearing(mule(make_program, spool_path, 2)) as two:
        child = mule(make_program, spool_path)
        assert run_as_job(child, 0, b"any") is SPOOL_OK
        assert run_as_job(child, 0, b"of a farm", farm="second") is SPOOL_OK
        assert run_as_job(child, 1, b"of one") is SPOOL_RETRY
        get: Any = two.module.mule_get_msg
        assert [get(timeout=0), get(timeout=0), get(timeout=0)] == [b"any", b"of a farm", None]


def test_a_job_calls_a_function_of_mules_also_where_the_program_was_installed(
    make_program: MakeProgram, spool_path: Path, readable: None
) -> None:
    """There the process of a job is no mule by its role."""
    program = make_program(Spooler(spool_path), mules=2)
    decorators: Any = importlib.import_module("uwsgidecorators")
    sent: list[bytes] = []
    got: list[int] = []
    program.module.mule_msg = lambda message, _: sent.append(message)  # type: ignore[attr-defined]  # a fake
    decorators.mulefunc(lambda value: got.append(value))(3)
    with hearing(mule(make_program, spool_path, 2)):
        sender(make_program, spool_path).mule_msg(sent[0], 2)
    assert run_as_job(program, 2, sent[0]) is SPOOL_OK
    assert got == [3, 3], "with what its process has left"


def test_nothing_from_the_network_reaches_a_hook_which_may_unpickle_it(
    make_program: MakeProgram, spool_path: Path
) -> None:
    got: list[Any] = []
    program = mule(make_program, spool_path)
    uwsgi: Any = program.module
    uwsgi.mule_msg_hook = got.append
    with pytest.raises(Bury, match="it came over the network, and pickles from there are never read"):
        run_as_job(program, 1, b"\x80\x04", origin="net")
    assert got == []


# --- processes of mules ------------------------------------------------------------------------------------------


def test_messages_to_a_process_come_in_order_and_wait_for_it(make_program: MakeProgram, spool_path: Path) -> None:
    with hearing(mule(make_program, spool_path)) as one:
        uwsgi = sender(make_program, spool_path)
        uwsgi.mule_msg("any")
        uwsgi.mule_msg("one", 1)
        uwsgi.mule_msg("two", 2)  # which does not live: it is spooled
        uwsgi.farm_msg("f1", "of the farm")
        uwsgi.mule_msg(b"x" * 200_000, 1)
        get: Any = one.module.mule_get_msg
        assert get(farms=False) == b"any"
        assert get(farms=False) == b"one"
        assert len(get(farms=False, buffer_size=10)) == 200_000, "nothing is cut"
        assert one.module.farm_get_msg() == b"of the farm"
        assert get(timeout=0) is None
    assert spooled(spool_path) == ["uwsgi.mule2"]


def test_a_mule_waits_for_its_message(make_program: MakeProgram, spool_path: Path) -> None:
    one = mule(make_program, spool_path)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(one.module.mule_get_msg()))
    thread.start()
    uwsgi = sender(make_program, spool_path)
    wait_until(lambda: (one.shared / "waiting").exists() and any((one.shared / "waiting").glob("mule.*")))
    uwsgi.mule_msg("hello", 1)
    thread.join(60)
    assert got == [b"hello"]
    registry_of(one).waiting.close()


def test_signals_run_while_a_mule_waits_for_messages(make_program: MakeProgram, spool_path: Path) -> None:
    worker = make_program(Spooler(spool_path), role=Role("spooler", 1), mules=2, farms=FARMS)
    with hearing(mule(make_program, spool_path)) as one:
        one.module.register_signal(5, "mule", handler)
        heard.clear()
        begin(worker)
        worker.module.signal(5)
        assert [ran.state for ran in drain_sync(worker.spooler, schedules=True)] == ["done"]
        assert one.module.mule_get_msg(timeout=0.01) is None
    assert heard == [5]
    assert spooled(spool_path) == [], "no job of a mule is needed"


def test_a_signal_for_mules_is_a_job_of_one_while_no_process_lives(make_program: MakeProgram, spool_path: Path) -> None:
    worker = make_program(Spooler(spool_path), role=Role("spooler", 1), mules=2, farms=FARMS)
    uwsgi: Any = worker.module
    for number, target in enumerate(("mule", "mule1", "farm2", "farm_second")):
        uwsgi.register_signal(number, target, handler)
        mule_jobs.post_signal(worker, registry_of(worker).declared[number])
    assert spooled(spool_path) == ["uwsgi.mule0", "uwsgi.mule1", "uwsgi.mule2", "uwsgi.mule2"]


def test_a_signal_for_mules_that_are_not_there_is_dropped(
    make_program: MakeProgram, spool_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web = make_program(Spooler(spool_path))
    for number, target in enumerate(("mule", "farm_gone")):
        registry_of(web).declare(number, checked_target(target, web), handler)
        mule_jobs.post_signal(web, registry_of(web).declared[number])
    assert "there is no mule for signal 0, which is dropped" in caplog.text
    assert "there is no farm_gone for signal 1, which is dropped" in caplog.text


def test_a_job_runs_the_handler_of_a_signal(make_program: MakeProgram, spool_path: Path) -> None:
    child = mule(make_program, spool_path)
    child.module.register_signal(3, "mule", handler)
    heard.clear()
    assert run_as_job(child, 1, b"", "", 3) is SPOOL_OK
    assert run_as_job(child, 1, b"", "", 4) is SPOOL_OK, "nobody has registered it"
    assert run_as_job(child, 1, b"", "", 5, "any", f"{__name__}:handler") is SPOOL_OK, "it is found by its place"
    assert heard == [3, 5]
    with pytest.raises(Bury, match="over the network"):
        run_as_job(child, 1, b"", "", 5, "any", "os:abort", origin="net")
    with pytest.raises(Bury, match="signal 5 was not looked for: nobody has registered os:abort for signal 5"):
        run_as_job(child, 1, b"", "", 5, "any", "os:abort")


def test_a_job_finds_the_handler_of_a_signal_that_the_workers_declare(
    make_program: MakeProgram, spool_path: Path
) -> None:
    """In a module that mules do not import."""
    worker = make_program(Spooler(spool_path), role=Role("spooler", 1), mules=2, farms=FARMS)
    worker.module.register_signal(6, "mule", handler)
    begin(worker)
    child = mule(make_program, spool_path)
    heard.clear()
    assert run_as_job(child, 1, b"", "", 6, f"{__name__}.handler", f"{__name__}:handler") is SPOOL_OK
    assert heard == [6]


heard: list[int] = []


def handler(number: int) -> None:
    """It is found by its name."""
    heard.append(number)


def wait_until(condition: Callable[[], object]) -> None:
    """Return when it holds; fail after a while."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_mule_without_a_program_of_its_own_serves_its_hook(
    make_program: MakeProgram, spool_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[bytes] = []
    with hearing(mule(make_program, spool_path)) as one:
        uwsgi: Any = one.module

        def hook(message: bytes) -> None:
            got.append(message)
            if message == b"bad":
                raise ValueError(message)
            if message == b"last":
                uwsgi.mule_msg_hook = None

        uwsgi.mule_msg_hook = hook
        for message in ("first", "bad", "last"):
            uwsgi.mule_msg(message, 1)
        serve(one)
    assert got == [b"first", b"bad", b"last"]
    assert "uwsgi.mule_msg_hook failed" in caplog.text


# --- after a fork ------------------------------------------------------------------------------------------------


def test_the_hook_after_a_fork(program: Program, uwsgi: Any, caplog: pytest.LogCaptureFixture) -> None:
    run_post_fork(program)
    got: list[int] = []
    uwsgi.post_fork_hook = lambda: got.append(1)
    run_post_fork(program)
    uwsgi.post_fork_hook = lambda: 1 // 0
    run_post_fork(program)
    assert got == [1]
    assert "uwsgi.post_fork_hook failed" in caplog.text


def test_what_the_hook_registers_belongs_to_the_code(make_program: MakeProgram) -> None:
    program = make_program(role=Role("spooler", 1))
    uwsgi: Any = program.module
    uwsgi.post_fork_hook = lambda: uwsgi.register_signal(4, "", handler)
    run_post_fork(program)
    begin(program)
    assert 4 in registry_of(program).declared
