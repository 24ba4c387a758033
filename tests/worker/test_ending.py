"""A worker with a process of its own ends it for what does not stop; what it has is settled before, and stays held."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import DirectorySpool, Job, MemorySpool, Spooler, WorkerSettings
from aspool.browsing import Listed
from aspool.events import Event, JobOverdue
from aspool.outcomes import Buried, Cancelled, Done, Outcome, PutOff
from aspool.protocol import Claim, WorkerSide
from aspool.worker import Worker, ending, watchdog
from aspool.worker.lanes import Lanes

from .own_processes import Bench, Process, die, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.worker.loop.LAST_WAIT", 0.1)
    monkeypatch.setattr(ending, "CLEANING", 0.1)
    monkeypatch.setattr(watchdog, "PATIENCE", 0.2)


def listed(spooler: Spooler, *states: str) -> list[Listed]:
    """What is there once the process has ended."""
    spool = spooler.spools["default"]
    assert isinstance(spool, DirectorySpool)
    die(spool)
    return list(spool.browse(frozenset(states)))


async def swallow(process: Process) -> None:
    """What a coroutine must not do."""
    while not process.release.is_set():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


async def claimed_by_another(path: Path) -> list[Claim]:
    other = DirectorySpool(path, durability="process")
    async with other.serving(WorkerSide(lambda: 0.05)):
        await other.wait(0.1)
        claims: list[Claim] = []
        for _ in range(5):
            claims += await other.claim(10, time.time())
            await other.wait(0.02)
        return claims


# --- the event loop runs -------------------------------------------------------------------------------------


async def test_a_coroutine_that_does_not_stop(spooler: Spooler, spool_path: Path) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.1, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    @spooler.task
    async def slow() -> None:
        await anyio.sleep(60)

    culprit, neighbour = await swallows.spool(), await slow.spool()
    async with bench.working():
        reason, exit_code = await bench.until_left()
        assert await claimed_by_another(spool_path) == [], "until the process has ended, nobody else may have them"
        assert (reason, exit_code) == (f"harakiri: {swallows.name} {culprit.id} does not stop", 1)
        assert (bench.worker.stop_reason, bench.worker.wants_successor) == (reason, True)
    (dead,) = spool_path.glob(".aspool/dead/*.json")
    record = json.loads(dead.read_text())
    assert (record["id"], record["attempts"], record["crashes"]) == (culprit.id, 1, 0)
    assert record["reason"].startswith("harakiri: it was stopped after 0.1 s, did not end within 0.1 s")
    assert "in swallow\n" in record["traceback"]
    assert "Thread MainThread" in record["traceback"]
    (waiting,) = listed(spooler, "waiting")
    assert (waiting.id, waiting.attempt, waiting.crashes) == (neighbour.id, 0, 0)
    assert isinstance(bench.outcomes["swallows"], Buried)
    (overdue,) = [event for event in bench.events if isinstance(event, JobOverdue)]
    assert overdue.stack == record["traceback"]


async def test_it_is_retried_as_any_other_failure(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.1, retries=1, backoff=100)
    async def swallows(job: Job) -> None:
        job.buffer["seen"] = 1
        await swallow(bench.process)

    await swallows.spool()
    async with bench.working():
        await bench.until_left()
    (waiting,) = listed(spooler)
    assert (waiting.state, waiting.attempt, waiting.crashes) == ("retrying", 1, 0)
    outcome = bench.outcomes["swallows"]
    assert isinstance(outcome, PutOff)
    assert outcome.changes is not None
    assert outcome.changes.buffer == {"seen": 1}


async def test_a_thread_that_does_not_stop(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.1, retries=0)
    def stubborn() -> None:
        bench.process.release.wait(60)

    await stubborn.spool()
    async with bench.working():
        await bench.until_left()
    (dead,) = listed(spooler, "dead")
    assert dead.attempt == 1


async def test_a_job_that_its_ticket_cancelled_keeps_its_worker(spooler: Spooler) -> None:
    """Nobody gave it a time: that its caller wants it to stop ends no neighbours."""
    bench = Bench(spooler)

    @spooler.task
    async def swallows() -> None:
        await swallow(bench.process)

    ticket = await swallows.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        assert await ticket.cancel()
        await until(lambda: any(isinstance(event, JobOverdue) for event in bench.events))
        assert (bench.worker.stopping, bench.process.left) == (False, [])
        bench.process.release.set()
        await until(lambda: not bench.worker.busy)
    assert isinstance(bench.outcomes["swallows"], Cancelled)


async def test_a_job_that_its_ticket_cancelled_has_its_harakiri_still(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.5)
    async def swallows() -> None:
        await swallow(bench.process)

    ticket = await swallows.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        assert await ticket.cancel()
        reason, _ = await bench.until_left()
        assert "does not stop" in reason
    assert isinstance(bench.outcomes["swallows"], Cancelled)
    assert (await ticket.status()) == "cancelled"


async def test_what_was_expected_of_a_job_that_has_ended_is_forgotten(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=60)
    async def quick() -> None: ...

    await quick.spool()
    async with bench.working():
        await until(lambda: bench.process.deadlines and bench.process.deadlines[-1] is None)
        assert bench.process.deadlines[0] is not None


async def test_closing_may_take_its_time_once_no_job_runs(directory: DirectorySpool) -> None:
    closed = anyio.Event()

    @asynccontextmanager
    async def resources() -> AsyncIterator[None]:
        yield
        await anyio.sleep(0.5)
        closed.set()

    bench = Bench(Spooler(directory, resources=resources), grace=0.0)
    async with bench.working():
        bench.worker.stop()
        await closed.wait()
    assert bench.process.left == []


async def test_what_stops_in_the_last_moment_keeps_its_worker_from_leaving(
    spooler: Spooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spooler)
    monkeypatch.setattr("aspool.worker.loop.LAST_WAIT", 20)

    @spooler.task(harakiri=0.1, retries=0)
    def stubborn() -> None:
        bench.process.release.wait(60)

    @spooler.task
    async def slow() -> None:
        await anyio.sleep(60)

    await stubborn.spool()
    await slow.spool()
    async with bench.working():
        await until(lambda: bench.worker.stopping)
        bench.process.release.set()
        await until(lambda: bench.worker.busy == 1)
    assert bench.process.left == []
    assert bench.outcomes["stubborn"] == Done(), "it has ended well after all"
    assert bench.worker.wants_successor


async def test_an_outcome_that_is_not_told_yet_is_told(
    spooler: Spooler, directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spooler)
    finishing = threading.Event()

    async def hang(settled: Sequence[tuple[Claim, Outcome]]) -> None:
        finishing.set()
        await until(lambda: bench.process.left)

    monkeypatch.setattr(directory, "finish", hang)

    @spooler.task(harakiri=0.2, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    @spooler.task
    async def first() -> None: ...

    @spooler.task
    async def second() -> None:
        await anyio.sleep(0.05)

    for task in (swallows, first, second):
        await task.spool()
    async with bench.working():
        await bench.until_left()
        assert finishing.is_set()
    assert listed(spooler, "waiting", "running") == []
    assert [item.task for item in listed(spooler, "dead")] == [swallows.name]


async def test_a_claim_on_its_way_is_handed_back(
    spooler: Spooler, directory: DirectorySpool, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spooler, concurrency=2)
    held: list[Claim] = []
    claim = directory.claim

    async def slow_claim(limit: int, now: float) -> Sequence[Claim]:
        claims = await claim(limit, now)
        if claims and bench.worker.busy > limit:  # not the first
            held.extend(claims)
            with anyio.CancelScope(shield=True):
                await until(lambda: bench.process.left)
        return claims

    monkeypatch.setattr(directory, "claim", slow_claim)

    @spooler.task(harakiri=0.1, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    @spooler.task
    async def other() -> None: ...

    await swallows.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy == 1)
        await other.spool()
        await bench.until_left()
        assert [one.message.task for one in held] == [other.name]
        (waiting,) = listed(spooler, "waiting", "running")
        assert (waiting.id, waiting.crashes) == (held[0].message.id, 0)


async def test_an_embedded_worker_only_reports(spooler: Spooler) -> None:
    process = Process()
    events: list[Event] = []
    settings = WorkerSettings(harakiri_grace=0.05)
    worker = Worker(spooler, settings, embedded=True, observers=[events.append])

    @spooler.task(harakiri=0.05, retries=0)
    async def swallows() -> None:
        await swallow(process)

    await swallows.spool()
    async with anyio.create_task_group() as group:
        await group.start(worker.run)
        await until(lambda: [event for event in events if isinstance(event, JobOverdue)])
        assert not worker.stopping
        process.release.set()
        worker.stop()


async def test_a_memory_spool_lets_a_worker_leave(memory: MemorySpool) -> None:
    spooler = Spooler(memory)
    bench = Bench(spooler)

    @spooler.task(harakiri=0.1, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    ticket = await swallows.spool()
    async with bench.working():
        await bench.until_left()
        assert (await ticket.status()) == "dead"


# --- the event loop is blocked -------------------------------------------------------------------------------


async def test_a_job_that_blocks_the_event_loop(spooler: Spooler, spool_path: Path) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.4, retries=0)
    async def blocks() -> None:
        await anyio.sleep(0.05)
        bench.process.release.wait(60)

    @spooler.task
    async def slow() -> None:
        await anyio.sleep(60)

    @spooler.task(keep_result=60)
    def in_thread() -> str:
        time.sleep(0.1)
        return "the result"

    neighbour, culprit = await slow.spool(), await blocks.spool()
    ended = await in_thread.spool()
    async with bench.working():
        reason, exit_code = await bench.until_left()
        assert (reason, exit_code) == (f"harakiri: {blocks.name} {culprit.id} blocks the event loop", 1)
        assert bench.process.threads != [threading.get_ident()]
    (dead,) = spool_path.glob(".aspool/dead/*.json")
    record = json.loads(dead.read_text())
    assert record["id"] == culprit.id
    assert "bench.process.release.wait(60)" in record["traceback"]
    assert [(item.id, item.attempt, item.crashes) for item in listed(spooler, "waiting")] == [(neighbour.id, 0, 0)]
    assert await ended.result() == "the result", "it ended in its thread while the loop was blocked"
    assert [type(event) for event in bench.events].count(JobOverdue) == 1


async def test_who_blocks_is_charged_and_not_who_could_not_be_stopped(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=0.5, retries=0)
    async def innocent() -> None:
        await anyio.sleep(60)

    @spooler.task(retries=0)
    async def blocks() -> None:
        bench.process.release.wait(60)

    waits = await innocent.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        await blocks.spool()
        await bench.until_left()
    assert [(item.id, item.attempt) for item in listed(spooler, "waiting")] == [(waits.id, 0)]
    assert [item.task for item in listed(spooler, "dead")] == [blocks.name]


async def test_a_loop_that_is_only_late_is_left_alone(spooler: Spooler, monkeypatch: pytest.MonkeyPatch) -> None:
    """What should have been stopped meanwhile hears of it late, and has time to end then."""
    bench = Bench(spooler)
    monkeypatch.setattr(watchdog, "PATIENCE", 20)

    @spooler.task(harakiri=0.1, retries=0)
    async def waits() -> None:
        await anyio.sleep(60)

    @spooler.task
    async def busy() -> None:
        time.sleep(0.8)  # beyond the other's harakiri and its grace

    await waits.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        await busy.spool()
        await until(lambda: len(bench.outcomes) == 2)
        assert not bench.worker.stopping
    assert bench.process.left == []
    assert isinstance(bench.outcomes["waits"], Buried)
    assert "it was stopped after 0.1 s" in bench.outcomes["waits"].reason
    assert "in waits\n" in bench.outcomes["waits"].traceback


# --- stopping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["swallows", "blocks"])
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_stop_ends_the_process_in_time(
    spooler: Spooler, how: str, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(spooler, grace=0.3)
    caplog.set_level("INFO", "aspool.worker")
    started = threading.Event()

    @spooler.task(retries=0)
    async def runs() -> None:
        started.set()
        if how == "swallows":
            await swallow(bench.process)
        else:
            bench.process.release.wait(60)

    await runs.spool()

    def stop() -> None:
        started.wait(30)
        bench.worker.stop_soon("SIGTERM", at_once=at_once)

    thread = threading.Thread(target=stop)
    thread.start()
    async with bench.working():
        assert await bench.until_left() == ("SIGTERM", 0)
        assert not bench.worker.wants_successor
    thread.join()
    (waiting,) = listed(spooler)
    assert (waiting.state, waiting.attempt, waiting.crashes) == ("waiting", 0, 0)
    assert bench.outcomes == {}
    assert f"handed back, as the worker leaves: {waiting.id}" in caplog.text


async def test_a_stop_before_it_runs(spooler: Spooler) -> None:
    bench = Bench(spooler)
    bench.worker.stop_soon("early")
    async with bench.working():
        pass
    assert (bench.worker.stop_reason, bench.worker.runs, bench.process.left) == ("early", 0, [])


async def test_whoever_keeps_the_process_is_told_when_to_look(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.task(harakiri=50)
    async def waits() -> None:
        await anyio.sleep(60)

    @spooler.task
    async def quick() -> None: ...

    await quick.spool()
    before = time.monotonic()
    async with bench.working():
        await until(lambda: bench.outcomes)
        assert bench.process.deadlines == []
        await waits.spool()
        await waits.spool()
        await until(lambda: bench.worker.busy == 2)
        (deadline,) = bench.process.deadlines
        assert deadline is not None
        assert before + 50 < deadline < time.monotonic() + 51
        bench.worker.stop()
        assert len(bench.process.deadlines) == 2, "the end of the grace is sooner"
    assert bench.process.deadlines[-1] is None


# --- who is to blame -----------------------------------------------------------------------------------------


async def test_a_job_that_ignores_its_cancellation_is_to_blame_and_not_who_is_busy_now(
    spooler: Spooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spooler)
    monkeypatch.setattr(watchdog, "PATIENCE", 0.05)

    @spooler.task(harakiri=0.1, retries=0)
    def stubborn() -> None:
        bench.process.release.wait(60)

    @spooler.task(retries=0)
    async def busy() -> None:
        await anyio.sleep(0.15)
        time.sleep(0.4)

    await stubborn.spool()
    hums = await busy.spool()
    async with bench.working():
        reason, _ = await bench.until_left()
        assert stubborn.name in reason
    assert [item.task for item in listed(spooler, "dead")] == [stubborn.name]
    assert [(item.id, item.attempt) for item in listed(spooler, "waiting")] in ([(hums.id, 0)], [])


async def test_it_leaves_though_something_cannot_be_settled(spooler: Spooler, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(spooler)

    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Lanes, "last_words", fail)

    @spooler.task(harakiri=0.1, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    await swallows.spool()
    async with bench.working():
        assert await bench.until_left()


async def test_it_leaves_though_the_disk_hangs(
    spooler: Spooler, directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spooler)
    monkeypatch.setattr("aspool.worker.leaving.LONGEST", 0.1)
    monkeypatch.setattr(directory, "leave", lambda _: bench.process.release.wait(30))

    @spooler.task(harakiri=0.1, retries=0)
    async def swallows() -> None:
        await swallow(bench.process)

    await swallows.spool()
    async with bench.working():
        await bench.until_left()
        assert bench.process.threads[0] != threading.get_ident()


async def test_the_end_of_a_schedules_run_is_noted(spooler: Spooler) -> None:
    bench = Bench(spooler)

    @spooler.timer(0.1, iterations=1, harakiri=0.1, retries=0, name="ticks")
    async def ticks() -> None:
        await swallow(bench.process)

    bench.process.releases = False
    async with bench.working():
        await bench.until_left()
        end = (await ticks.scheduled.look()).end
    assert end is not None
    assert (end.state, end.reason[:8]) == ("dead", "harakiri")


async def test_a_task_that_a_job_has_started_blocks_the_loop(spooler: Spooler) -> None:
    """From Python 3.12 on its job is found; before that nobody is charged with an attempt, least of all a neighbour."""
    bench = Bench(spooler)

    async def block() -> None:
        bench.process.release.wait(60)

    @spooler.task(retries=0)
    async def starts() -> None:
        await asyncio.create_task(block())

    @spooler.task(harakiri=0.2, retries=0)
    async def neighbour() -> None:
        await asyncio.sleep(60)

    await neighbour.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        culprit = await starts.spool()
        reason, exit_code = await bench.until_left()
        assert exit_code == 1
        assert bench.worker.wants_successor
    if sys.version_info >= (3, 12):
        assert reason == f"harakiri: {starts.name} {culprit.id} blocks the event loop"
    else:
        assert reason.startswith("harakiri: something blocks the event loop, and ")
    assert not isinstance(bench.outcomes.get("neighbour"), Buried)


async def test_what_cannot_be_charged_keeps_nothing_from_being_handed_back(
    spooler: Spooler, directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("no report")

    settled: list[bool] = []  # when the process ends
    leave = Process.leave

    def look_and_leave(process: Process, reason: str, exit_code: int) -> None:
        settled.append(directory._finisher.held.has_left)
        leave(process, reason, exit_code)

    monkeypatch.setattr(ending, "report_of", fail)
    monkeypatch.setattr(Process, "leave", look_and_leave)
    bench = Bench(spooler)

    @spooler.task
    async def slow() -> None:
        await anyio.sleep(60)

    @spooler.task(harakiri=0.1, retries=0)
    async def blocks() -> None:
        bench.process.release.wait(60)

    await slow.spool()
    async with bench.working():
        await until(lambda: bench.worker.busy)
        await blocks.spool()
        await bench.until_left()
    assert settled == [True]
