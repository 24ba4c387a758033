"""The handler of raw messages: what `uwsgi.spooler` gets, where it runs, and what becomes of what it says."""

import importlib
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aspool import Body, Bury, DirectorySpool, MemorySpool, Spooler
from aspool.compat import Program
from aspool.compat.tasks.current import current
from aspool.compat.tasks.pickles import checks_pickles, may_unpickle, refusal
from aspool.job import Job, current_job
from aspool.message import Message
from aspool.outcomes import SPOOL_IGNORE, SPOOL_OK, Buried, Done, PutOff
from aspool.testing import Ran, drain

from ..conftest import MakeProgram

pytestmark = pytest.mark.anyio
Env = dict[str | bytes, bytes]
TASKS = {b"function_name": b"jobs.plain", b"args": b"(lp0\n.", b"kwargs": b"(dp0\n.", b"setup": b"(dp0\n."}


def put(program: Program, raw: dict[bytes, bytes], *, origin: str = "", body: bytes = b"") -> None:
    """A raw message as a listener puts it."""
    spool = program.spooler.spool_of(None)
    message = Message(id="a", raw=raw, origin=origin, body=Body(body) if body else None)
    (stored,) = spool.put_blocking([message])  # type: ignore[attr-defined]  # both of ours have it
    assert not isinstance(stored, Exception)


async def run(program: Program, handler: Any, raw: dict[bytes, bytes] | None = None, **options: Any) -> Ran:
    """One message, run once."""
    program.module.spooler = handler  # type: ignore[attr-defined]  # as programs set it
    put(program, raw or {b"a": b"b"}, **options)
    (ran,) = await drain(program.spooler, concurrency=1)
    return ran


def saying(value: Any) -> Any:
    """A handler that returns it."""

    def spooler(_: Env) -> Any:
        return value

    return spooler


# --- what it gets ------------------------------------------------------------------------------------------------


async def test_the_dict_has_str_keys_at_its_ends_and_bytes_between(program: Program) -> None:
    got: list[Env] = []

    def spooler(env: Env) -> int:
        got.append(env)
        return -2

    ran = await run(program, spooler, {b"z": b"\xff", b"body": b"a pair", b"a": b""}, body=b"\0whole")
    assert ran.outcome == Done()
    (env,) = got
    assert list(env) == ["spooler_task_name", b"z", b"body", b"a", "body"]
    assert env["spooler_task_name"].startswith(b"uwsgi_spoolfile_on_")
    assert (env[b"z"], env[b"body"], env[b"a"], env["body"]) == (b"\xff", b"a pair", b"", b"\0whole")


async def test_the_hook_is_looked_up_at_each_call(program: Program) -> None:
    seen = []

    def second(env: Env) -> int:
        seen.append("second")
        return -2

    def first(env: Env) -> int:
        seen.append("first")
        program.module.spooler = second  # type: ignore[attr-defined]  # as programs set it
        program.module.spool({b"next": b"1"})
        return -2

    program.module.spooler = first  # type: ignore[attr-defined]  # as programs set it
    put(program, {b"a": b"b"})
    await drain(program.spooler, concurrency=1)
    assert seen == ["first", "second"]


async def test_a_message_in_memory_has_a_name_too(make_program: MakeProgram) -> None:
    program = make_program(Spooler(MemorySpool()))
    names = []

    def spooler(env: Env) -> int:
        names.append(env["spooler_task_name"])
        return -2

    await run(program, spooler)
    assert names == [b"uwsgi_spoolfile_on_a"]


async def test_functions_that_it_calls_can_ask_for_its_job(program: Program) -> None:
    seen = []

    def spooler(env: Env) -> int:
        running = current()
        assert running is not None
        seen.append((running.job is current_job(), running.name.encode() == env["spooler_task_name"]))
        return -2

    await run(program, spooler)
    assert seen == [(True, True)]
    assert current() is None


# --- where it runs -----------------------------------------------------------------------------------------------


async def test_in_the_main_thread_it_works_in_the_directory_of_its_file(
    make_program: MakeProgram, spool_path: Path
) -> None:
    program = make_program(in_main_thread=True)
    before, seen = os.getcwd(), []

    def spooler(env: Env) -> int:
        seen.append((os.getcwd(), Path(os.fsdecode(env["spooler_task_name"])).exists()))
        os.chdir("/")
        return -2

    program.module.spooler = spooler  # type: ignore[attr-defined]  # as programs set it
    program.module.spool({b"a": b"1"})
    program.module.spool({b"a": b"2", b"priority": b"5"})
    await drain(program.spooler, concurrency=1)
    assert seen == [(str(spool_path / "5"), True), (str(spool_path), True)]
    assert os.getcwd() == before


async def test_spooler_chdir_is_where_it_works(make_program: MakeProgram, tmp_path: Path) -> None:
    program = make_program(in_main_thread=True, options={"spooler-chdir": str(tmp_path)})
    seen = []

    def spooler(env: Env) -> int:
        seen.append(os.getcwd())
        return -2

    assert (await run(program, spooler)).outcome == Done()
    assert seen == [str(tmp_path)]


