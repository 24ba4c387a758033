"""What `uwsgi.spool` and its neighbours return, raise and write: as the real one, byte for byte, and as the manual."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool, MemorySpool, Spooler
from aspool.compat import Program, Role
from aspool.compat.tasks.calls import spool_named
from aspool.testing import drain

from ...real_uwsgi import real_uwsgi, run_in_uwsgi
from ...start import START
from ..conftest import MakeProgram

# What both run: each call with what it wrote and left of the dict, or what it raised.
CALLS = """
import os, time, uwsgi
from collections import OrderedDict

class Bytes:
    def __bytes__(self): return b"BB"
class Index:
    def __index__(self): return 3
class Own(dict): pass

SPOOL = uwsgi.spoolers[0]
D = [
    {b"hello": b"world", b"n": b"42"},
    {b"z": b"1", b"a": b"2", b"m": b"3"},
    {},
    {b"empty": b""},
    {"клич".encode(): b"\\xff\\x00\\n"},
    {b"a": b"1", b"body": b"xyz"},
    {b"body": b"only\\x00this"},
    {b"a": b"1", b"body": b""},
    {b"a": b"1", b"body": [1, 2]},
    {b"a": b"1", b"body": bytearray(b"xx")},
    {b"a": b"1", b"body": memoryview(b"xx")},
    {b"a": (1, 2)}, {b"a": {1: 2}}, {b"a": Bytes()}, {b"a": bytearray(b"x")},
    Own({b"a": b"b"}), OrderedDict({b"a": b"b"}),
    {b"a": b"x" * 65530}, {b"a": b"x" * 65531},
    {b"a": b"x" * 40000, b"b": b"x" * 40000},
    {b"a": b"x" * 70000, b"body": b"1", b"c": 5},
    {b"a": 5}, {b"a": None}, {b"a": "x"}, {"a": b"x"}, {5: b"x"}, {b"a": True}, {b"a": 1.5},
    {b"a": Index()}, {b"a": [300]}, {b"a": object()},
    {b"at": b"2000000000"}, {b"at": b"2000000000.75"}, {b"at": b"100"}, {b"at": b""}, {b"at": b"0"},
    {b"at": b"-5"}, {b"at": b"abc"}, {b"at": b"2e9"}, {b"at": b" 2000000000"}, {b"at": b"1" * 20}, {b"at": 5},
    {b"priority": b"5"}, {b"priority": b""}, {b"priority": 5},
    {b"spooler": SPOOL}, {b"spooler": SPOOL + b"/"}, {b"spooler": b""}, {b"spooler": b"0"},
    {b"spooler": b"127.0.0.1:3031"}, {b"spooler": b"elsewhere"},
    {b"spooler": SPOOL, b"a": b"b", b"priority": b"3", b"at": b"100"},
]

def tell(what, call, given=None):
    try:
        path = call()
        directory, _, name = path.rpartition(b"/")
        moment = os.stat(path).st_mtime
        with open(path, "rb") as file:
            wrote = file.read()
        said = (directory.removeprefix(SPOOL), name.startswith(b"uwsgi_spoolfile_on_"),
                wrote[:80].replace(SPOOL, b"SPOOL"), len(wrote), "due" if moment <= time.time() else moment)
        os.unlink(path)
    except Exception as error:
        said = (type(error).__name__, str(error))
    print(what, type(path).__name__ if "path" in dir() else "", said, [] if given is None else list(given))

for number, given in enumerate(D):
    tell(number, lambda: uwsgi.spool(given), given)
tell("old name", lambda: uwsgi.send_to_spooler({b"a": b"b"}))
tell("keywords", lambda: uwsgi.spool(x=b"1"))
tell("both", lambda: uwsgi.spool({b"a": b"b"}, x=b"1"))
tell("two", lambda: uwsgi.spool({b"a": b"b"}, {b"c": b"d"}))
tell("nothing", lambda: uwsgi.spool(**{}))  # without any ** there is an error, which no Python function can tell
for wrong in (None, 5, [(b"a", b"1")], "x"):
    tell(repr(wrong), lambda: uwsgi.spool(wrong))
