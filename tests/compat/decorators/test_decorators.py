"""`uwsgidecorators`: aspool's, and the real file of uWSGI on aspool's `uwsgi`: what they write, and what they run."""

import functools
import importlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aspool import Body
from aspool.compat import Program, Role
from aspool.message import Message
from aspool.outcomes import Buried, Bury, Done, PutOff
from aspool.testing import Ran, drain

from ..conftest import MakeProgram
from ..tasks.test_fixtures import FILES, put

FIXTURES = Path(__file__).parents[2] / "fixtures" / "uwsgi"
DECORATED = {one["id"]: one for one in FILES if one["id"].startswith("dec_")}
PUBLIC = {
    "cron", "erlang", "farm", "filemon", "get_free_signal", "harakiri", "lock", "manage_spool_request", "mule",
    "mule_functions", "mule_msg_dispatcher", "mulefunc", "mulemsg", "muleloop", "postfork", "postfork_chain",
    "postfork_chain_hook", "rbtimer", "rpc", "signal", "spool", "spooler_functions", "spoolforever", "spoolraw",
    "thread", "timer",
}  # fmt: skip


def real_file(program: Program) -> ModuleType:
    """The file that uWSGI brings, on the shim."""
    sys.modules.pop("uwsgidecorators", None)
    assert sys.modules["uwsgi"] is program.module
    found = importlib.import_module("uwsgidecorators")
    assert (found.__file__ or "").endswith("site-packages/uwsgidecorators.py")
    return found


def our_module(program: Program) -> ModuleType:
    return importlib.import_module("uwsgidecorators")


@pytest.fixture
def decorators(program: Program) -> Any:
    return our_module(program)


class Functions:
    """The functions of the fixtures, and what they were called with."""

    def __init__(self, decorators: Any) -> None:
        self.got: list[Any] = []

        @decorators.spool
        def send_mail(env: dict[str, Any]) -> None:
            self.got.append(env)

        @decorators.spool(pass_arguments=True)
        def add(*args: Any, **kwargs: Any) -> None:
            self.got.append((args, kwargs))

        @decorators.spoolraw
        def raw_task(env: dict[str, Any]) -> int:
            self.got.append(env)
            return -2

        @decorators.spoolforever
        def forever(env: dict[str, Any]) -> None:
            self.got.append(env)

        @decorators.spoolforever(pass_arguments=True)
        def forever_args(*args: Any, **kwargs: Any) -> None:
            self.got.append((args, kwargs))

        self.send_mail, self.add, self.raw_task = send_mail, add, raw_task
        self.forever, self.forever_args = forever, forever_args


CALLS: dict[str, Callable[[Functions], object]] = {
    "dec_spool": lambda made: made.send_mail(to="a@example.org", subject="héllo"),
    "dec_spool_body": lambda made: made.send_mail.spool({"to": "b"}, body=b"attachment \x00"),
    "dec_spool_pass_arguments": lambda made: made.add(1, "two", [3], key={"x": (1, 2)}),
    "dec_spool_pass_arguments_at": lambda made: made.add.spool(1, at="2000000000", priority="3"),
    "dec_spoolraw": lambda made: made.raw_task.f.spool({"x": "1"}),
    "dec_spoolforever": lambda made: made.forever({"x": "1"}),
    "dec_spoolforever_args": lambda made: made.forever_args(1, k=2),
}
GOT: dict[str, Any] = {
    "dec_spool": {"ud_spool_func": "send_mail", "ud_spool_ret": "-2", "to": "a@example.org", "subject": "héllo"},
    "dec_spool_body": {"ud_spool_func": "send_mail", "ud_spool_ret": "-2", "to": "b", "body": "attachment \x00"},
    "dec_spool_pass_arguments": ((1, "two", [3]), {"key": {"x": (1, 2)}}),
    "dec_spoolraw": {"ud_spool_func": "raw_task", "x": "1"},
    "dec_spoolforever": {"ud_spool_func": "forever", "ud_spool_ret": "-1", "x": "1"},
    "dec_spoolforever_args": ((1,), {"k": 2}),
}


@pytest.mark.parametrize("load", [our_module, real_file])
@pytest.mark.parametrize("name", CALLS)
def test_what_they_write_is_what_they_wrote_in_uwsgi(
    program: Program, load: Callable[[Program], Any], name: str
) -> None:
    path: Any = CALLS[name](Functions(load(program)))
    assert Path(os.fsdecode(path)).read_bytes() == (FIXTURES / DECORATED[name]["file"]).read_bytes()


