"""What the module `uwsgi` tells of itself and its process, and the small things that it does: as the real one."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool, MemorySpool, Spooler
from aspool.compat import Program, Role
from aspool.protocol import Board
from aspool.testing import drain

from ...real_uwsgi import run_in_uwsgi
from ..conftest import MakeProgram

# What both run. Values that are another machine's, or another moment's, are told by their types.
CALLS = """
import uwsgi
for name in ("SPOOL_OK", "SPOOL_RETRY", "SPOOL_IGNORE", "version", "version_info", "has_threads", "cores", "numproc",
             "loop", "unbit", "applications", "is_a_reload", "hostname"):
    print(name, repr(getattr(uwsgi, name)))
for name in ("started_on", "buffer_size", "sockets", "opt", "magic_table", "spoolers"):
    print(name, type(getattr(uwsgi, name)).__name__)
print(sorted(uwsgi.magic_table), {type(value) for value in uwsgi.magic_table.values()})
print(uwsgi.opt["spooler"], uwsgi.opt["master"], uwsgi.opt["own-option"], uwsgi.opt["twice"], b"spooler" in uwsgi.opt)
for name in ("worker_id", "mule_id", "i_am_the_spooler", "logsize", "total_requests", "request_id", "listen_queue",
             "rpc_list", "disconnect", "accepting", "ready"):
    print(name, repr(getattr(uwsgi, name)()))
for name in ("masterpid", "micros", "mem", "workers"):
    print(name, type(getattr(uwsgi, name)()).__name__)
print([(key, type(value).__name__) for key, value in uwsgi.workers()[0].items()])
print(all(number > 1000000 for number in uwsgi.mem()), uwsgi.masterpid() > 0)

def fail(*args): raise KeyError("x")
for name, function in (
    ("echo", lambda *args: b"|".join(args)), ("text", lambda: "text"), ("none", lambda: None), ("fail", fail),
):
    print("register", uwsgi.register_rpc(name, function))
print(sorted(uwsgi.rpc_list()))
CALLS = [
    lambda: uwsgi.call(b"echo", b"a", b"b"), lambda: uwsgi.call("echo", b"a"), lambda: uwsgi.call(b"echo", "a"),
    lambda: uwsgi.call(b"text"), lambda: uwsgi.call(b"none"), lambda: uwsgi.call(b"fail"), lambda: uwsgi.call(b"?"),
    lambda: uwsgi.log("said"), lambda: uwsgi.log(b"said"), lambda: uwsgi.alarm("a", "b"),
    lambda: uwsgi.metric_get("x"), lambda: uwsgi.set_user_harakiri(0),
]
for number, call in enumerate(CALLS):
    try:
        print(number, repr(call()))
    except Exception as error:
        print(number, type(error).__name__, error)
