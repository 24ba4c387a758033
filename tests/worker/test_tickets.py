"""What a ticket can ask of a job that a worker runs: results, failures, progress, cancelling; on both spools."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import (
    SPOOL_OK,
    DirectorySpool,
    Job,
    MemorySpool,
    NoResult,
    Progress,
    Retry,
    Spooler,
    SpoolReturn,
    TaskCancelled,
    TaskFailed,
    Ticket,
    Update,
    WorkerSettings,
)
from aspool.worker import Worker, running

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["directory", "memory"])
def spooler(request: pytest.FixtureRequest, tmp_path: Path) -> Spooler:
    is_memory = request.param == "memory"
    return Spooler(MemorySpool() if is_memory else DirectorySpool(tmp_path / "spool", durability="process"))


@asynccontextmanager
async def worked(spooler: Spooler, **options: Any) -> AsyncIterator[Worker]:
    with anyio.fail_after(30):
        async with running(spooler, **{"harakiri_grace": 0.1, "grace": 0.1, **options}) as worker:
            yield worker


async def until(ticket: Ticket[Any], state: str) -> Update:
    async for update in ticket.watch():
        if update.state == state:
            return update
    raise AssertionError(f"it never was {state}")


class Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


class Strange(Exception):
    def __init__(self, thing: object) -> None:
        super().__init__("something strange")
        self.thing = thing


# --- results ---------------------------------------------------------------------------------------------


async def test_a_result_is_what_the_type_hint_says(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def wait(minutes: int) -> timedelta:
        return timedelta(minutes=minutes)

    @spooler.task(keep_result=60)
    def path() -> Path:
        return Path("/tmp")

    async with worked(spooler):
        ticket = await wait.spool(3)
        assert await ticket.result(timeout=20) == timedelta(minutes=3)
        assert await (await path.spool()).result(timeout=20) == Path("/tmp")
        assert await ticket.status() == "done"
        assert await wait.ticket(ticket.id).result() == timedelta(minutes=3)
        assert await spooler.ticket(ticket.id).result() == "PT3M"


async def test_a_failure_is_the_tasks_own_exception_with_its_traceback(spooler: Spooler) -> None:
    @spooler.task(keep_result=60, retries=0)
    async def charge(order: int) -> None:
        raise Refused(order, "no money")

    async with worked(spooler):
        ticket = await charge.spool(402)
        with pytest.raises(Refused, match="no money") as caught:
            await ticket.result(timeout=20)
    assert (caught.value.args, caught.value.code) == ((402, "no money"), 402)
    assert "in charge\n" in caught.value.__notes__[0]
    assert await ticket.status() == "dead"


async def test_why_a_task_is_dead_is_known_without_a_result(spooler: Spooler) -> None:
    @spooler.task(retries=0)
    async def charge() -> None:
        raise Refused(402, "no money")

    async with worked(spooler):
        ticket = await charge.spool()
        updates = [update async for update in ticket.watch()]
    assert updates[-1].reason == "tests.worker.test_tickets.Refused: (402, 'no money')"
    with pytest.raises(TaskFailed, match="no money") as caught:
        await spooler.ticket(ticket.id).result()
    assert "in charge\n" in caught.value.__notes__[0]


async def test_an_exception_that_cannot_be_made_again_is_told(spooler: Spooler) -> None:
    @spooler.task(keep_result=60, retries=0)
    def strange() -> None:
        raise Strange(object())

    async with worked(spooler):
        with pytest.raises(TaskFailed, match="Strange: something strange") as caught:
            await (await strange.spool()).result(timeout=20)
    assert "in strange\n" in caught.value.__notes__[0]


@pytest.mark.parametrize("hint", [SpoolReturn, str])
async def test_a_task_that_says_ok_to_the_spool_has_ended_too(spooler: Spooler, hint: type) -> None:
    async def work() -> Any:
        return SPOOL_OK

    work.__annotations__["return"] = hint
    async with worked(spooler):
        ticket = await spooler.task(keep_result=60)(work).spool()
        if hint is SpoolReturn:
            assert await ticket.result(timeout=20) is SPOOL_OK
        else:
            with pytest.raises(NoResult, match="cannot be written"):
                await ticket.result(timeout=20)
        assert await ticket.status() == "done"


async def test_a_result_that_cannot_be_written_is_no_failure(spooler: Spooler) -> None:
    runs = []

    @spooler.task(keep_result=60)
    def odd() -> object:
        runs.append(1)
        return object()

    async with worked(spooler):
        ticket = await odd.spool()
        with pytest.raises(NoResult, match="cannot be written as JSON"):
            await ticket.result(timeout=20)
    assert await ticket.status() == "done"
    assert runs == [1]


async def test_a_task_that_keeps_none_has_no_result(spooler: Spooler) -> None:
    @spooler.task
    async def silent() -> int:
        return 1

    ticket = await silent.spool()
    with pytest.raises(NoResult, match=r"silent keeps no result: decorate it with keep_result"):
        await ticket.result()
    kept = await silent.using(keep_result=60).spool()
    async with worked(spooler):
        assert await kept.result(timeout=20) == 1
        with pytest.raises(NoResult, match="it has ended, or never was"):
            await spooler.ticket(ticket.id).result(timeout=20)


async def test_a_ticket_of_a_task_that_somebody_purged(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def work() -> None: ...

    ticket = await work.spool()
    spool = spooler.spools["default"]
    if not isinstance(spool, DirectorySpool):
        pytest.skip("a memory spool cannot be purged")
    async with anyio.create_task_group() as group:
        seen: list[str] = []

        async def watch() -> None:
            seen.extend([update.state async for update in ticket.watch()])

        group.start_soon(watch)
        await anyio.sleep(0.05)
        (listed,) = spool.browse()
        assert spool.delete(listed)
    assert seen == ["waiting", "cancelled"], "who saw it go before it ran"
    assert (await ticket.status(), await ticket.progress()) == ("unknown", None)
    with pytest.raises(NoResult, match="it has ended, or never was"):
        await ticket.result()
    assert not await ticket.cancel()
    assert not await ticket.reschedule(priority=1)


async def test_waiting_for_a_result_ends_at_its_time(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def later() -> None: ...

    ticket = await later.using(at=timedelta(hours=1)).spool()
    with pytest.raises(TimeoutError):
        await ticket.result(timeout=0.05)
    assert await ticket.status() == "scheduled"


async def test_blocking_forms_ask_the_same(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    def double(number: int) -> int:
        return 2 * number

    def ask() -> list[Any]:
        ticket = double.spool_sync(4)
        states = [update.state for update in ticket.sync.watch()]
        return [ticket.sync.result(timeout=20), ticket.sync.status(), states[-1], ticket.sync.cancel()]

    async with worked(spooler):
        assert await anyio.to_thread.run_sync(ask) == [8, "done", "done", False]


async def test_what_is_buried_without_a_run_is_told_too(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def late() -> None: ...

    ticket = await late.using(expires=1.0).spool()
    async with worked(spooler):
        with pytest.raises(TaskFailed, match="it expired"):
            await ticket.result(timeout=20)


async def test_an_inline_task_has_its_result_at_once(spooler: Spooler) -> None:
    @spooler.task(executor="inline")
    async def double(number: int) -> int:
        return 2 * number

    ticket = await double.spool(4)
    assert (await ticket.result(), await ticket.status(), await ticket.cancel()) == (8, "done", False)


# --- progress --------------------------------------------------------------------------------------------


async def test_watching_sees_states_and_progress_to_the_end(spooler: Spooler) -> None:
    told, seen = anyio.Event(), anyio.Event()

    @spooler.task(keep_result=60, backoff=0.01)
    async def work(job: Job) -> None:
        if job.attempt == 1:
            job.progress(1, 4, "reading")
            told.set()
            await seen.wait()
            raise Retry(delay=0.01)

    ticket = await work.spool()
    updates = []
    async with worked(spooler):
        async for update in ticket.watch():
            updates.append(update)
            if update.progress and update.progress.text == "reading":
                assert await ticket.progress() == Progress(1, 4, "reading")
                seen.set()
    states = [update.state for update in updates]
    assert states[0] in ("waiting", "running")
    assert states[-1] == "done"
    assert Update("running", 1, Progress(1, 4, "reading")) in updates
    assert await ticket.progress() is None


async def test_watching_a_task_without_a_result_ends_as_well(spooler: Spooler) -> None:
    go = anyio.Event()

    @spooler.task
    async def work() -> None:
        await go.wait()

    async with worked(spooler):
        ticket = await work.spool()
        states = []
        async for update in ticket.watch():
            states.append(update.state)
            if update.state == "running":
                go.set()
    assert states[-1] == "done", "it was seen running, and went"


# --- cancelling ------------------------------------------------------------------------------------------


async def test_a_waiting_task_that_is_cancelled_never_runs(spooler: Spooler) -> None:
    runs = []

    @spooler.task(keep_result=60)
    async def work() -> None:
        runs.append(1)

    ticket = await work.using(at=timedelta(seconds=0.2)).spool()
    assert await ticket.cancel()
    assert await ticket.status() == "cancelled"
    assert not await ticket.cancel()
    with anyio.fail_after(20):
        await Worker(spooler, WorkerSettings(burst=True)).run()
    assert runs == []


async def test_a_running_coroutine_is_cancelled(spooler: Spooler) -> None:
    ended = []

    @spooler.task(keep_result=60)
    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    async with worked(spooler) as worker:
        ticket = await work.spool()
        await until(ticket, "running")
        assert await ticket.cancel()
        with pytest.raises(TaskCancelled):
            await ticket.result(timeout=20)
        assert await ticket.status() == "cancelled"
        assert ended == [1]
        while worker.busy:
            await anyio.sleep(0.005)


async def test_with_a_harakiri_it_is_cancelled_too(spooler: Spooler) -> None:
    @spooler.task(keep_result=60, harakiri=60)
    async def work() -> None:
        await anyio.sleep_forever()

    async with worked(spooler):
        ticket = await work.spool()
        await until(ticket, "running")
        assert await ticket.cancel()
        with pytest.raises(TaskCancelled):
            await ticket.result(timeout=20)


async def test_a_function_in_a_thread_finds_out(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    def work(job: Job) -> str:
        while not job.cancelled:
            threading.Event().wait(0.005)
        return "however it ends"

    async with worked(spooler):
        ticket = await work.spool()
        await until(ticket, "running")
        assert await ticket.cancel()
        with pytest.raises(TaskCancelled):
            await ticket.result(timeout=20)


async def test_a_function_that_waits_for_its_thread_never_begins(spooler: Spooler) -> None:
    go, began = threading.Event(), []

    @spooler.task(keep_result=60)
    def work(name: str) -> None:
        began.append(name)
        go.wait(20)

    async with worked(spooler, threads=1):
        first = await work.spool("first")
        await until(first, "running")
        with anyio.fail_after(20):
            while not began:
                await anyio.sleep(0.005)
        second = await work.spool("second")
        await until(second, "running")
        assert await second.cancel()
        with pytest.raises(TaskCancelled):
            await second.result(timeout=20)
        go.set()
        await first.result(timeout=20)
    assert began == ["first"]


async def test_a_task_that_ignores_it_goes_on_and_counts_as_cancelled(spooler: Spooler) -> None:
    go = anyio.Event()

    @spooler.task(keep_result=60)
    async def stubborn() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except anyio.get_cancelled_exc_class():
                pass
        return "done all the same"

    async with worked(spooler):
        ticket = await stubborn.spool()
        await until(ticket, "running")
        assert await ticket.cancel()
        assert await ticket.status() == "running"
        go.set()
        with pytest.raises(TaskCancelled):
            await ticket.result(timeout=20)


async def test_a_cancelled_job_is_not_handed_back_when_the_worker_stops(spooler: Spooler) -> None:
    runs = []

    @spooler.task(keep_result=60)
    async def stubborn() -> None:
        runs.append(1)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.3)
        await anyio.sleep_forever()

    async with worked(spooler, grace=0):
        ticket = await stubborn.spool()
        await until(ticket, "running")
        assert await ticket.cancel()
    assert await ticket.status() == "cancelled"
    assert runs == [1]


# --- rescheduling ----------------------------------------------------------------------------------------


async def test_a_task_for_later_is_run_now(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def work() -> str:
        return "now"

    async with worked(spooler):
        ticket = await work.using(at=timedelta(hours=1)).spool()
        assert await ticket.status() == "scheduled"
        assert await ticket.reschedule(at=timedelta(0), priority=3)
        assert await ticket.result(timeout=20) == "now"
        assert not await ticket.reschedule(at=timedelta(0))


async def test_what_aspool_fails_to_run_has_an_end_too(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def strange(job: Job) -> None:
        job.attempt = "first"  # type: ignore[assignment]  # what a job may do

    ticket = await strange.spool()
    async with worked(spooler):
        with pytest.raises(TaskFailed, match="aspool failed to run it: TypeError"):
            await ticket.result()
    assert await ticket.status() == "dead"