async def test_in_threads_the_working_directory_stays(program: Program) -> None:
    before, seen = os.getcwd(), []

    def spooler(env: Env) -> int:
        seen.append(os.getcwd())
        return -2

    await run(program, spooler)
    assert seen == [before]


# --- what it says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-2, SPOOL_OK])
async def test_ok_ends_it(program: Program, value: Any) -> None:
    assert (await run(program, saying(value))).outcome == Done()


@pytest.mark.parametrize("value", [-1, 1, True, 5, -3, 2**31 - 1])
async def test_retry_and_any_other_number_runs_it_again_uncounted(program: Program, value: int) -> None:
    ran = await run(program, saying(value))
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.reason) == (0, "it returned SPOOL_RETRY")


@pytest.mark.parametrize("value", [0, False, SPOOL_IGNORE])
async def test_ignore_leaves_it_for_another_worker(program: Program, value: Any) -> None:
    ran = await run(program, saying(value))
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.outcome.unknown) == (0, True)


@pytest.mark.parametrize("value", [None, "done", 1.0, 2**32 - 2, 2**70, -(2**31) - 1])
async def test_what_says_nothing_is_a_failure_that_is_counted(program: Program, value: Any) -> None:
    ran = await run(program, saying(value))
    assert isinstance(ran.outcome, PutOff)
    assert ran.outcome.attempt == 1
    assert "it returned " in ran.reason


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(None, "retry"), ("x", "retry"), (0, "retry"), (2**32 - 2, "done"), (2**32, "retry"), (2**70, "retry")],
)
async def test_strict_is_as_the_real_one_also_where_that_is_a_pity(
    make_program: MakeProgram, value: Any, outcome: str
) -> None:
    ran = await run(make_program(strict=True), saying(value))
    if outcome == "done":
        assert ran.outcome == Done()
    else:
        assert isinstance(ran.outcome, PutOff)
        assert (ran.outcome.attempt, ran.outcome.unknown) == (0, False), "again after frequency seconds"


async def test_an_exception_is_counted_and_kept_with_its_traceback(program: Program) -> None:
    def spooler(env: Env) -> int:
        raise KeyError("customer")

    ran = await run(program, spooler)
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.reason) == (1, "KeyError: 'customer'")


@pytest.mark.parametrize("error", [KeyError("customer"), SystemExit(3)])
async def test_strict_retries_an_exception_for_ever(
    make_program: MakeProgram, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def spooler(env: Env) -> int:
        raise error

    ran = await run(make_program(strict=True), spooler)
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.reason) == (0, "it returned SPOOL_RETRY")
    assert "is retried, as uWSGI does" in caplog.text


@pytest.mark.parametrize("in_main_thread", [True, False])
async def test_a_task_that_exits_ends_itself_alone(make_program: MakeProgram, in_main_thread: bool) -> None:
    ran = await run(make_program(in_main_thread=in_main_thread), lambda _: sys.exit(3))
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.reason) == (1, "RuntimeError: the task called sys.exit(3)")


async def test_bury_gives_up(program: Program) -> None:
    def spooler(env: Env) -> int:
        raise Bury("no such customer")

    ran = await run(program, spooler)
    assert isinstance(ran.outcome, Buried)
    assert ran.reason == "no such customer"


async def test_without_a_hook_a_message_waits_for_another_worker(
    program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    put(program, {b"a": b"b"})
    (ran,) = await drain(program.spooler)
    assert isinstance(ran.outcome, PutOff)
    assert ran.outcome.unknown
    assert "the program has set no uwsgi.spooler" in caplog.text


async def test_strict_asks_again_at_the_next_scan(make_program: MakeProgram) -> None:
    ran = await run(make_program(strict=True), None)
    assert isinstance(ran.outcome, PutOff)
    assert (ran.outcome.attempt, ran.outcome.unknown) == (0, False)


# --- pickles -----------------------------------------------------------------------------------------------------


def never(env: Env) -> int:
    raise AssertionError(f"it was called with {env}")


async def test_what_came_over_the_network_is_kept_from_a_handler_that_may_unpickle_it(program: Program) -> None:
    ran = await run(program, never, {b"ToGroup": b"customers"}, origin="net")
    assert isinstance(ran.outcome, Buried)
    assert "it came over the network" in ran.reason
    assert "network=True" in ran.reason


async def test_a_program_may_say_that_it_unpickles_nothing(make_program: MakeProgram) -> None:
    ran = await run(make_program(network=True), saying(-2), {b"ToGroup": b"customers"}, origin="net")
    assert ran.outcome == Done()


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (TASKS, b""),
        ({b"x": pickle.dumps([1])}, b""),
        ({b"x": b"y"}, pickle.dumps([1], 2)),
        ({b"ud_spool_func": b"f", b"args": b"(lp0\n."}, b""),
        ({b"msg": b"ucfg_task"}, b"cposix\nsystem\n."),
    ],
)
async def test_but_what_is_known_as_a_pickle_is_refused_then_too(
    make_program: MakeProgram, raw: dict[bytes, bytes], body: bytes
) -> None:
    ran = await run(make_program(network=True), never, raw, origin="net", body=body)
    assert isinstance(ran.outcome, Buried)
    assert "there are pickles in it" in ran.reason


