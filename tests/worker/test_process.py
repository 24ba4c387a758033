"""The process executor: what reaches the child, what comes back, and how it ends."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import Body, WorkerSettings
from aspool.events import Event, JobEnded
from aspool.outcomes import Buried, Done, Outcome, PutOff
from aspool.worker import Worker, running
from aspool.worker.scoreboard import boards

from .storm_workers import APPS

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """tests/apps/processes.py; its children find it on sys.path and its directory in the environment."""
    monkeypatch.setenv("PROCESSES_ROOT", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    sys.modules.pop("processes", None)
    return importlib.import_module("processes")


async def burst(app: Any) -> list[Outcome]:
    outcomes: list[Outcome] = []

    def observe(event: Event) -> None:
        if isinstance(event, JobEnded):
            outcomes.append(event.outcome)

    with anyio.fail_after(60):
        await Worker(app.spooler, WorkerSettings(burst=True), observers=[observe]).run()
    return outcomes


async def test_job_and_body_reach_the_child(app: Any, tmp_path: Path) -> None:
    await app.write.spool("written", Body(b"the body"))
    await app.on_its_own_loop.spool("loop")
    await app.spooler.spool({"name": "raw", "body": b"raw body"})
    assert await burst(app) == [Done(), Done(), Done()]
    pid, attempt, body = (tmp_path / "written").read_bytes().split(b" ", 2)
    assert (int(pid) == os.getpid(), attempt, body) == (False, b"1", b"the body")
    assert (tmp_path / "loop").read_text() == "async"
    assert (tmp_path / "raw").read_bytes() == b"raw body"


async def test_what_it_prints_comes_out_of_the_worker(app: Any, capfd: pytest.CaptureFixture[str]) -> None:
    await app.speaks.spool()
    assert await burst(app) == [Done()]
    assert sorted(capfd.readouterr().err.splitlines()) == ["said by a program", "said by print", "said to stderr"]


@pytest.mark.parametrize("how", ["exit", "interrupt", "_exit", "kill", "unpicklable", "value"])
async def test_whatever_ends_it_ends_this_job_alone(app: Any, how: str, tmp_path: Path) -> None:
    await app.ends.spool(how)
    await app.write.spool("neighbour", Body(b""))
    outcomes = await burst(app)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Buried", "Done"]
    (buried,) = [outcome for outcome in outcomes if isinstance(outcome, Buried)]
    words = {
        "exit": "SystemExit: 3",
        "interrupt": "KeyboardInterrupt",
        "unpicklable": "cannot travel",
        "value": "ValueError",
    }
    assert words.get(how, "its process died") in buried.reason
    assert (tmp_path / "neighbour").exists()


async def test_what_it_returns_need_not_travel(app: Any) -> None:
    await app.ends.spool("lock")
    assert await burst(app) == [Done()]


async def test_an_order_comes_back(app: Any) -> None:
    await app.again.spool()
    first, second = await burst(app)
    assert isinstance(first, PutOff)
    assert (first.reason, second) == ("once more", Done())


async def test_harakiri_ends_the_process(app: Any, tmp_path: Path) -> None:
    await app.sleeps.spool()
    (outcome,) = await burst(app)
    assert isinstance(outcome, Buried)
    assert "harakiri" in outcome.reason
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_its_progress_is_on_the_scoreboard(app: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # the job stays in its write until somebody reads
    await app.write.spool("fifo", Body(b"x"))
    async with running(app.spooler):
        with anyio.fail_after(30):
            while not (
                shown := [e for b in boards(app.spooler.spools["default"].scoreboards) for e in b.entries if e.text]
            ):
                await anyio.sleep(0.01)
        assert (shown[0].task, shown[0].done, shown[0].total, shown[0].text) == ("processes.write", 3, 10, "writing")
        assert await anyio.Path(tmp_path / "fifo").read_bytes()


async def test_no_more_processes_than_allowed(app: Any, tmp_path: Path) -> None:
    """The third job waits for its place, and is handed back uncharged when the worker stops."""
    for _ in range(3):
        await app.waits.spool("never")
    spool = app.spooler.spools["default"]
    with anyio.fail_after(30):
        async with running(app.spooler, processes=2, grace=0.1):
            while len([e for b in boards(spool.scoreboards) for e in b.entries]) < 3:
                await anyio.sleep(0.01)
    assert [(item.state, item.attempt, item.crashes) for item in spool.browse()] == [("waiting", 0, 0)] * 3
