"""A worker's process, as its supervisor sees it: small programs that are no workers, and a worker that is blocked."""

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import create_task_group, fail_after

from aspool.settings import Settings
from aspool.supervisor import process as processes
from aspool.supervisor.order import Order
from aspool.supervisor.process import WorkerProcess

from .conftest import Program, wait_for

Start = Callable[..., Program]
pytestmark = pytest.mark.anyio
# What a process is to do when it has heard its order: `say` tells a word.
HEAD = """
import json, os, signal, socket, sys, time
link = socket.socket(fileno={0})
order = json.loads(link.recv(1 << 20))
def say(kind, **fields):
    link.send(json.dumps([kind, fields]).encode())
"""
IGNORES = "signal.signal(signal.SIGTERM, signal.SIG_IGN); say('Ready', spools=[]); time.sleep(600)"
PROMISES = "say('Deadline', moment=time.monotonic() + 0.1); say('Ready', spools=[]); {}; time.sleep(600)"


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, code: str, **options: object) -> AsyncIterator[WorkerProcess]:
    """A process that does this, until the block ends and it is killed."""
    monkeypatch.setattr(processes, "BEGIN", HEAD + code.replace("{", "{{").replace("}", "}}"))
    order = Order("app", Settings(**options).as_record(), 1, 1)  # type: ignore[arg-type]  # any options
    process = WorkerProcess(order, lambda _: None)
    with fail_after(60):
        async with create_task_group() as group:
            group.start_soon(process.run)
            yield process
            process.kill()


async def until(process: WorkerProcess, condition: Callable[[], object]) -> None:
    while not condition():
        await process.heard.wait()


async def test_what_it_says_last_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    last_words = "say('Ready', spools=['x']); say('Leaving', reason=order['app']); sys.exit(3)"
    async with running(monkeypatch, last_words) as process:
        await until(process, lambda: process.state.exit_code is not None)
        assert process.state.leaving is not None
        assert (process.state.exit_code, process.state.leaving.reason) == (3, "app")


async def test_one_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAST_WAIT", 0.05)
    async with running(monkeypatch, IGNORES, grace=0.05) as process:
        await until(process, lambda: process.state.ready)
        process.stop()
        await until(process, lambda: process.state.exit_code is not None)
        assert process.state.exit_code == -9


async def test_in_a_hurry_its_grace_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAST_WAIT", 0.05)
    async with running(monkeypatch, IGNORES, grace=1000.0) as process:
        await until(process, lambda: process.state.ready)
        process.stop_now()
        await until(process, lambda: process.state.exit_code is not None)
        assert process.state.exit_code in (-2, -9), "SIGINT, which it does not ignore, or the kill after that"


async def test_one_that_misses_its_deadline_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LATE", 0.05)
    async with running(monkeypatch, PROMISES.format("pass")) as process:
        await until(process, lambda: process.state.exit_code is not None)
        assert process.state.leaving is not None
        assert (process.state.leaving.wants_successor, "is blocked" in process.state.leaving.reason) == (True, True)


async def test_one_that_keeps_speaking_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LATE", 1.0)
    speaking = "[(time.sleep(0.1), say('Deadline', moment=time.monotonic() + 0.1)) for _ in range(13)]; say('Deadline')"
    async with running(monkeypatch, PROMISES.format(f"{speaking}; say('Leaving', reason='all said')")) as process:
        await until(process, lambda: process.state.leaving)
        assert process.state.leaving is not None
        assert process.state.leaving.reason == "all said"


async def test_what_was_said_while_the_supervisor_slept_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LATE", 0.1)
    async with running(monkeypatch, PROMISES.format("say('Deadline'); say('Load', saturated=True)")) as process:
        await until(process, lambda: process.state.ready)
        time.sleep(1.0)
        await until(process, lambda: process.state.saturated)
        assert (process.state.leaving, process.state.deadline) == (None, None)


# --- a real one --------------------------------------------------------------------------------------------------

BLOCKING = """
@spooler.task(name="block", harakiri=0.2, retries=0)
async def block(name: str) -> None:
    Path(name).write_text(str(os.getpid()))
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, for years, and it never lets go of the interpreter
"""


def test_one_that_holds_the_interpreter_is_ended_by_its_supervisor(start: Start, directory_of_app: Path) -> None:
    app = directory_of_app / "app.py"
    app.write_text(f"import re\n{app.read_text()}{BLOCKING}")
    program = start("--harakiri-grace=0.1", "--max-crashes=1")
    pid = int(program.run("block", "blocked"))
    wait_for(lambda: program.says("is blocked beyond all harakiri"))
    told = program.told.read_text()
    assert re.search(rf"worker 1 \(process {pid}\) is blocked .*app\.py\", line \d+ in block", told, re.DOTALL)
    assert program.run("note", "after") != f"VERSION {pid}"
    wait_for(lambda: program.spool.counts()["dead"] == 1)
    (dead,) = program.spool.browse(frozenset({"dead"}))
    assert "its worker died 1 times" in dead.reason
