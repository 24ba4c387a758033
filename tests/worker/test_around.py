"""What is around a call: middleware, observers, the worker's resources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import pytest

from aspool import SPOOL_RETRY, Bury, CallError, DirectorySpool, Job, Retry, Spooler
from aspool.events import Event, WorkerStarted, WorkerStopped
from aspool.middleware import CallNext
from aspool.outcomes import Buried, Done, PutOff
from aspool.worker import Worker

from .bursts import burst

pytestmark = pytest.mark.anyio


async def test_the_first_of_the_list_is_outermost(directory: DirectorySpool) -> None:
    said: list[str] = []

    def layer(name: str) -> Any:
        async def middleware(job: Job, call_next: CallNext) -> Any:
            said.append(f"{name} before {job.attempt}")
            value = await call_next(job)
            said.append(f"{name} after {value}")
            return f"{value} {name}"

        return middleware

    spooler = Spooler(directory, middleware=[layer("a"), layer("b")])

    @spooler.task(keep_result=60)
    async def on_loop() -> str:
        said.append("on loop")
        return "loop"

    @spooler.task(keep_result=60)
    def in_thread() -> str:
        return "thread"

    ticket, other = await on_loop.spool(), await in_thread.spool()
    assert [type(outcome) for outcome in await burst(spooler, concurrency=1)] == [Done, Done]
    assert said[:5] == ["a before 1", "b before 1", "on loop", "b after loop", "a after loop b"]
    assert (await ticket.result(), await other.result()) == ("loop b a", "thread b a")


async def test_middleware_that_raises_fails_the_job(directory: DirectorySpool) -> None:
    runs = []

    async def middleware(job: Job, call_next: CallNext) -> Any:
        await call_next(job)
        raise ValueError("not today")

    spooler = Spooler(directory, middleware=[middleware])

    @spooler.task(retries=0)
    def work() -> None:
        runs.append(1)

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)
    assert outcome.reason == "ValueError: not today"
    assert "in middleware\n" in outcome.traceback
    assert runs == [1]


async def test_middleware_that_never_calls_on_answers_for_the_task(directory: DirectorySpool) -> None:
    async def middleware(job: Job, call_next: CallNext) -> Any:
        return SPOOL_RETRY if job.task.endswith("again") else "from the cache"

    spooler = Spooler(directory, middleware=[middleware])

    @spooler.task(keep_result=60)
    async def work() -> str:
        raise AssertionError("it was called")

    @spooler.task
    async def again() -> None: ...

    ticket = await work.spool()
    assert await burst(spooler) != []
    assert await ticket.result() == "from the cache"
    await again.spool()
    (outcome,) = await burst(spooler, frequency=30)
    assert isinstance(outcome, PutOff)


async def test_middleware_sees_what_the_task_raises_and_may_turn_it(directory: DirectorySpool) -> None:
    seen: list[BaseException] = []

    async def middleware(job: Job, call_next: CallNext) -> Any:
        try:
            return await call_next(job)
        except (KeyError, SystemExit, StopIteration, RuntimeError) as error:
            seen.append(error)
            if job.task.endswith("saved"):
                return "saved"
            raise Bury("it will not get better") from error

    spooler = Spooler(directory, middleware=[middleware])

    @spooler.task(keep_result=60)
    def saved() -> str:
        raise KeyError("a")

    @spooler.task
    def exits() -> None:
        raise SystemExit(3)

    @spooler.task
    async def stops() -> None:
        raise StopIteration

    ticket = await saved.spool()
    await burst(spooler)
    assert await spooler.ticket(ticket.id).result() == "saved"
    for task in (exits, stops):
        await task.spool()
        (outcome,) = await burst(spooler)
        assert isinstance(outcome, Buried)
        assert outcome.reason == "it will not get better"
    assert [type(error) for error in seen] == [KeyError, SystemExit, RuntimeError]


async def test_a_retry_passes_through_it(directory: DirectorySpool) -> None:
    async def middleware(job: Job, call_next: CallNext) -> Any:
        return await call_next(job)

    spooler = Spooler(directory, middleware=[middleware])

    @spooler.task
    def work(job: Job) -> None:
        if job.attempt == 1:
            raise Retry(delay=0)

    await work.spool()
    assert [type(outcome) for outcome in await burst(spooler)] == [PutOff, Done]


async def test_observers_of_the_spooler_hear_its_workers(directory: DirectorySpool) -> None:
    heard: list[Event] = []

    def fails(event: Event) -> None:
        raise RuntimeError("an observer cannot fail a job")

    spooler = Spooler(directory, observers=[fails, heard.append])

    @spooler.task
    async def work() -> None: ...

    await work.spool()
    assert [type(outcome) for outcome in await burst(spooler)] == [Done]
    assert [type(event) for event in heard][0::3] == [WorkerStarted, WorkerStopped] or len(heard) == 5
    with pytest.raises(AttributeError):
        heard[0].spools = ()  # type: ignore[union-attr,misc]  # they are frozen


class Pool:
    """What an application shares among its jobs."""

    is_open = True


async def test_resources_live_as_long_as_the_worker(directory: DirectorySpool) -> None:
    pools: list[Pool] = []

    @asynccontextmanager
    async def resources() -> AsyncIterator[Pool]:
        pools.append(Pool())
        yield pools[0]
        pools[0].is_open = False

    spooler = Spooler(directory, resources=resources)
    seen: list[bool] = []

    @spooler.task
    async def on_loop(job: Job[Pool]) -> None:
        seen.append(job.resources.is_open)

    @spooler.task
    def in_thread(job: Job[Pool], number: int) -> None:
        seen.append(job.resources.is_open and number == 1)

    await on_loop.spool()
    await in_thread.spool(1)
    await burst(spooler)
    assert seen == [True, True]
    assert [pool.is_open for pool in pools] == [False]


async def test_resources_that_cannot_be_had_stop_the_worker(directory: DirectorySpool) -> None:
    @asynccontextmanager
    async def resources() -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    spooler = Spooler(directory, resources=resources)
    with pytest.raises(ConnectionError, match="no database"):
        await Worker(spooler).run()


async def test_a_spooler_without_resources_says_so(directory: DirectorySpool) -> None:
    spooler = Spooler(directory)

    @spooler.task(retries=0)
    async def work(job: Job) -> None:
        _ = job.resources

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)
    assert "this Spooler has no resources" in outcome.reason


async def test_a_second_call_of_a_function_in_a_thread_stands_for_itself(directory: DirectorySpool) -> None:
    async def again(job: Job, call_next: CallNext) -> Any:
        try:
            return await call_next(job)
        except ValueError:
            return await call_next(job)

    spooler = Spooler(directory, middleware=[again])
    runs: list[int] = []

    @spooler.task(keep_result=60, retries=0)
    def work() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("the first time")
        return len(runs)

    ticket = await work.spool()
    assert [type(outcome) for outcome in await burst(spooler)] == [Done]
    assert await ticket.result() == 2


async def test_what_ends_while_its_middleware_is_stopped_has_not_succeeded(directory: DirectorySpool) -> None:
    """The function is over, but what the middleware does after it is not: a transaction, say."""

    async def commits(job: Job, call_next: CallNext) -> Any:
        value = await call_next(job)
        await anyio.sleep_forever()
        return value

    spooler = Spooler(directory, middleware=[commits])

    @spooler.task(harakiri=0.05, retries=0)
    def work() -> None: ...

    await work.spool()
    (outcome,) = await burst(spooler)
    assert isinstance(outcome, Buried)
    assert outcome.reason == "harakiri: it was stopped after 0.05 s"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"middleware": [len]}, "a middleware is"),
        ({"middleware": ["timing"]}, "a middleware is"),
        ({"observers": [anyio.sleep]}, "an observer is"),
        ({"observers": [lambda: None]}, "an observer is"),
        ({"resources": nullcontext()}, "not resources=pool"),
        ({"resources": 5}, "resources= takes what"),
    ],
)
def test_what_cannot_be_around_a_call_is_refused_at_once(options: Any, why: str) -> None:
    with pytest.raises(CallError, match=why):
        Spooler("memory:", **options)