@pytest.mark.anyio
@pytest.mark.parametrize("load", [our_module, real_file])
@pytest.mark.parametrize("name", CALLS)
async def test_what_they_wrote_in_uwsgi_runs(
    make_program: MakeProgram, load: Callable[[Program], Any], name: str, spool_path: Path
) -> None:
    program = make_program(in_main_thread=True)
    functions = Functions(load(program))
    spool_path.mkdir(mode=0o700)
    put(DECORATED[name], spool_path)
    ran = await drain(program.spooler, concurrency=1, most_runs=2)
    if name not in GOT:
        assert (ran, functions.got) == ([], []), "it is for 2033"
        return
    (got,) = functions.got
    if isinstance(got, dict):
        assert got.pop("spooler_task_name") == Path(DECORATED[name]["file"]).name
    assert got == GOT[name]
    kept = list(spool_path.glob("uwsgi_*"))
    assert len(kept) == (1 if "forever" in name else 0)


# --- better than there ---------------------------------------------------------------------------------------------


async def spooled(program: Program, raw: dict[bytes, bytes], body: bytes = b"", origin: str = "") -> Ran:
    """Run one raw message, once."""
    message = Message(id="a", raw=raw, body=Body(body) if body else None, origin=origin)
    program.spooler.spool_of(None).put_blocking([message])  # type: ignore[attr-defined]  # both of ours have it
    (ran,) = await drain(program.spooler, concurrency=1)
    return ran


@pytest.mark.anyio
async def test_binary_values_and_bodies_stay_bytes(program: Program, decorators: Any) -> None:
    """There they are retried for ever (W24)."""
    functions = Functions(decorators)
    ran = await spooled(program, {b"ud_spool_func": b"send_mail", b"ud_spool_ret": b"-2", b"x": b"\xff"}, b"\xfe")
    assert isinstance(ran.outcome, Done)
    assert (functions.got[0]["x"], functions.got[0]["body"]) == (b"\xff", b"\xfe")