print("END")
"""
OPTIONS = {"spooler": b"spool", "own-option": b"1", "twice": b"2"}


def test_strict_is_as_the_real_one(
    make_program: MakeProgram, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--spooler", "spool", "--set", "own-option=1", "--set", "twice=1", "--set", "twice=2")
    real = run_in_uwsgi(tmp_path, CALLS, *given)
    make_program(strict=True, role=Role("mule", 0), options=OPTIONS)
    exec(CALLS, {"__name__": "calls"})
    ours = capsys.readouterr().out.splitlines()
    assert ours == [*(line for line in real.splitlines() if not line.startswith("registered")), "END"]


@pytest.mark.parametrize(
    ("role", "ids"),
    [
        (Role("worker", 2, 7), (7, 2, 0, None)),
        (Role("mule", 3, 7), (7, 0, 3, None)),
        (Role("spooler", 4, 7), (7, 0, 0, True)),
    ],
)
def test_a_process_knows_which_one_it_is(make_program: MakeProgram, role: Role, ids: tuple[Any, ...]) -> None:
    uwsgi: Any = make_program(role=role).module
    assert (uwsgi.masterpid(), uwsgi.worker_id(), uwsgi.mule_id(), uwsgi.i_am_the_spooler()) == ids


def test_options_answer_bytes_too(make_program: MakeProgram, spool_path: Path) -> None:
    options = {"mode": "testing", "processes": 3, "buffer-size": b"many", "enable-threads": True}
    uwsgi: Any = make_program(mules=2, options=options).module
    assert b"spooler" in uwsgi.opt
    assert uwsgi.opt[b"spooler"] == uwsgi.opt["spooler"] == uwsgi.opt.get(b"spooler") == os.fsencode(spool_path)
    assert (uwsgi.opt["mules"], uwsgi.opt["enable-threads"]) == (b"2", True)
    assert uwsgi.opt.get(b"nothing", 5) == 5
    assert (uwsgi.mode, uwsgi.numproc, uwsgi.buffer_size) == (b"testing", 3, 65_535)
    assert not hasattr(uwsgi, "pidfile")


def test_what_is_said_goes_to_the_log(uwsgi: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aspool.uwsgi")
    uwsgi.log("said")
    uwsgi.log(b"bytes")
    uwsgi.alarm("disk", "full")
    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "aspool.uwsgi"]
    assert said == [("INFO", "said"), ("INFO", "bytes"), ("WARNING", "alarm disk: full")]


def test_a_process_may_call_itself_something(uwsgi: Any) -> None:
    from setproctitle import getproctitle, setproctitle

    before = getproctitle()
    try:
        assert uwsgi.setprocname("mailer") is None
        assert getproctitle() == "mailer"
    finally:
        setproctitle(before)


def test_the_clock_and_the_memory(uwsgi: Any) -> None:
    assert abs(uwsgi.micros() / 1e6 - time.time()) < 60
    resident, size = uwsgi.mem()
    assert 1_000_000 < resident < size


# --- procedures --------------------------------------------------------------------------------------------------


def test_procedures_take_text_too(uwsgi: Any, caplog: pytest.LogCaptureFixture) -> None:
    uwsgi.register_rpc("greet", lambda name: f"hello {name.decode()}")
    uwsgi.register_rpc("number", lambda: 5)
    assert uwsgi.call("greet", "world") == uwsgi.rpc(None, b"greet", b"world") == b"hello world"
    for call, said in (
        (("nothing",), "no rpc function is called 'nothing' in this process"),
        (("greet",), "missing 1 required positional argument"),
        (("number",), "the rpc function 'number' returned 5 and not bytes"),
    ):
        assert uwsgi.call(*call) is None
        assert said in caplog.text
    with pytest.raises(NotImplementedError, match=r"spool a task there"):
        uwsgi.rpc("127.0.0.1:3031", "greet", "world")


# --- metrics -----------------------------------------------------------------------------------------------------


def test_metrics_are_counted(uwsgi: Any) -> None:
    assert uwsgi.metric_get("mails") == 0
    uwsgi.metric_inc("mails")
    uwsgi.metric_inc("mails", 9)
    uwsgi.metric_dec("mails", 2)
    uwsgi.metric_mul("mails", 4)
    uwsgi.metric_div("mails", 3)
    assert uwsgi.metric_get("mails") == 10
    uwsgi.metric_set_max("mails", 5)
    uwsgi.metric_set_min("mails", 20)
    assert uwsgi.metric_get("mails") == 10
    uwsgi.metric_set("mails", 2**63)
    assert uwsgi.metric_get("mails") == -(2**63)


def test_metrics_are_those_of_all_processes(make_program: MakeProgram, spooler: Spooler) -> None:
    first: Any = make_program(spooler).module
    second: Any = make_program(Spooler(spooler.spool_of(None))).module
    first.metric_inc("mails", 3)
    assert second.metric_get("mails") == 3


# --- masters -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_workers_are_those_of_the_spool(program: Program) -> None:
    from aspool.worker import running

    uwsgi: Any = program.module
    states = []

    def spooler(env: dict[str | bytes, bytes]) -> int:
        states.extend([worker["pid"] for worker in uwsgi.workers()])
        return -2

    uwsgi.spooler = spooler
    assert [worker["pid"] for worker in uwsgi.workers()] == [os.getpid()]
    async with running(program.spooler):
        assert [worker["status"] for worker in uwsgi.workers()] == [b"idle"]
    uwsgi.spool(a="b")
    await drain(program.spooler)
    assert states == [os.getpid()]


def test_nobody_signals_a_stranger(make_program: MakeProgram, caplog: pytest.LogCaptureFixture) -> None:
    """The parent of this process is a shell, or whatever runs the tests."""
    for program in (make_program(), make_program(Spooler(MemorySpool()))):
        assert program.module.reload() is None
        assert program.module.stop() is None
    assert "this one is another program's" in caplog.text


class Noticed(MemorySpool):
    """A spool in which a supervisor says what it runs."""

    def __init__(self, notice: dict[str, Any], boards: list[Board]) -> None:
        super().__init__()
        self._notice = notice
        self._shown = boards

    def post(self) -> Any:
        raise AssertionError("nobody posts here")

    def notices(self) -> list[dict[str, Any]]:
        return [self._notice]

    def boards(self) -> list[Board]:
        return self._shown


@pytest.fixture
def master() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that can be told to stop."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("role", [Role("spooler", 1, 1), Role("mule", 1, 1)])
@pytest.mark.parametrize("supervised", [True, False])
def test_the_supervisor_is_told_or_the_worker_that_has_none(
    make_program: MakeProgram, master: "subprocess.Popen[bytes]", role: Role, supervised: bool
) -> None:
    uid = os.geteuid()
    if supervised:
        notice = {"pid": master.pid, "owner": uid, "workers": [{"pid": os.getpid()}]}
        spool = Noticed(notice, [Board(os.getpid(), "", 0.0, 1, (), uid)])
    else:
        notice = {"pid": 1, "owner": uid + 1, "workers": [{"pid": os.getpid()}]}  # somebody else's word
        spool = Noticed(notice, [Board(master.pid, "", 0.0, 1, (), uid)])
        role = replace(role, master=master.pid)  # a process for one job
    assert make_program(Spooler(spool), role=role).module.stop() is True
    assert master.wait(60) == -signal.SIGTERM


# --- harakiri ----------------------------------------------------------------------------------------------------


def test_outside_of_a_task_there_is_no_harakiri(uwsgi: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert uwsgi.set_user_harakiri(5) is None
    assert "no task runs here" in caplog.text


@pytest.mark.anyio
async def test_it_can_be_disarmed(program: Program) -> None:
    uwsgi: Any = program.module

    def spooler(env: dict[str | bytes, bytes]) -> int:
        uwsgi.set_user_harakiri(1)
        uwsgi.set_user_harakiri(0)
        return -2

    uwsgi.spooler = spooler
    uwsgi.spool(a="b")
    (ran,) = await drain(program.spooler)
    assert ran.state == "done"


PROGRAM = """
import time, uwsgi

