"""The process executor: what reaches the child, what comes back, and how it ends."""

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import Body, Job, MemorySpool, NoResult, Progress, TaskCancelled, TaskFailed, WorkerSettings
from aspool.middleware import CallNext
from aspool.outcomes import Buried, Done, PutOff
from aspool.worker import Worker, running

from .bursts import burst
from .storm_workers import APPS

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """tests/apps/processes.py; its children find it on sys.path and its directory in the environment."""
    monkeypatch.setenv("PROCESSES_ROOT", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    for name in ("processes", "grouped"):
        sys.modules.pop(name, None)
    return importlib.import_module("processes")


async def test_job_and_body_reach_the_child(app: Any, tmp_path: Path) -> None:
    await app.write.spool("written", Body(b"the body"))
    await app.on_its_own_loop.spool("loop")
    await app.spooler.spool({"name": "raw", "body": b"raw body"})
    assert await burst(app.spooler) == [Done(), Done(), Done()]
    pid, attempt, body = (tmp_path / "written").read_bytes().split(b" ", 2)
    assert (int(pid) == os.getpid(), attempt, body) == (False, b"1", b"the body")
    assert (tmp_path / "loop").read_text() == "async"
    assert (tmp_path / "raw").read_bytes() == b"raw body"


async def test_a_child_is_prepared_before_the_task_is_looked_for(app: Any, tmp_path: Path) -> None:
    prepare: Any = (tmp_path / "prepared").write_text  # which pickles
    await app.write.spool("written", Body(b""))
    await Worker(app.spooler, WorkerSettings(burst=True), prepare_child=prepare).run()
    assert (tmp_path / "prepared").read_text() == app.write.name
    assert (tmp_path / "written").exists()


async def test_what_it_prints_comes_out_of_the_worker(app: Any, capfd: pytest.CaptureFixture[str]) -> None:
    await app.speaks.spool()
    assert await burst(app.spooler) == [Done()]
    assert sorted(capfd.readouterr().err.splitlines()) == ["said by a program", "said by print", "said to stderr"]


@pytest.mark.parametrize("how", ["exit", "interrupt", "_exit", "kill", "unpicklable", "value"])
async def test_whatever_ends_it_ends_this_job_alone(app: Any, how: str, tmp_path: Path) -> None:
    await app.ends.spool(how)
    await app.write.spool("neighbour", Body(b""))
    outcomes = await burst(app.spooler)
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
    assert await burst(app.spooler) == [Done()]


async def test_an_order_comes_back(app: Any) -> None:
    await app.again.spool()
    first, second = await burst(app.spooler)
    assert isinstance(first, PutOff)
    assert (first.reason, second) == ("once more", Done())


async def test_harakiri_ends_the_process(app: Any, tmp_path: Path) -> None:
    await app.sleeps.spool()
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert "harakiri" in outcome.reason
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_harakiri_says_where_a_process_was(app: Any) -> None:
    await app.sleeps.spool()
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert "in sleeps\n" in outcome.traceback


@pytest.mark.parametrize("how", ["no stack", "another file", "another pid", "nonsense"])
async def test_a_process_that_cannot_say_where_it_is_is_ended_all_the_same(app: Any, how: str, tmp_path: Path) -> None:
    await app.hides.spool(how)
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert outcome.traceback == ""
    assert (tmp_path / "precious").read_text() == "precious"


async def test_what_a_job_changes_of_its_message_comes_back(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    ticket = await app.changes.spool()
    with caplog.at_level(logging.INFO, logger="aspool.job"):
        assert [type(outcome) for outcome in await burst(app.spooler)] == [PutOff, Done]
    assert await ticket.result() == [2, 0, 2]
    lines: list[Any] = [record for record in caplog.records if record.name == "aspool.job"]
    assert [(line.aspool_attempt, line.getMessage()) for line in lines] == [
        (1, f"[processes.changes {ticket.id} #1] attempt 1"),
        (2, f"[processes.changes {ticket.id} #2] attempt 2"),
    ]


async def test_a_buffer_that_cannot_travel_ends_the_retries(app: Any) -> None:
    for end in ("success", "failure", "again"):
        await app.keeps_what_cannot_travel.spool(end)
    outcomes = await burst(app.spooler)
    why = "; it cannot run again: the buffer of a job cannot be written as JSON: Object of type lock is not JSON"
    assert [outcome for outcome in outcomes if not isinstance(outcome, Buried)] == [Done()]
    reasons = sorted(outcome.reason for outcome in outcomes if isinstance(outcome, Buried))
    assert [reason.rpartition(" ")[0] for reason in reasons] == [
        f"ValueError: failure{why}", f"it returned SPOOL_RETRY{why}"
    ]  # fmt: skip


async def test_the_last_lines_of_a_process_that_died_are_kept(app: Any) -> None:
    await app.logs_and_dies.spool()
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert [line.split(" ", 2)[1:] for line in outcome.log] == [
        ["INFO", "about to die ☠"],
        ["WARNING", "x" * 600],
    ]


async def test_a_job_in_a_process_gets_more_time(app: Any) -> None:
    await app.gets_more_time.spool()
    outcomes = await burst(app.spooler)
    assert outcomes[-1] == Done(), "where the process begins too late there is another attempt"


async def test_a_job_in_a_process_spools_itself_again(app: Any, tmp_path: Path) -> None:
    await app.itself_again.spool(2)
    await app.itself_again_async.spool(1)
    assert await burst(app.spooler) == [Done()] * 5
    assert (tmp_path / "seen").read_text() == "[2, 1, 0]"
    assert (tmp_path / "async").read_text() == "processes.itself_again_async"


async def test_a_task_of_a_group_has_its_spooler_there(app: Any) -> None:
    task = app.spooler.task_named("grouped.itself_again")
    ticket = await task.spool(1)
    assert [type(outcome) for outcome in await burst(app.spooler)] == [Done, Done]
    assert await task.ticket(await ticket.result()).result() == ""


async def test_a_cancelled_process_is_ended(app: Any, tmp_path: Path) -> None:
    async with running(app.spooler):
        ticket = await app.hangs.spool()
        with anyio.fail_after(30):
            while not (tmp_path / "hangs").exists() or not (tmp_path / "hangs").read_text():
                await anyio.sleep(0.01)
            pid = int((tmp_path / "hangs").read_text())
            assert await ticket.cancel()
            with pytest.raises(TaskCancelled):
                await ticket.result()
            while Path(f"/proc/{pid}").exists():
                await anyio.sleep(0.01)


async def test_a_process_runs_where_its_task_wants(app: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    tickets = [await app.where.spool(), await app.where.using(working_dir=other).spool(), await app.where.spool()]
    await app.where.using(working_dir=tmp_path / "nowhere", retries=0).spool()
    assert [type(outcome) for outcome in await burst(app.spooler)].count(Buried) == 1
    assert [await ticket.result() for ticket in tickets] == [str(tmp_path), str(other), str(tmp_path)]


async def test_progress_on_a_memory_spool_comes_from_a_process(app: Any, tmp_path: Path) -> None:
    app.spooler._spools["default"] = MemorySpool()
    async with running(app.spooler):
        ticket = await app.reports.spool()
        with anyio.fail_after(30):
            async for update in ticket.watch():
                if update.progress is not None:
                    assert update.progress == Progress(1, 2, "half ☠")
                    (tmp_path / "seen").touch()
    assert update.state == "done"


async def test_the_workers_resources_are_not_in_a_process(app: Any) -> None:
    await app.wants_resources.spool()
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert "runs in a process of its own: the worker's resources are not there" in outcome.reason


async def test_a_suspect_finds_resources_of_its_own(app: Any, tmp_path: Path) -> None:
    await app.shares.spool("sync")
    await app.shares_async.spool("async")
    for path in (tmp_path / "spool").glob("uwsgi_*"):
        path.rename(path.with_name(path.name.removesuffix("_0") + "_2"))  # its worker died twice
    assert await burst(app.spooler) == [Done(), Done()]
    for name in ("sync", "async"):
        theirs, its = (tmp_path / name).read_text().split()
        assert theirs == its != str(os.getpid())


async def test_results_and_failures_come_from_a_process(app: Any) -> None:
    told = await app.fails.spool("value")
    lost = await app.fails.spool("unpicklable")
    own = await app.fails.spool("own")
    await burst(app.spooler)
    assert await told.result() == {"how": "value"}
    with pytest.raises(NoResult, match="cannot be written as JSON"):
        await lost.result()
    with pytest.raises(app.Odd) as caught:
        await own.result()
    assert caught.value.args == (7, "odd")
    assert "in fails" in caught.value.__notes__[0]


async def test_middleware_sees_a_process_that_died(app: Any) -> None:
    seen: list[BaseException] = []

    async def middleware(job: Job, call_next: CallNext) -> Any:
        try:
            return await call_next(job)
        except Exception as error:
            seen.append(error)
            raise

    app.spooler.middleware.append(middleware)
    await app.ends.spool("kill")
    (outcome,) = await burst(app.spooler)
    assert isinstance(outcome, Buried)
    assert outcome.reason.startswith("its process died")
    assert [type(error) for error in seen] == [TaskFailed]
    assert str(seen[0]) == outcome.reason


async def test_middleware_is_around_a_process_too(app: Any) -> None:
    seen: list[Any] = []

    async def middleware(job: Job, call_next: CallNext) -> Any:
        try:
            seen.append(await call_next(job))
        except Exception as error:
            seen.append(error)
            raise
        return "changed"

    app.spooler.middleware.append(middleware)
    ticket, _, own = [await app.fails.spool(how) for how in ("value", "unpicklable", "own")]
    outcomes = await burst(app.spooler)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Buried", "Done", "Done"]
    assert await ticket.result() == "changed"
    assert {"how": "value"} in seen
    assert None in seen, "what cannot travel"
    assert app.Odd in [type(value) for value in seen]
    with pytest.raises(app.Odd):
        await own.result()


async def test_its_progress_is_on_the_scoreboard(app: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # the job stays in its write until somebody reads
    await app.write.spool("fifo", Body(b"x"))
    async with running(app.spooler):
        with anyio.fail_after(30):
            while not (shown := [e for b in app.spooler.spools["default"].boards() for e in b.entries if e.text]):
                await anyio.sleep(0.01)
        assert (shown[0].task, shown[0].done, shown[0].total, shown[0].text) == ("processes.write", 3, 10, "writing")
        assert await anyio.Path(tmp_path / "fifo").read_bytes()


async def test_no_more_processes_than_allowed(app: Any, tmp_path: Path) -> None:
    """The third job waits for its place, and is handed back uncharged when the worker stops."""
    for _ in range(3):
        await app.waits.spool("never")
    spool = app.spooler.spools["default"]
    with anyio.fail_after(30):
        async with running(app.spooler, job_processes=2, grace=0.1):
            while len([e for b in spool.boards() for e in b.entries]) < 3:
                await anyio.sleep(0.01)
    assert [(item.state, item.attempt, item.crashes) for item in spool.browse()] == [("waiting", 0, 0)] * 3


async def test_a_job_may_do_what_it_likes_with_its_output(app: Any) -> None:
    await app.takes_its_output_away.spool()
    assert await burst(app.spooler) == [Done()]


async def test_what_a_buffer_has_travels_as_json(app: Any, tmp_path: Path) -> None:
    await app.remembers_kinds.spool()
    assert [type(outcome) for outcome in await burst(app.spooler)] == [PutOff, Done]
    assert (tmp_path / "kind").read_text() == "small"