for function, *args in (
    (uwsgi.set_spooler_frequency, 5), (uwsgi.set_spooler_frequency, "x"), (uwsgi.set_spooler_frequency, 1.5),
    (uwsgi.spooler_get_task, b"x"), (uwsgi.spooler_get_task, "/nowhere"), (uwsgi.parsefile, b"x"),
    (uwsgi.parsefile, "/nowhere"), (uwsgi.spooler_jobs,), (uwsgi.spooler_pids,), (uwsgi.spooler_pid,),
):
    try:
        print(function.__name__, args, repr(function(*args)))
    except Exception as error:
        print(function.__name__, args, type(error).__name__)
content = b"\\x11\\x08\\x00\\x00\\x01\\x00a\\x03\\x00bcdBODY"
file = SPOOL.decode() + "/uwsgi_spoolfile_on_x"
for size in (0, 2, 4, 5, 11, 12, 16):
    with open(file, "wb") as out:
        out.write(content[:size])
    got = uwsgi.spooler_get_task(file)
    name = got and got.pop("spooler_task_name") == file.encode()
    print(size, name, got, uwsgi.parsefile(file), uwsgi.spooler_jobs() == [file.encode()])
os.unlink(file)
print("END")
"""


def test_strict_is_as_the_real_one_byte_for_byte(
    make_program: MakeProgram, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = run_in_uwsgi(tmp_path / "real", CALLS, "--spooler-external", "spool")
    spooler = Spooler(DirectorySpool(tmp_path / "ours" / "spool", durability="process", external=True))
    (tmp_path / "ours").mkdir()
    make_program(spooler, strict=True)
    exec(CALLS, {"__name__": "calls"})
    ours = capsys.readouterr().out
    assert ours.splitlines() == [*real.splitlines(), "END"]


def written(path: bytes) -> bytes:
    return Path(os.fsdecode(path)).read_bytes()


def spooled(*args: Any, **keywords: Any) -> bytes:
    import uwsgi

    return written(uwsgi.spool(*args, **keywords))


# --- what the manual shows ---------------------------------------------------------------------------------------


HELLO = b"\x11\x0e\x00\x00\x05\x00hello\x05\x00world"


@pytest.mark.parametrize(
    ("call", "content"),
    [
        (lambda: spooled({"hello": "world"}), HELLO),
        (lambda: spooled(hello="world"), HELLO),
        (lambda: spooled({b"hello": "world"}), HELLO),
        (lambda: spooled({}, hello=b"world"), HELLO),
        (lambda: spooled(message_dict={"hello": "world"}), HELLO),
        (lambda: spooled({"hello": "no"}, hello="world"), HELLO),
        (lambda: spooled({"hello": "world"}, spooler=None, priority=None, at=None, body=None), HELLO),
        (lambda: spooled({"hello": "world", "body": "тело"}), HELLO + "тело".encode()),
        (lambda: spooled(message_dict={"hello": "world"}, body=b"\0"), HELLO + b"\0"),
        (lambda: spooled(foo="bar", name="Kratos", surname="the same of Zeus"),
         b"\x11\x33\x00\x00\x03\x00foo\x03\x00bar\x04\x00name\x06\x00Kratos\x07\x00surname\x10\x00the same of Zeus"),
        (lambda: spooled(n=42, x=1.5), b"\x11\x0f\x00\x00\x01\x00n\x02\x0042\x01\x00x\x03\x001.5"),
    ],
)  # fmt: skip
def test_the_manuals_examples_are_taken(program: Program, call: Callable[[], bytes], content: bytes) -> None:
    assert call() == content


def test_the_packet_of_the_manual(uwsgi: Any) -> None:
    """Its table: 17|14|0|0 |5|0|h|e|l|l|o |5|0|w|o|r|l|d."""
    assert list(written(uwsgi.spool({"hello": "world"}))) == [17, 14, 0, 0, 5, 0, *b"hello", 5, 0, *b"world"]


def test_what_is_given_as_a_body_leaves_the_callers_dict(uwsgi: Any) -> None:
    given = {"a": "b", "body": "text"}
    uwsgi.spool(given)
    assert given == {"a": "b"}
    given = {"a": "b", b"body": bytearray(b"no body")}  # type: ignore[dict-item]  # as programs do
    assert written(uwsgi.spool(given)).endswith(b"\x04\x00body\x07\x00no body")
    assert list(given) == ["a", b"body"]


def test_an_external_spooler_by_its_directory(make_program: MakeProgram, tmp_path: Path) -> None:
    external = tmp_path / "external"
    spools = {"outside": DirectorySpool(external, external=True)}
    uwsgi: Any = make_program(Spooler(tmp_path / "own", spools=spools)).module
    assert uwsgi.spoolers == (os.fsencode(tmp_path / "own"), os.fsencode(external))
    for spooler in (str(external), os.fsencode(external), f"{external}/", f"{tmp_path}/own/../external", "outside", 1):
        assert Path(os.fsdecode(uwsgi.spool(foo="bar", spooler=spooler))).parent == external
    assert Path(os.fsdecode(uwsgi.spool(foo="bar", spooler=0))).parent == tmp_path / "own"
    for spooler in ("elsewhere", "/elsewhere", "external", "2", "-1"):
        with pytest.raises(ValueError, match=r"unable to spool job: .* is none of uwsgi.spoolers"):
            uwsgi.spool(foo="bar", spooler=spooler)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (b"127.0.0.1:3031", "uwsgi://127.0.0.1:3031"),
        (b"[::1]:3031", "uwsgi://[::1]:3031"),
        (b"mail.example.com:3031", "uwsgi://mail.example.com:3031"),
        (b"unix:/run/x.sock", "uwsgi:///run/x.sock"),
        (b"uwsgi://host:1?timeout=3", "uwsgi://host:1?timeout=3"),
    ],
)
def test_a_remote_spooler_is_an_address(given: bytes, address: str) -> None:
    assert spool_named(given, {"default": "/spool"}, strict=False) == address
    with pytest.raises(ValueError, match=r"^unable to spool job$"):
        spool_named(given, {"default": "/spool"}, strict=True)


def test_a_remote_one_does_not_hear_by_which_address_we_reach_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = MemorySpool()
    monkeypatch.setattr(program.spooler, "spool_of", {"uwsgi://127.0.0.1:3031": there}.__getitem__)
    path = program.module.spool({b"a": b"b", b"spooler": b"127.0.0.1:3031"})
    (message,) = there.messages()
    assert (message.raw, message.plain) == ({b"a": b"b"}, True)
    assert path == f"{there.address}/{message.id}".encode()


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({b"a": b"x" * 70_000}, "take 70005 bytes and a uwsgi packet holds 65535: give large data as body"),
        ({b"x" * 70_000: b""}, "give large data as body"),
        ({b"": b"x"}, "a variable needs a name"),
        ({b"aspool.task": b"app.send"}, "is one of aspool's own variables"),
        ({b"priority": b"../x"}, "it is a whole number"),
        ({b"priority": b"high"}, "it is a whole number"),
        ({b"priority": b"-1"}, "it is a whole number"),
        ({b"priority": b"5/2"}, "it is a whole number"),
        ({b"priority": b"/abs"}, "it is a whole number"),
        ({b"priority": b"1000000"}, "it is a whole number from 0"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_the_real_one_cuts_deletes_or_puts_elsewhere_is_refused(
    make_program: MakeProgram, spool_path: Path, given: dict[bytes, bytes], said: str, strict: bool
) -> None:
    uwsgi: Any = make_program(strict=strict).module
    with pytest.raises(ValueError, match="unable to spool job") as caught:
        uwsgi.spool(given)
    assert str(caught.value) == "unable to spool job" if strict else said in str(caught.value)
    assert not spool_path.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"at": "soon"}, "at=b'soon' is no UNIX timestamp"),
        ({"at": "nan"}, "out of range"),
        ({"at": 1e12}, "out of range"),
        ({"a": None}, "no bytes, str or number: None"),
        ({"a": True}, "no bytes, str or number: True"),
        ({"a": object}, "no bytes, str or number"),
        ({5: "a"}, "the keys of a task are bytes or str, not 5"),
        ([("a", "b")], "The argument of spooler callable must be a dictionary"),
    ],
)
def test_what_nobody_can_mean_is_refused_with_a_reason(uwsgi: Any, given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        uwsgi.spool(given)


def test_a_spool_that_cannot_be_used_is_a_value_error(make_program: MakeProgram, tmp_path: Path) -> None:
    uwsgi: Any = make_program(Spooler(tmp_path / "missing" / "spool")).module
    with pytest.raises(ValueError, match=r"unable to spool job: the spool .* cannot be used"):
        uwsgi.spool({b"a": b"b"})
    full: Any = make_program(Spooler(MemorySpool(max_waiting=1))).module
    full.spool({b"a": b"b"})
    with pytest.raises(ValueError, match="unable to spool job: "):
        full.spool({b"a": b"b"})


# --- moments -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("at", "due"),
    [
        (b"2000000000", 2_000_000_000.0),
        (2_000_000_000.25, 2_000_000_000.25),
        ("2000000000", 2_000_000_000.0),
        (1, 1.0),
        (0, START),
        (b"", START),
        (-5, START),
    ],
)
def test_at_may_be_a_number_and_keeps_its_fraction(make_program: MakeProgram, at: Any, due: float) -> None:
    memory = MemorySpool()
    uwsgi: Any = make_program(Spooler(memory)).module
    uwsgi.spool(a="b", at=at)
    (message,) = memory.messages()
    assert message.due == due


# --- anywhere ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_it_works_beside_an_event_loop_and_in_threads(uwsgi: Any, spool_path: Path) -> None:
    uwsgi.spool({b"from": b"loop"})
    await asyncio.to_thread(uwsgi.spool, {b"from": b"thread"})
    thread = threading.Thread(target=uwsgi.spool, args=({b"from": b"own"},))
    thread.start()
    thread.join()
    assert len(uwsgi.spooler_jobs()) == 3
    assert all(path.startswith(os.fsencode(spool_path) + b"/uwsgi_spoolfile_on_") for path in uwsgi.spooler_jobs())


class OnlyAwaits(MemorySpool):
    """A spool that cannot be written to without an event loop."""

    put_blocking = None  # type: ignore[assignment]  # it has none

    async def put(self, messages: Any) -> Any:
        await asyncio.sleep(0)
        return MemorySpool.put_blocking(self, messages)


@pytest.mark.anyio
async def test_a_spool_that_must_be_awaited_is(make_program: MakeProgram) -> None:
    spool = OnlyAwaits()
    uwsgi: Any = make_program(Spooler(spool)).module
    uwsgi.spool(a="in the thread of a loop")
    await asyncio.to_thread(uwsgi.spool, a="in another")
    assert len(spool.messages()) == 2


# --- looking -----------------------------------------------------------------------------------------------------


def test_jobs_are_the_files_at_the_top(uwsgi: Any, spool_path: Path) -> None:
    assert uwsgi.spooler_jobs() == []
    now = uwsgi.spool(a="now")
    later = uwsgi.spool(a="later", at=2_000_000_000)
    uwsgi.spool(a="first", priority=1)
    (spool_path / "uwsgi_spoolfile_on_directory").mkdir()
    (spool_path / "other").touch()
    assert sorted(uwsgi.spooler_jobs()) == sorted([now, later])


def test_the_spools_of_a_program_without_a_directory_have_no_files(make_program: MakeProgram) -> None:
    uwsgi: Any = make_program(Spooler(MemorySpool())).module
    path = uwsgi.spool(a="b")
    assert path.startswith(b"memory:")
    assert uwsgi.spooler_jobs() == []


def test_a_task_is_read_as_a_handler_gets_it(uwsgi: Any, spool_path: Path) -> None:
    path = os.fsdecode(uwsgi.spool({"a": "b", "body": "text"}))
    name = os.path.basename(path)
    for asked in (path, os.fsencode(path), name):
        assert uwsgi.spooler_get_task(asked) == {
            "spooler_task_name": os.fsencode(asked), b"a": b"b", "body": b"text",
        }  # fmt: skip
    assert uwsgi.parsefile(path) == {b"a": b"b"}
    assert uwsgi.spooler_get_task("nowhere") is None
    assert uwsgi.spooler_get_task(str(spool_path)) is None


LOCKING = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)  # as uWSGI locks what it runs
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_task_that_runs_is_none_and_keeps_its_lock(uwsgi: Any) -> None:
    path = os.fsdecode(uwsgi.spool(a="b"))
    locking = [sys.executable, "-I", "-S", "-c", LOCKING, path]
    with subprocess.Popen(locking, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        assert uwsgi.spooler_get_task(path) is None
        assert uwsgi.parsefile(path) == {b"a": b"b"}
        other.communicate()
    assert uwsgi.spooler_get_task(path) is not None


@pytest.mark.anyio
async def test_a_handler_may_look_at_its_own_file(program: Program) -> None:
    uwsgi: Any = program.module
    got: list[Any] = []

    def spooler(env: dict[str | bytes, bytes]) -> int:
        (path,) = uwsgi.spooler_jobs()
        got.append((env, uwsgi.spooler_get_task(path), uwsgi.spooler_get_task(os.fsdecode(env["spooler_task_name"]))))
        return -2

    uwsgi.spooler = spooler
    uwsgi.spool(a="b")
    await drain(program.spooler)
    env, by_path, by_name = got[0]
    assert env == by_name
    assert by_path | env == env
    assert uwsgi.spooler_jobs() == []


@pytest.mark.anyio
async def test_the_pids_are_those_of_the_workers(make_program: MakeProgram, tmp_path: Path) -> None:
    from aspool.worker import running

    outside = DirectorySpool(tmp_path / "external", external=True)
    program = make_program(Spooler(tmp_path / "own", spools={"outside": outside}))
    uwsgi: Any = program.module
    assert (uwsgi.spooler_pid(), uwsgi.spooler_pids()) == (0, [0, 0])
    async with running(program.spooler):
        assert (uwsgi.spooler_pid(), uwsgi.spooler_pids()) == (os.getpid(), [os.getpid(), 0])


def test_the_frequency_is_set_and_set_back(program: Program) -> None:
    uwsgi: Any = program.module
    assert uwsgi.set_spooler_frequency(5) is True
    assert program.spooler.frequency == 5
    uwsgi.set_spooler_frequency(0.5)
    assert program.spooler.frequency == 0.5
    uwsgi.set_spooler_frequency(0)
    assert program.spooler.frequency is None
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="the frequency of the spooler"):
            uwsgi.set_spooler_frequency(wrong)


def test_the_directory_of_a_spooler(make_program: MakeProgram, spool_path: Path) -> None:
    spooler: Any = make_program(role=Role("spooler")).module
    assert spooler.spooler_dir() == os.fsencode(spool_path)
    worker: Any = make_program().module
    with pytest.raises(ValueError, match="this process is none"):
        worker.spooler_dir()


@pytest.mark.heavy
@pytest.mark.anyio
async def test_a_real_one_far_away_gets_a_task(uwsgi: Any, tmp_path: Path) -> None:
    program = "import uwsgi\ndef spooler(env):\n  print(env)\n  return -2\nuwsgi.spooler = spooler"
    with real_uwsgi(tmp_path / "real", program, "--spooler", "spool") as real:
        await asyncio.to_thread(uwsgi.spool, {b"a": b"b", b"spooler": f"127.0.0.1:{real.port}"})
        uwsgi.spool(c="d", spooler=f"127.0.0.1:{real.port}", at=5)  # in the thread of a loop, as tasks may be
        real.wait_for_log("b'at': b'5'")
        assert "b'a': b'b'}" in real.log()
        assert "spooler'" not in real.printed()
