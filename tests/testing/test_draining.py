"""`drain`: what it runs, what it leaves, what it tells. With the real worker."""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from aspool import SPOOL_RETRY, Body, Bury, CallError, Job, NoResult, Retry, Spooler, SpoolFull, TaskFailed, current_job
from aspool.asgi import lifespan, spool_full
from aspool.middleware import CallNext
from aspool.spools.memory import MemorySpool
from aspool.task import NamedTask
from aspool.testing import assert_spooled, drain, drain_sync, use

pytestmark = pytest.mark.anyio


@pytest.fixture
def shop(tmp_path: Path) -> Spooler:
    others = MemorySpool(external=True)
    return Spooler(tmp_path / "spool", spools={"mail": tmp_path / "mail", "others": others})


async def test_all_that_is_due_runs_and_what_that_spools(shop: Spooler, tmp_path: Path) -> None:
    sent: list[str] = []

    @shop.task(name="send", spool="mail")
    def send(to: str) -> None:
        sent.append(to)

    @shop.task(name="sign_up")
    async def sign_up(name: str) -> None:
        await send.spool(f"{name}@b.c")
        await send.using(at=timedelta(hours=1)).spool(f"{name}@later")

    with use(shop) as spool:
        await sign_up.spool("ada")
        ran = await drain(shop)
        assert [(each.task, each.state, each.attempt, each.reason) for each in ran] == [
            ("sign_up", "done", 1, ""), ("send", "done", 1, ""),
        ]  # fmt: skip
        assert sent == ["ada@b.c"]
        assert [each.kwargs for each in spool.waiting] == [{"to": "ada@later"}]
        assert_spooled(send, "ada@b.c")
        assert await drain(shop) == []
        spool.clock.move(timedelta(hours=1))
        assert [each.id for each in await drain(shop)] == [spool.spooled[-1].id]
        assert sent == ["ada@b.c", "ada@later"]
        assert spool.waiting == []
    assert list(tmp_path.iterdir()) == []