async def test_a_handler_that_checks_pickles_itself_gets_everything(program: Program) -> None:
    seen = []

    @checks_pickles
    def spooler(env: Env) -> int:
        running = current()
        assert running is not None
        seen.append(may_unpickle(running.job, running.body, program))
        return -2

    ran = await run(program, spooler, TASKS, origin="net")
    assert ran.outcome == Done()
    assert seen == ["it came over the network, and pickles from there are never read"]


async def test_own_messages_may_hold_pickles(program: Program) -> None:
    assert (await run(program, saying(-2), TASKS)).outcome == Done()


async def test_a_spool_that_others_may_write_into_holds_no_pickles(program: Program, spool_path: Path) -> None:
    program.module.spool({b"a": b"b"})
    spool_path.chmod(0o770)
    program.module.spooler = saying(-2)  # type: ignore[attr-defined]  # as programs set it
    (ran,) = await drain(program.spooler)
    assert ran.outcome == Done(), "it is no pickle"
    ran = await run(program, never, TASKS)
    assert isinstance(ran.outcome, Buried)
    assert f"chmod go-w {spool_path}" in ran.reason


class ReaderOf:
    """A file of somebody."""

    name = directory = ""
    size = 0

    def __init__(self, owner: int | OSError | None) -> None:
        self._owner = owner

    def owner(self) -> int | None:
        if isinstance(self._owner, OSError):
            raise self._owner
        return self._owner


@pytest.mark.parametrize(
    ("owner", "said"),
    [
        (os.geteuid(), None),
        (None, None),
        (os.geteuid() + 1, "belongs to the user"),
        (FileNotFoundError("gone"), "nobody knows whose file it is"),
    ],
)
def test_pickles_of_others_are_never_read(program: Program, owner: Any, said: str | None) -> None:
    body = Body(reader=ReaderOf(owner))  # type: ignore[arg-type]  # as much of one as is asked
    reason = may_unpickle(Job("a", "t"), body, program)
    assert (reason is None) if said is None else (reason is not None and said in reason)


def test_what_others_wrote_is_kept_from_handlers_too(program: Program) -> None:
    body = Body(reader=ReaderOf(os.geteuid() + 1))  # type: ignore[arg-type]  # as much of one as is asked
    assert "belongs to the user" in refusal(never, Job("a", "t"), body, {b"a": b"b"}, program)


# --- a process of its own ----------------------------------------------------------------------------------------


PROGRAM = '''
import os, time, aspool, aspool.compat
spooler = aspool.Spooler(aspool.DirectorySpool({path!r}, durability="process"))
uwsgi = aspool.compat.install(spooler, in_main_thread={in_main_thread})
def handle(env):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{env[b'a'].decode()}} {{os.getcwd()}}\\n")
    if env[b"a"] == b"hang":
        uwsgi.set_user_harakiri(0.05)
        time.sleep(600)
    return uwsgi.SPOOL_OK
uwsgi.spooler = handle
'''


@pytest.fixture
def suspects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_program: MakeProgram
) -> Iterator[Any]:
    """A module that another process can import, and that installs a Program when it is; `run` runs a suspect."""
    assert make_program, "it puts everything back"
    name = f"program_of_suspects_{request.param:d}"
    text = PROGRAM.format(path=str(tmp_path / "spool"), log=str(tmp_path / "log"), in_main_thread=request.param)
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield importlib.import_module(name)
    del sys.modules[name]


async def run_suspect(program: Any, value: bytes) -> Ran:
    """Run a message whose workers died twice."""
    stored = Path(os.fsdecode(program.uwsgi.spool({b"a": value})))
    stored.rename(stored.with_name(f"{stored.name[:-1]}2"))
    (ran,) = await drain(program.spooler)
    return ran


@pytest.mark.parametrize("suspects", [True, False], indirect=True, ids=["main thread", "threads"])
async def test_a_suspect_runs_in_a_process_that_installs_the_program_again(suspects: Any, tmp_path: Path) -> None:
    assert (await run_suspect(suspects, b"b")).outcome == Done()
    pid, value, directory = (tmp_path / "log").read_text().split()
    assert (int(pid) != os.getpid(), value) == (True, "b")
    in_main_thread = suspects.spooler.raw_handler.is_async
    assert (Path(directory) == tmp_path / "spool") is in_main_thread


@pytest.mark.parametrize("suspects", [True], indirect=True)
async def test_there_a_task_may_set_its_harakiri_too(suspects: Any) -> None:
    ran = await run_suspect(suspects, b"hang")
    assert isinstance(ran.outcome, PutOff)
    assert ran.reason == "harakiri: it was stopped after 0.05 s"


def test_two_programs_on_one_spooler_replace_each_other(make_program: MakeProgram, directory: DirectorySpool) -> None:
    spooler = Spooler(directory)
    first = make_program(spooler)
    second = make_program(spooler, in_main_thread=True)
    assert first.spooler is second.spooler
    assert spooler.raw_handler is not None
    assert spooler.raw_handler.is_async