def handle(env):
    what = env[b"what"].decode()
    with open("log", "a") as log:
        print(what, uwsgi.i_am_the_spooler(), uwsgi.worker_id(), file=log)
    if what == "hang":
        uwsgi.set_user_harakiri(1)
        time.sleep(600)
    if what == "reload":
        assert uwsgi.reload() is True
    if what == "stop":
        assert uwsgi.stop() is True
    return uwsgi.SPOOL_OK

uwsgi.spooler = handle
"""


@pytest.mark.heavy
def test_a_worker_obeys_its_program(make_program: MakeProgram, tmp_path: Path) -> None:
    """A task that hangs ends its process, which is replaced; one may reload the code, and one may stop it all."""
    (tmp_path / "obeyed.py").write_text(PROGRAM)
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    uwsgi: Any = make_program(Spooler(spool)).module
    (tmp_path / "spool").mkdir(mode=0o700)
    command = [sys.executable, "-m", "aspool.cli", "worker", "--uwsgi", "obeyed", "--spool", "spool"]
    command += ["--supervisor", "--harakiri-grace", "0.2"]
    with (tmp_path / "said").open("wb") as said:
        worker = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said)
    try:
        uwsgi.spool(what="hang")
        _wait_until(tmp_path / "said", "and was ended with its process", worker)
        uwsgi.spool(what="reload")
        _wait_until(tmp_path / "said", "reloading (SIGHUP)", worker)
        uwsgi.spool(what="stop")
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait(60)
    lines = (tmp_path / "spool" / "log").read_text().splitlines()
    assert {"hang True 0", "reload True 0", "stop True 0"} <= set(lines)


def _wait_until(path: Path, text: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while text not in path.read_text():
        assert process.poll() is None, path.read_text()
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)
