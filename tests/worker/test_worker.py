"""The worker, with a real spool in this process: what becomes of a job, however it ends."""

import asyncio
import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import (
    SPOOL_IGNORE,
    SPOOL_OK,
    SPOOL_RETRY,
    Body,
    Bury,
    CallError,
    DirectorySpool,
    Job,
    Retry,
    Spooler,
    WorkerSettings,
    current_job,
)
from aspool.browsing import Listed
from aspool.events import Event, JobEnded
from aspool.message import Message
from aspool.outcomes import Buried, Done, HandedBack, Outcome, PutOff
from aspool.worker import Worker, running

pytestmark = pytest.mark.anyio


class Seen:
    """An observer that keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, Outcome]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobEnded):
            self.outcomes.append((event.task.rsplit(".", 1)[-1], event.outcome))


async def burst(spooler: Spooler, **options: Any) -> list[tuple[str, Outcome]]:
    """Run what is due; how each run ended."""
    seen = Seen()
    with anyio.fail_after(30):
        await Worker(spooler, WorkerSettings(burst=True).changed(**options), observers=[seen]).run()
    return seen.outcomes


def listed(spooler: Spooler, *states: str) -> list[Listed]:
    spool = spooler.spools["default"]
    assert isinstance(spool, DirectorySpool)
    return list(spool.browse(frozenset(states)))


async def test_async_and_sync_functions_run_with_their_arguments(spooler: Spooler) -> None:
    calls: list[object] = []

    @spooler.task
    async def on_loop(a: int, *, b: str = "b") -> None:
        calls.append((a, b, threading.current_thread() is threading.main_thread()))

    @spooler.task
    def in_thread(when: timedelta, *rest: int) -> None:
        calls.append((when, rest, threading.current_thread() is threading.main_thread()))

    await on_loop.spool(1, b="c")
    await in_thread.spool(timedelta(seconds=2), 3, 4)
    outcomes = await burst(spooler)
    assert sorted(map(str, calls)) == sorted(map(str, [(1, "c", True), (timedelta(seconds=2), (3, 4), False)]))
    assert [outcome for _, outcome in outcomes] == [Done(), Done()]
    assert listed(spooler) == []


async def test_the_job_and_its_body(spooler: Spooler) -> None:
    seen: list[object] = []

    @spooler.task(retries=2)
    async def reads(job: Job, body: Body) -> None:
        job.progress(1, 2, "reading")
        assert current_job() is job
        seen.append((job.attempt, job.retries_left, job.task.rsplit(".", 1)[-1], await body.read()))

    @spooler.task
    def reads_sync(body: Body, job_is_not_wanted: int = 0) -> None:
        seen.append((current_job().attempt, body.file.read(), body.file.seek(1), body.file.read()))

    ticket = await reads.spool(Body(b"content"))
    await reads_sync.spool(Body(b"abc"))
    await burst(spooler)
    assert (1, 2, "reads", b"content") in seen
    assert (1, b"abc", 1, b"bc") in seen
    assert ticket.id


async def test_a_failure_is_retried_and_then_buried(spooler: Spooler) -> None:
    attempts: list[int] = []

    @spooler.task(retries=2, backoff=0.0)
    async def fails(job: Job) -> None:
        attempts.append(job.attempt)
        raise ValueError("broken")

    await fails.spool()
    outcomes = await burst(spooler)
    assert attempts == [1, 2, 3]
    assert [type(outcome) for _, outcome in outcomes] == [PutOff, PutOff, Buried]
    (dead,) = listed(spooler, "dead")
    assert dead.reason == "ValueError: broken"
    assert dead.attempt == 3


async def test_retry_on_names_what_is_worth_it(spooler: Spooler) -> None:
    @spooler.task(retry_on=ConnectionError)
    async def fails() -> None:
        raise ValueError("not that")

    await fails.spool()
    ((_, outcome),) = await burst(spooler)
    assert isinstance(outcome, Buried)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [(SPOOL_OK, Done), (SPOOL_RETRY, PutOff), (SPOOL_IGNORE, PutOff), (0, Done), (-1, Done), (-2, Done), (False, Done)],
)
async def test_what_a_task_returns(spooler: Spooler, returned: object, expected: type[Outcome]) -> None:
    @spooler.task
    async def returns() -> object:
        return returned

    await returns.spool()
    ((_, outcome),) = await burst(spooler)
    assert type(outcome) is expected
    if isinstance(outcome, PutOff):
        assert outcome.attempt == 0, "uncharged"
        assert outcome.due > time.time() + 20


async def test_what_cannot_be_serialised_may_be_returned(spooler: Spooler) -> None:
    @spooler.task
    def returns() -> object:
        return threading.Lock()

    await returns.spool()
    ((_, outcome),) = await burst(spooler)
    assert outcome == Done()


async def test_retry_and_bury_are_orders(spooler: Spooler) -> None:
    @spooler.task(retries=0)
    async def again(job: Job) -> None:
        raise Retry("not yet", delay=100, count=5)

    @spooler.task
    def gives_up() -> None:
        raise Bury("no such customer")

    await again.spool()
    await gives_up.spool()
    outcomes = dict(await burst(spooler))
    put_off = outcomes["again"]
    assert isinstance(put_off, PutOff)
    assert put_off.due == pytest.approx(time.time() + 100, abs=10)
    (dead,) = listed(spooler, "dead")
    assert dead.reason == "no such customer"


def exits() -> None:
    sys.exit("a task that leaves")


def interrupts() -> None:
    raise KeyboardInterrupt


def cancels() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("how", [exits, interrupts, cancels])
async def test_exit_interrupt_and_cancel_end_the_job_alone(spooler: Spooler, how: Callable[[], None]) -> None:
    @spooler.task(retries=0)
    async def on_loop() -> None:
        how()

    @spooler.task(retries=0)
    def in_thread() -> None:
        how()

    @spooler.task
    async def neighbour() -> None:
        await anyio.sleep(0.05)

    await on_loop.spool()
    await in_thread.spool()
    await neighbour.spool()
    outcomes = dict(await burst(spooler))
    assert isinstance(outcomes["on_loop"], Buried)
    assert isinstance(outcomes["in_thread"], Buried)
    assert outcomes["neighbour"] == Done()


async def test_a_task_that_cancels_its_own_asyncio_task(spooler: Spooler) -> None:
    @spooler.task(retries=0)
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(5)

    await cancels_itself.spool()
    ((_, outcome),) = await burst(spooler)
    assert isinstance(outcome, Buried)


async def test_harakiri_stops_a_coroutine_and_the_neighbours_go_on(spooler: Spooler) -> None:
    @spooler.task(harakiri=0.05, retries=0)
    async def hangs() -> None:
        await anyio.sleep(60)

    @spooler.task
    async def neighbour() -> None:
        await anyio.sleep(0.1)

    await hangs.spool()
    await neighbour.spool()
    outcomes = dict(await burst(spooler))
    assert outcomes["neighbour"] == Done()
    assert isinstance(outcomes["hangs"], Buried)
    assert "harakiri" in outcomes["hangs"].reason


async def test_an_abandoned_thread_keeps_its_file_locked(spooler: Spooler, directory: DirectorySpool) -> None:
    release = threading.Event()
    started = threading.Event()

    @spooler.task(harakiri=0.05, retries=0)
    def hangs() -> None:
        started.set()
        release.wait(30)
        raise ValueError("late")

    await hangs.spool()
    async with running(spooler) as worker:
        await anyio.to_thread.run_sync(started.wait)
        await anyio.sleep(0.2)  # longer than its harakiri
        assert [item.state for item in listed(spooler)] == ["running"]
        assert worker.busy == 1, "its place stays taken"
        release.set()
        with anyio.fail_after(10):
            while listed(spooler, "running"):
                await anyio.sleep(0.01)
    (dead,) = listed(spooler, "dead")
    assert dead.attempt == 1


async def test_stopping_hands_back_what_does_not_end_in_time(spooler: Spooler) -> None:
    seen = Seen()
    started = anyio.Event()

    @spooler.task
    async def hangs() -> None:
        started.set()
        await anyio.sleep(60)

    await hangs.spool()
    worker = Worker(spooler, WorkerSettings(grace=0.05), observers=[seen])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(worker.run)
            await started.wait()
            worker.stop()
    (waiting,) = listed(spooler)
    assert (waiting.state, waiting.attempt, waiting.crashes) == ("waiting", 0, 0)


async def test_no_job_begins_after_a_signal_that_came_in_a_blocking_one(spooler: Spooler) -> None:
    """The event loop hears of it late, and of the end of the job first."""
    loop, ran = asyncio.get_running_loop(), []

    class Late:
        def call_soon_threadsafe(self, stop: Callable[[], None]) -> None:
            loop.call_later(0.1, stop)

    @spooler.task
    async def task(n: int) -> None:
        ran.append(n)
        worker._loop = Late()  # type: ignore[assignment]  # as uvloop, which looks for such calls after all others
        worker.stop_soon("SIGTERM")

    for n in range(3):
        await task.spool(n)
    worker = Worker(spooler, WorkerSettings(concurrency=1))
    with anyio.fail_after(20):
        await worker.run()
    assert ran == [0]


async def test_stopping_lets_jobs_finish(spooler: Spooler) -> None:
    started = anyio.Event()

    @spooler.task
    async def slow() -> None:
        started.set()
        await anyio.sleep(0.1)

    await slow.spool()
    with anyio.fail_after(10):
        async with running(spooler):
            await started.wait()
    assert listed(spooler) == []


async def test_an_unknown_task_stays_and_is_shown(spooler: Spooler, directory: DirectorySpool) -> None:
    now = time.time()
    await directory.put([Message(id="abc", task="elsewhere.task", spooled=now, due=now)])
    await directory.put([Message(id="raw", raw={b"a": b"b"}, spooled=now, due=now)])
    outcomes = await burst(spooler)
    assert all(isinstance(outcome, PutOff) and outcome.unknown for _, outcome in outcomes)
    assert [(item.id, item.state, item.attempt) for item in listed(spooler)] == [
        ("abc", "unknown", 0),
        ("raw", "unknown", 0),
    ]


async def test_arguments_that_no_longer_fit_are_buried(spooler: Spooler, directory: DirectorySpool) -> None:
    @spooler.task(name="t")
    async def task(n: int) -> None: ...

    now = time.time()
    await directory.put([Message(id="abc", task="t", arguments=b'{"m":1}', spooled=now, due=now)])
    await burst(spooler)
    (dead,) = listed(spooler, "dead")
    assert "do not fit t" in dead.reason


async def test_an_overdue_message_is_buried(spooler: Spooler) -> None:
    @spooler.task
    async def task() -> None: ...

    await task.using(expires=time.time() - 5).spool()
    await task.using(expires=timedelta(hours=1)).spool()
    await burst(spooler)
    (dead,) = listed(spooler, "dead")
    assert "expired" in dead.reason


async def test_the_handler_gets_raw_messages(spooler: Spooler) -> None:
    seen: list[object] = []

    @spooler.handler
    def handler(variables: dict[str, str], body: Body) -> None:
        seen.append((variables, body.file.read()))

    variables: dict[str | bytes, object] = {"ToGroup": "customers", b"latin1": b"\xe9", "n": 5, "body": b"the body"}
    await spooler.spool(variables)
    await burst(spooler)
    assert seen == [({"ToGroup": "customers", "latin1": "\udce9", "n": "5"}, b"the body")]


async def test_a_job_knows_that_its_message_came_over_a_network(spooler: Spooler) -> None:
    seen: list[str] = []

    @spooler.handler
    def handler(job: Job, variables: dict[str, str]) -> None:
        seen.append(job.origin)

    spool = spooler.spool_of(None)
    await spool.put([Message(id="a", raw={b"n": b"1"}), Message(id="b", raw={b"n": b"2"}, origin="net")])
    await burst(spooler)
    assert sorted(seen) == ["", "net"]


async def test_max_tasks_counts_every_run(spooler: Spooler) -> None:
    ran: list[int] = []

    @spooler.task(backoff=0.0)
    async def task(n: int) -> None:
        ran.append(n)
        if n == 0:
            raise ValueError

    for n in range(5):
        await task.spool(n)
    with anyio.fail_after(20):
        await Worker(spooler, WorkerSettings(max_tasks=3)).run()
    assert len(ran) == 3
    with pytest.raises(CallError, match="max_tasks"):
        async with running(spooler, max_tasks=3):
            pass


async def test_concurrency_is_a_limit(spooler: Spooler) -> None:
    most, now = 0, 0

    @spooler.task
    async def task() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await anyio.sleep(0.01)
        now -= 1

    for _ in range(30):
        await task.spool()
    await burst(spooler, concurrency=4)
    assert most == 4


async def test_several_spools_and_priorities(tmp_path: Path) -> None:
    order: list[str] = []
    spooler = Spooler(tmp_path / "a", spools={"mail": tmp_path / "b"})

    @spooler.task(priority=5)
    async def task(name: str) -> None:
        order.append(name)

    await task.using(spool="mail").spool("mail")
    await task.spool("five")
    await task.using(priority=1).spool("one")
    await burst(spooler, concurrency=1)
    assert sorted(order) == ["five", "mail", "one"]
    assert order.index("one") < order.index("five")


async def test_a_spool_with_few_places_does_not_starve_behind_another(tmp_path: Path) -> None:
    ran = anyio.Event()
    spooler = Spooler(tmp_path / "a", spools={"b": tmp_path / "b", "c": tmp_path / "c"})

    @spooler.task
    async def task() -> None:
        ran.set()

    async with running(spooler, concurrency=1):
        await anyio.sleep(0.1)
        for name in ("default", "b", "c"):
            ran = anyio.Event()
            await task.using(spool=name).spool()
            with anyio.fail_after(5):
                await ran.wait()
            assert ran.is_set()


async def test_a_task_spooled_while_idle_starts_at_once(spooler: Spooler) -> None:
    started = anyio.Event()

    @spooler.task
    async def task() -> None:
        started.set()

    async with running(spooler):
        await anyio.sleep(0.1)
        await task.spool()
        with anyio.fail_after(5):  # the frequency is 30 s
            await started.wait()
    assert listed(spooler) == []


async def test_a_later_moment_is_kept(spooler: Spooler) -> None:
    ran: list[float] = []

    @spooler.task
    async def task() -> None:
        ran.append(time.time())

    due = time.time() + 0.3
    async with running(spooler):
        await task.using(at=due).spool()
        with anyio.fail_after(5):
            while not ran:
                await anyio.sleep(0.01)
    assert due <= ran[0] < due + 1


async def test_two_workers_in_one_loop_share_a_spool(spooler: Spooler, directory: DirectorySpool) -> None:
    ran: list[int] = []

    @spooler.task
    async def task(n: int) -> None:
        ran.append(n)
        await anyio.sleep(0)

    for n in range(200):
        await task.spool(n)
    other = Spooler(DirectorySpool(directory.path))
    other.tasks.update(spooler.tasks)
    async with anyio.create_task_group() as group:
        group.start_soon(burst, spooler)
        group.start_soon(burst, other)
    assert sorted(ran) == list(range(200))


async def test_a_broken_observer_fails_no_job(spooler: Spooler, caplog: pytest.LogCaptureFixture) -> None:
    @spooler.task
    async def task() -> None: ...

    def observer(event: Event) -> None:
        raise RuntimeError("broken")

    await task.spool()
    with anyio.fail_after(10):
        await Worker(spooler, WorkerSettings(burst=True), observers=[observer]).run()
    assert listed(spooler) == []
    assert "observer" in caplog.text


def files_of(pid: int) -> list[str]:
    found = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


async def test_a_fork_in_a_task_inherits_no_lock(spooler: Spooler, directory: DirectorySpool) -> None:
    """The child of a fork outlives the job; the message must be free (here: gone) all the same, and its file closed."""
    children: list[int] = []
    read, write = os.pipe()

    @spooler.task(retries=1, backoff=0.0)
    def forks(job: Job) -> None:
        pid = os.fork()
        if pid == 0:
            os.read(read, 1)
            os._exit(0)
        children.append(pid)
        if job.attempt == 1:
            raise ValueError("again, please")

    await forks.spool()
    try:
        outcomes = await burst(spooler)
        assert [type(outcome) for _, outcome in outcomes] == [PutOff, Done]
        with anyio.fail_after(10):  # the child may not have come to its first instruction yet
            while left := [path for path in files_of(children[0]) if str(directory.path) in path]:
                await anyio.sleep(0.01)
        assert left == []
    finally:
        os.write(write, b"xx")
        for pid in children:
            os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def test_handed_back_is_a_value() -> None:
    assert HandedBack("why").reason == "why"


async def test_no_job_finds_what_another_left_in_the_context(spooler: Spooler) -> None:
    left: contextvars.ContextVar[object] = contextvars.ContextVar("left", default=None)
    found: list[object] = []

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ValueError("not comparable")

        __hash__ = None  # type: ignore[assignment]  # as an array has none

    @spooler.task
    async def task(n: int) -> None:
        found.append(left.get())
        left.set(n if n % 2 else Incomparable())
        if n % 3 == 0:
            await anyio.sleep(0)

    for n in range(30):
        await task.spool(n)
    await burst(spooler)
    assert found == [None] * 30


async def test_a_job_that_waits_holds_nobody_up(spooler: Spooler) -> None:
    """Quick jobs share a task; as soon as one waits, the others go on beside it."""
    order: list[str] = []
    release = anyio.Event()

    @spooler.task
    async def waits() -> None:
        order.append("waits")
        await release.wait()
        order.append("waited")

    @spooler.task
    async def quick(n: int) -> None:
        order.append(f"quick {n}")
        if n == 9:
            release.set()

    await waits.spool()
    for n in range(10):
        await quick.spool(n)
    await burst(spooler)
    assert order == ["waits", *(f"quick {n}" for n in range(10)), "waited"]


async def test_what_was_claimed_but_not_begun_is_handed_back(spooler: Spooler) -> None:
    begun: list[int] = []
    worker: list[Worker] = []

    @spooler.task
    async def task(n: int) -> None:
        begun.append(n)
        worker[0].stop_now()
        await anyio.sleep(60)

    for n in range(50):
        await task.spool(n)
    worker.append(Worker(spooler, WorkerSettings(grace=0.0)))
    with anyio.fail_after(20):
        await worker[0].run()
    states = {(item.state, item.attempt, item.crashes) for item in listed(spooler)}
    assert states == {("waiting", 0, 0)}
    assert len(listed(spooler)) == 50


async def test_threads_get_the_interpreter_soon_while_a_worker_runs(spooler: Spooler) -> None:
    before = sys.getswitchinterval()
    async with running(spooler):
        assert sys.getswitchinterval() <= 0.0001
    assert sys.getswitchinterval() == before


async def test_jobs_that_never_wait_let_others_have_their_turn(tmp_path: Path) -> None:
    spooler = Spooler(DirectorySpool(tmp_path / "spool", durability="process"))
    turns = 0
    seen: list[int] = []

    @spooler.task
    async def noop() -> None:
        seen.append(turns)

    await spooler.spool_many([noop.call() for _ in range(500)])

    async def other() -> None:
        nonlocal turns
        while len(seen) < 500:
            turns += 1
            await anyio.sleep(0)

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await burst(spooler)
    assert len(set(seen)) >= 5, "others ran in between"


async def test_a_lane_is_used_again(spooler: Spooler) -> None:
    lanes = []

    @spooler.task
    async def waits() -> None:
        lanes.append(asyncio.current_task())
        await anyio.sleep(0.001)

    for _ in range(20):
        await waits.spool()
    await burst(spooler, concurrency=2)
    assert len(lanes) == 20
    assert len(set(lanes)) <= 4


@pytest.mark.parametrize("quiet", [False, True])
async def test_a_quiet_worker_tells_nothing_of_what_is_done(
    spooler: Spooler, quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @spooler.task(retries=0)
    async def task(fails: bool) -> None:
        if fails:
            raise ValueError("it failed")

    await task.spool(False)
    await task.spool(True)
    worker = Worker(spooler, WorkerSettings(burst=True, quiet=quiet))
    with caplog.at_level(logging.INFO, logger="aspool.worker"):
        await worker.run()
    assert (" done in " in caplog.text) is not quiet
    assert "it failed" in caplog.text