async def test_runs_are_told_in_the_order_in_which_they_began(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    with use(shop):
        for n, priority in ((1, 5), (2, 1), (3, 3)):
            await note.using(priority=priority, id=str(n)).spool(n)
        assert [each.id for each in await drain(shop, concurrency=1)] == ["2", "3", "1"]


async def test_what_others_run_stays(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    with use(shop) as spool:
        await note.using(spool="others").spool(1)
        await note.using(spool="/some/where/else").spool(2)
        await note.spool(3)
        assert len(await drain(shop)) == 1
        assert [(each.spool, each.kwargs["n"]) for each in spool.waiting] == [("others", 1), ("/some/where/else", 2)]


async def test_a_retry_runs_when_the_clock_says_so(shop: Spooler) -> None:
    @shop.task(name="fetch", retries=2, backoff=lambda attempt: 60.0 * attempt)
    async def fetch(job: Job) -> None:
        raise ConnectionError(f"attempt {job.attempt}")

    with use(shop) as spool:
        spool.clock.stop()
        started = spool.clock.now
        ticket = await fetch.spool()
        (ran,) = await drain(shop)
        assert (ran.state, ran.attempt, ran.reason) == ("retrying", 1, "ConnectionError: attempt 1")
        (waiting,) = spool.waiting
        assert (waiting.id, waiting.attempt) == (ticket.id, 1)
        assert waiting.at - started == timedelta(seconds=60)
        spool.clock.move(59)
        assert await drain(shop) == []
        spool.clock.move(1)
        assert [each.state for each in await drain(shop)] == ["retrying"]
        spool.clock.move(120)
        assert [each.state for each in await drain(shop)] == ["dead"]
        (dead,) = spool.dead
        assert (dead.id, dead.task, dead.attempt, dead.reason) == (ticket.id, "fetch", 3, "ConnectionError: attempt 3")
        assert "raise ConnectionError(f" in dead.traceback
        assert spool.waiting == []
        assert len(spool.spooled) == 1, "a retry is not spooled again"


async def test_what_becomes_due_meanwhile_waits(shop: Spooler) -> None:
    @shop.task(retries=5, backoff=0.001)
    async def fails() -> None:
        raise ConnectionError

    @shop.task
    async def slow() -> None:
        await fails.using(at=timedelta(milliseconds=1)).spool()
        await sleep(0.05)

    with use(shop) as spool:
        await fails.spool()
        await slow.spool()
        assert sorted((each.task.split(".")[-1], each.state) for each in await drain(shop)) == [
            ("fails", "retrying"), ("slow", "done"),
        ]  # fmt: skip
        before = spool.clock.timestamp()
        assert len(spool.waiting) == 2
        await sleep(0.002)
        assert spool.clock.timestamp() > before, "it goes on"
        assert [each.state for each in await drain(shop)] == ["retrying", "retrying"]


async def test_a_retry_that_is_due_at_once_runs_in_the_same_drain(shop: Spooler) -> None:
    @shop.task
    async def impatient(job: Job) -> None:
        if job.attempt < 3:
            raise Retry(delay=0)

    with use(shop):
        await impatient.spool()
        assert [each.state for each in await drain(shop)] == ["retrying", "retrying", "done"]


async def test_a_task_that_wants_the_next_look_is_scheduled(shop: Spooler) -> None:
    @shop.task
    def again() -> Any:
        return SPOOL_RETRY

    with use(shop) as spool:
        await again.spool()
        assert [each.state for each in await drain(shop)] == ["scheduled"]
        assert len(spool.waiting) == 1


async def test_what_expired_is_dead_unrun(shop: Spooler) -> None:
    @shop.task
    def note() -> None:
        raise AssertionError("it must not run")

    with use(shop) as spool:
        await note.using(expires=timedelta(minutes=1)).spool()
        spool.clock.move(61)
        (ran,) = await drain(shop)
        assert (ran.state, ran.reason) == ("dead", spool.dead[0].reason)
        assert "it expired" in ran.reason


async def test_errors_are_raised_if_asked(shop: Spooler) -> None:
    class Broken(Exception):
        def __init__(self, what: object) -> None:
            super().__init__(what)
            self.what = what

    what = object()

    @shop.task(name="fails", backoff=lambda _: 60.0)
    async def fails() -> None:
        raise Broken(what)

    @shop.task(name="fails_in_a_thread")
    def fails_in_a_thread() -> None:
        raise Bury("no")

    @shop.task(name="patient")
    def patient() -> None:
        raise Retry(delay=60)

    with use(shop) as spool:
        before = list(shop.middleware)
        await patient.spool()
        await fails.spool()
        await fails_in_a_thread.spool()
        with pytest.raises(Broken) as raised:
            await drain(shop, raise_errors=True)
        assert raised.value.what is what, "the very exception"
        assert any("fails_in_a_thread" in note and "is dead: no" in note for note in raised.value.__notes__)
        assert len(spool.waiting) == 2, "it is retried all the same"
        assert shop.middleware == before
        assert await drain(shop, raise_errors=True) == [], "a Retry is no error"


async def test_what_died_without_an_exception_is_raised_too(shop: Spooler) -> None:
    @shop.task(name="note")
    def note() -> None: ...

    with use(shop) as spool:
        await note.using(expires=timedelta(minutes=1)).spool()
        spool.clock.move(61)
        with pytest.raises(TaskFailed, match=r"note \(.*\) is dead: it expired"):
            await drain(shop, raise_errors=True)


async def test_arguments_that_no_longer_fit_are_shown_as_they_are(shop: Spooler) -> None:
    @shop.task(name="later.renamed")
    def old(n: int) -> None: ...

    with use(shop) as spool:
        await NamedTask("later.renamed", shop).spool(m=1)
        assert [each.kwargs for each in spool.waiting] == [{"m": 1}]
        assert [each.state for each in await drain(shop)] == ["dead"]
        assert spool.dead[0].kwargs == {"m": 1}


async def test_a_task_that_nobody_knows_waits(shop: Spooler) -> None:
    with use(shop) as spool:
        await shop.task_named("other.program").spool(1)
        await drain(shop)
        assert [each.task for each in spool.waiting] == ["other.program"]


async def test_a_task_that_spools_itself_for_ever_is_found_out(shop: Spooler) -> None:
    @shop.task(name="for_ever")
    async def for_ever() -> None:
        await for_ever.spool()

    with use(shop) as spool:
        await for_ever.spool()
        with pytest.raises(CallError, match=r"has run 50 jobs .* of for_ever: it seems to spool itself for ever"):
            await drain(shop, most_runs=50)
        assert len(spool.waiting) == 1
    with pytest.raises(CallError, match="no such worker option: wrong"):
        await drain(shop, wrong=1)


def test_a_test_that_is_not_async_drains_too(shop: Spooler) -> None:
    ran = []

    @shop.task
    async def note(n: int) -> None:
        ran.append((n, current_job().attempt))

    with use(shop):
        note.spool_sync(1)
        assert [each.state for each in drain_sync(shop)] == ["done"]
        note.spool_sync(2)
        drain_sync(shop, raise_errors=True)
    assert ran == [(1, 1), (2, 1)]


async def test_the_blocking_form_is_refused_on_an_event_loop(shop: Spooler) -> None:
    with pytest.raises(CallError, match="event loop"):
        drain_sync(shop)


async def test_raw_messages_and_bodies_arrive(shop: Spooler) -> None:
    got: list[Any] = []

    @shop.handler
    async def handle(variables: dict[str, str], body: Body) -> None:
        got.append((variables, await body.read()))

    @shop.task
    def digest(content: Body) -> None:
        got.append(content.file.read())

    with use(shop):
        await digest.spool(Body(b"abc"))
        await shop.spool({"a": "b"}, body=b"text")
        await drain(shop)
    assert got == [b"abc", ({"a": "b"}, b"text")]


async def test_a_real_directory_is_drained_too(tmp_path: Path) -> None:
    spooler = Spooler(tmp_path / "spool")
    ran = []

    @spooler.task
    def note(n: int) -> None:
        ran.append(n)

    await note.spool(1)
    await note.using(at=time() + 3600).spool(2)
    assert [each.state for each in await drain(spooler)] == ["done"]
    assert ran == [1]
    await spooler.aclose()


async def test_tickets_answer_after_a_drain(shop: Spooler) -> None:
    @shop.task(keep_result=60)
    def double(n: int) -> int:
        return 2 * n

    with use(shop):
        ticket = await double.spool(21)
        assert await ticket.status() == "waiting"
        await drain(shop)
        assert await ticket.result() == 42


def test_a_web_application_works_with_its_worker_off(shop: Spooler) -> None:
    served: list[str] = []

    @shop.task
    async def greet(name: str) -> None:
        served.append(name)

    app = FastAPI(lifespan=lifespan(shop, worker=True))

    @app.post("/greet/{name}")
    async def take(name: str) -> str:
        return (await greet.spool(name)).id

    @app.post("/greet-in-a-thread/{name}")
    def take_in_a_thread(name: str) -> str:
        return greet.spool_sync(name).id

    with use(shop) as spool, TestClient(app) as client:
        ids = [client.post(path).json() for path in ("/greet/ada", "/greet-in-a-thread/bob")]
        spool.clock.move(1)
        assert [each.id for each in spool.waiting] == ids
        assert served == []
        assert [each.id for each in drain_sync(shop)] == ids
        assert served == ["ada", "bob"]


def test_a_full_spool_is_a_503(shop: Spooler) -> None:
    app = FastAPI(lifespan=lifespan(shop, worker=True))
    app.add_exception_handler(SpoolFull, spool_full)

    @shop.task
    async def greet(name: str) -> None: ...

    @app.post("/greet/{name}")
    async def take(name: str) -> str:
        return (await greet.spool(name)).id

    with use(shop) as spool, TestClient(app) as client:
        spool.max_waiting = 1
        assert [client.post(f"/greet/{name}").status_code for name in ("ada", "grace")] == [200, 503]
        drain_sync(shop)
        assert client.post("/greet/grace").status_code == 200


HALF = 0.5
home = Spooler("./never-opened")


@home.task(executor="process", retries=0)
def halved(number: float) -> None:
    if number < 0:
        raise ValueError("negative")
    note_half.spool_sync(number * HALF)


@home.task
def note_half(number: float) -> None:
    """Another task, which a child process would spool to the real spool."""


async def test_a_task_for_a_process_stays_in_the_test() -> None:
    with use(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.testing.test_draining.HALF", 0.25)
        await halved.spool(6)
        assert [each.state for each in await drain(home)] == ["done", "done"]
        assert_spooled(note_half, 1.5)
        await halved.spool(-1)
        with pytest.raises(ValueError, match="negative"):
            await drain(home, raise_errors=True)


async def test_tickets_change_what_waits(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    with use(shop) as spool:
        first, second = await note.spool(1), await note.spool(2)
        assert await first.cancel()
        assert [each.id for each in spool.waiting] == [second.id]
        assert await second.reschedule(at=timedelta(hours=1), priority=3)
        assert [(each.id, each.priority) for each in spool.waiting] == [(second.id, 3)]
        assert await drain(shop) == []
        assert await second.status() == "scheduled"
        spool.clock.move(3600)
        assert await second.status() == "waiting"
        assert [each.id for each in await drain(shop)] == [second.id]


async def test_kept_results_go_by_the_clock(shop: Spooler) -> None:
    @shop.task(keep_result=60)
    def answer() -> int:
        return 42

    with use(shop) as spool:
        ticket = await answer.spool()
        await drain(shop)
        spool.clock.move(59)
        assert await ticket.result() == 42
        spool.clock.move(2)
        with pytest.raises(NoResult):
            await ticket.result()


async def test_middleware_observers_and_resources_are_those_of_the_application() -> None:
    heard: list[Any] = []

    @asynccontextmanager
    async def resources() -> AsyncIterator[list[Any]]:
        heard.append("opened")
        yield heard
        heard.append("closed")

    async def around(job: Job[list[Any]], call_next: CallNext) -> Any:
        heard.append("before")
        return await call_next(job)

    shop = Spooler("./never-opened", resources=resources, middleware=[around])

    @shop.task
    async def note(job: Job[list[Any]]) -> None:
        job.resources.append("ran")

    with use(shop):
        await note.spool()
        await drain(shop)
    assert heard == ["opened", "before", "ran", "closed"]