@pytest.mark.anyio
async def test_an_unknown_function_is_left_for_another_worker(
    program: Program, decorators: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Functions(decorators)
    for raw in ({b"ud_spool_func": b"nobody"}, {b"other": b"message"}, {b"ud_spool_func": b"nobody"}):
        ran = await spooled(program, raw)
        assert isinstance(ran.outcome, PutOff)
        assert (ran.outcome.attempt, ran.outcome.unknown) == (0, True), "it is not counted, and its waits grow"
        (path,) = program.module.spooler_jobs()
        os.unlink(path)
    assert caplog.text.count("no function here is spooled as nobody") == 1


@pytest.mark.anyio
async def test_spoolraw_without_a_return_value_is_a_failure_that_is_counted(program: Program, decorators: Any) -> None:
    @decorators.spoolraw
    def nothing(env: dict[str, Any]) -> None: ...

    ran = await spooled(program, {b"ud_spool_func": b"nothing"})
    assert isinstance(ran.outcome, PutOff)
    assert ran.outcome.attempt == 1


@pytest.mark.anyio
async def test_strangers_pickles_are_not_read(program: Program, decorators: Any) -> None:
    functions = Functions(decorators)
    ran = await spooled(program, {b"ud_spool_func": b"add", b"args": b"(lp0\n.", b"kwargs": b"(dp0\n."}, origin="net")
    assert isinstance(ran.outcome, Buried)
    assert "its arguments were not unpickled: it came over the network" in ran.outcome.reason
    assert functions.got == []


@pytest.mark.anyio
async def test_nor_by_a_handler_around_it(program: Program, decorators: Any) -> None:
    """wraps() copies all that is on a function; and what it calls in a thread knows no message."""
    functions = Functions(decorators)
    pickles = {b"ud_spool_func": b"add", b"args": b"(lp0\n.", b"kwargs": b"(dp0\n."}

    @functools.wraps(program.hook("spooler"))
    def around(env: Any) -> Any:
        return decorators.manage_spool_request(env)

    program.module.spooler = around  # type: ignore[attr-defined]  # as programs set it
    ran = await spooled(program, pickles, origin="net")
    assert isinstance(ran.outcome, Buried)
    assert "it was not given to uwsgi.spooler" in ran.outcome.reason
    with pytest.raises(Bury, match="nobody knows whose they are"):
        decorators.manage_spool_request(pickles)
    with pytest.raises(Bury, match="nobody knows whose it is"):
        decorators.mule_msg_dispatcher(b"(dp0\n.")
    assert functions.got == []
    assert isinstance((await spooled(program, pickles | {b"ud_spool_ret": b"-2"})).outcome, Done), "our own are read"
    assert functions.got == [((), {})]


@pytest.mark.anyio
async def test_text_from_the_network_is_read(program: Program, decorators: Any) -> None:
    functions = Functions(decorators)
    ran = await spooled(program, {b"ud_spool_func": b"send_mail", b"ud_spool_ret": b"-2", b"to": b"x"}, origin="net")
    assert isinstance(ran.outcome, Done)
    assert functions.got[0]["to"] == "x"


def test_two_functions_of_one_name_are_refused(decorators: Any, make_program: MakeProgram) -> None:
    def one(env: object) -> None: ...

    def other(env: object) -> None: ...

    other.__name__ = "one"
    other.__module__ = "another"
    decorators.spool(one)
    decorators.spool(one)  # the module is loaded again
    with pytest.raises(ValueError, match=r"two functions would be spooled as 'one', .*\.one and another\..*one"):
        decorators.spool(other)
    strict: Any = our_module(make_program(strict=True))
    strict.spool(one)
    strict.spool(other)
    assert strict.spooler_functions == {"one": other}


def test_a_module_that_is_imported_by_its_file_too_has_the_same_functions(decorators: Any, tmp_path: Path) -> None:
    file = tmp_path / "mail.py"
    file.write_text("import functools\nimport uwsgidecorators\n\n\n@uwsgidecorators.spool\ndef send(env):\n    pass\n")
    twice = [importlib.util.spec_from_file_location(name, file) for name in ("mail", "_tmp_mail")]
    for spec in twice:
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert decorators.spooler_functions["send"].__module__ == "_tmp_mail"


def test_strict_has_the_real_errors(make_program: MakeProgram) -> None:
    decorators: Any = our_module(make_program(strict=True))

    @decorators.spoolraw
    def nothing(env: object) -> None: ...

    with pytest.raises(KeyError, match="nobody"):
        decorators.manage_spool_request({b"ud_spool_func": b"nobody"})
    with pytest.raises(TypeError, match="NoneType"):
        decorators.manage_spool_request({b"ud_spool_func": b"nothing"})
    with pytest.raises(UnicodeDecodeError):
        decorators.manage_spool_request({b"ud_spool_func": b"nothing", b"x": b"\xff"})


# --- the module ----------------------------------------------------------------------------------------------------


def test_every_public_name_is_there(program: Program, decorators: Any) -> None:
    real = [name for name in dir(real_file(program)) if not name.startswith("_")]
    assert [name for name in PUBLIC if name not in real] == [], "it is the real one"
    assert [name for name in PUBLIC if not hasattr(decorators, name)] == []
    assert decorators._encode_to_spooler({"é": "é", b"b": b"\xff"}) == {"é".encode(): "é".encode(), b"b": b"\xff"}
    assert decorators._decode_from_spooler({b"a": "é".encode()}) == {"a": "é"}


def test_the_hooks_are_set_when_it_is_used(program: Program) -> None:
    """As by an import there: a program that only uses `uwsgi` has its own."""
    assert (program.hook("spooler"), program.hook("mule_msg_hook")) == (None, None)
    names: dict[str, Any] = {}
    exec("from uwsgidecorators import *", names)
    assert names["spool"] is our_module(program).spool
    assert program.hook("spooler") == names["manage_spool_request"]
    assert program.hook("mule_msg_hook") == names["mule_msg_dispatcher"]
    assert program.hook("post_fork_hook") == names["postfork_chain_hook"]


# --- the others ----------------------------------------------------------------------------------------------------


def test_signals_take_free_numbers(make_program: MakeProgram) -> None:
    program = make_program(role=Role("spooler"))  # which imports its modules, so far
    uwsgi: Any = program.module
    decorators: Any = our_module(program)
    got: list[int] = []

    @decorators.signal(7, target="spooler")
    def seventh(number: int) -> None:
        got.append(number)

    @decorators.timer(60, target="spooler")
    def first(number: int) -> None: ...

    @decorators.rbtimer(60, signum=9)
    def ninth(number: int) -> None: ...

    @decorators.cron(30, 2, -1, -1, -1)
    def second(number: int) -> None: ...

    @decorators.filemon("/tmp")
    def third(number: int) -> None: ...

    assert first.__name__ == "first", "the function itself is left"
    assert [number for number in range(256) if uwsgi.signal_registered(number)] == [0, 1, 2, 7, 9]
    assert decorators.get_free_signal() == 3


def test_postfork(make_program: MakeProgram) -> None:
    program = make_program(role=Role("worker", 2))
    decorators: Any = our_module(program)
    got: list[str] = []

    @decorators.postfork
    def always() -> None:
        got.append("always")

    @decorators.postfork(2)
    def second() -> None:
        got.append("second")

    @decorators.postfork(1)
    def first() -> None:
        got.append("first")

    assert first is not None, "the real one leaves None in its place"
    program.hook("post_fork_hook")()
    assert got == ["always", "second"]


def test_what_mules_run(make_program: MakeProgram) -> None:
    program = make_program(role=Role("mule", 2), mules=2, farms={"both": (1, 2)})
    decorators: Any = our_module(program)
    sent: list[tuple[bytes, Any]] = []
    got: list[Any] = []
    program.module.mule_msg = lambda *message: sent.append(message)  # type: ignore[attr-defined]  # a fake

    @decorators.mulefunc
    def anywhere(*args: Any, **kwargs: Any) -> None:
        got.append((args, kwargs))

    @decorators.mulefunc("both")
    def in_farm() -> None:
        got.append("farm")

    assert anywhere(1, two=2) is None
    in_farm()
    assert [mule for _, mule in sent] == [0, "both"]
    for message, _ in sent:
        program.hook("mule_msg_hook")(message)
    assert got == [((1,), {"two": 2}), "farm"]


class Stop(BaseException):
    """Ends an endless loop."""


def test_the_loops_of_mules(make_program: MakeProgram, capsys: pytest.CaptureFixture[str]) -> None:
    program = make_program(role=Role("mule", 1), mules=2, farms={"one": (1,)})
    decorators: Any = our_module(program)
    messages = [b"a", None, b"b"]
    got: list[Any] = []

    def receive() -> bytes | None:
        if not messages:
            raise Stop
        return messages.pop(0)

    program.module.mule_get_msg = program.module.farm_get_msg = receive  # type: ignore[attr-defined]  # fakes
    decorators.mulemsg(2)(lambda message: got.append(("other", message)))
    decorators.farm("others")(lambda message: got.append(("other farm", message)))
    decorators.farm("one")(got.append)
    with pytest.raises(Stop):
        program.hook("post_fork_hook")()
    assert got == [b"a", b"b"]
    decorators.postfork_chain.clear()

    @decorators.muleloop(1)
    def turns() -> None:
        got.append("turn")
        if len(got) > 4:
            raise ValueError("enough")

    with pytest.raises(SystemExit):
        program.hook("post_fork_hook")()
    assert got[2:] == ["turn"] * 3
    assert "ValueError: enough" in capsys.readouterr().err


def test_lock_thread_rpc_and_erlang(program: Program, decorators: Any) -> None:
    uwsgi: Any = program.module

    @decorators.lock
    def locked(value: int) -> tuple[int, bool]:
        return value, uwsgi.is_locked()

    assert (locked(3), uwsgi.is_locked()) == ((3, True), False)
    started = threading.Event()

    @decorators.thread
    def background(event: threading.Event) -> None:
        event.set()

    background(started)
    assert started.wait(60)

    @decorators.rpc("hello")
    def hello(name: bytes) -> bytes:
        return b"hello " + name

    assert uwsgi.call("hello", "you") == b"hello you"
    with pytest.raises(NotImplementedError, match="there is no Erlang node here"):
        decorators.erlang("name")(hello)


def test_lock_does_nothing_in_a_strict_spooler(make_program: MakeProgram) -> None:
    decorators: Any = our_module(make_program(strict=True, role=Role("spooler")))
    assert decorators.lock(lambda: 3)() is None
    decorators = our_module(make_program(role=Role("spooler")))
    assert decorators.lock(lambda: 3)() == 3


def test_harakiri_is_set_and_taken_back(program: Program, decorators: Any) -> None:
    seconds: list[int] = []
    program.module.set_user_harakiri = seconds.append  # type: ignore[attr-defined]  # a fake

    @decorators.harakiri(10)
    def slow() -> None:
        raise ValueError("too slow")

    with pytest.raises(ValueError, match="too slow"):
        slow()
    assert seconds == [10, 0]


@pytest.mark.heavy
def test_that_of_pypi_is_the_file_that_uwsgi_brings(tmp_path: Path, program: Program) -> None:
    """It is installed apart, as it would lie over that of pyuwsgi."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path / "apart")]
    subprocess.run([*pip, "uwsgidecorators==1.1.0"], check=True, timeout=300)
    sys.modules.pop("uwsgidecorators")
    sys.path.insert(0, str(tmp_path / "apart"))
    try:
        found: Any = importlib.import_module("uwsgidecorators")
        assert (found.__file__ or "").startswith(str(tmp_path))
        path = CALLS["dec_spool"](Functions(found))
    finally:
        sys.path.pop(0)
    assert Path(os.fsdecode(path)).read_bytes() == (FIXTURES / DECORATED["dec_spool"]["file"]).read_bytes()  # type: ignore[arg-type]  # bytes
