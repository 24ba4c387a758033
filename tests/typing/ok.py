"""Calls that mypy and pyright must accept, with the types that they must find. Checked by tests/test_typing.py."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from aspool import (
    Body,
    Call,
    DirectorySpool,
    Job,
    MemorySpool,
    Progress,
    Spooler,
    Task,
    Tasks,
    Ticket,
    Update,
    current_job,
    spool,
)
from aspool.asgi import BackgroundSpool, SpoolTasks
from aspool.middleware import CallNext
from aspool.protocol import State

spooler = Spooler("./spool", spools={"mail": DirectorySpool("./mail"), "quick": MemorySpool()})


@spooler.task
async def send_mail(to: str, subject: str = "hi") -> bool:
    return bool(to and subject)


@spooler.task(retries=5, backoff=2.0, harakiri=30, priority=1, spool="mail", retry_on=OSError, executor="thread")
def add(a: int, b: int = 2, *rest: int, exact: bool = True) -> int:
    return a + b + sum(rest) + exact


@spooler.task(name="thumb", backoff=lambda attempt: attempt * 5.0, retry_on=(OSError, ValueError), executor="process")
def thumbnail(job: Job, picture: Body, width: int = 200) -> Path:
    job.progress(1, 10, "decoding")
    return Path(str(len(picture.file.read()) + width))


@spooler.task()
async def long_one(job: Job, picture: Body | None = None) -> None:
    assert_type(job.id, str)
    if picture is not None:
        assert_type(await picture.read(), bytes)
        async for chunk in picture:
            assert_type(chunk, bytes)
        async with picture.open() as file:
            assert_type(await file.read(10), bytes)
        await picture.save("file")


@spooler.handler
def handle(variables: dict[str, str], body: Body) -> None:
    assert_type(variables["a"], str)


@spooler.task
def nothing() -> None:
    assert_type(current_job(), Job[Any])


async def decorated() -> None:
    coroutine = assert_type(send_mail("a"), Coroutine[Any, Any, bool])
    assert_type(await coroutine, bool)
    assert_type(await send_mail("a", subject="b"), bool)
    assert_type(add(1, 2, 3, 4, exact=False), int)
    assert_type(thumbnail(Body(b"x"), width=3), Path)
    assert_type(thumbnail(picture=Body(Path("x"))), Path)
    assert_type(await long_one(), None)
    nothing()
    handle({"a": "b"}, Body(b"x"))
    assert_type(send_mail.name, str)
    tasks: Sequence[Task[..., Any, Any]] = [send_mail, add, thumbnail, long_one, nothing]
    assert_type(len(tasks), int)


async def spooled() -> None:
    assert_type(await send_mail.spool("a"), Ticket[bool])
    assert_type(await add.spool(1, b=2), Ticket[int])
    assert_type(await thumbnail.spool(Body(b"x"), width=3), Ticket[Path])
    assert_type(await long_one.spool(picture=None), Ticket[None])
    assert_type(await nothing.spool(), Ticket[None])
    assert_type(send_mail.spool_sync("a", subject="b"), Ticket[bool])
    assert_type(add.spool_sync(1, 2, 3), Ticket[int])
    assert_type(thumbnail.spool_sync(picture=Body(b"x")), Ticket[Path])
    assert_type((await add.spool(1)).id, str)
    assert_type((await add.spool(1)).duplicate, bool)


async def by_the_function() -> None:
    assert_type(await spool(send_mail, "a", subject="b"), Ticket[bool])
    assert_type(await spool(add, 1, 2, 3, exact=True), Ticket[int])
    assert_type(await spool(thumbnail, Body(b"x"), 64), Ticket[Path])
    assert_type(await spool(long_one), Ticket[None])


async def changed() -> None:
    later = send_mail.using(at=timedelta(minutes=1), priority=1, id="welcome-42", expires=5.0, spool=Path("x"))
    assert_type(await later.spool("a", "b"), Ticket[bool])
    assert_type(later.spool_sync("a"), Ticket[bool])
    assert_type(await thumbnail.using(retries=1, backoff=0.5, harakiri=9).spool(Body(b"x")), Ticket[Path])


async def many() -> None:
    assert_type(send_mail.call("a"), Call[bool])
    assert_type(thumbnail.using(priority=3).call(Body(b"x")), Call[Path])
    assert_type(await spooler.spool_many([send_mail.call("a"), add.call(1)]), list[Ticket[Any]])
    assert_type(spooler.spool_many_sync([nothing.call()]), list[Ticket[Any]])


async def in_the_background(tasks: SpoolTasks) -> None:
    assert_type(tasks.add_task(send_mail, "a", subject="b"), Ticket[bool])
    assert_type(tasks.add_task(thumbnail.using(priority=3), Body(b"x")), Ticket[Path])
    tasks.add_task(spooler.task_named("mail.send"), "a", 1)
    async with BackgroundSpool() as collected:
        collected.add_task(add, 1)
    assert_type(collected.tickets, list[Ticket[Any]])


async def raw() -> None:
    assert_type(await spooler.spool({"ToGroup": "customers"}, at=5.0, body=b"pdf"), Ticket[None])
    assert_type(await spooler.spool({b"a": b"b", b"n": 5}, body=Body(Path("x")), priority=1), Ticket[None])
    assert_type(spooler.spool_sync({"a": "b", "n": 5}, id="x", spool="mail"), Ticket[None])
    plain: dict[bytes, bytes] = {b"a": b"b"}
    assert_type(spooler.spool_sync(plain), Ticket[None])


class Pool:
    async def fetch(self, number: int) -> str:
        return f"{self} {number}"


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    yield Pool()


async def timed(job: Job[Any], call_next: CallNext) -> Any:
    return await call_next(job)


app = Spooler("./spool", resources=open_pool, middleware=[timed], observers=[print])
tasks: Tasks[Pool] = Tasks(prefix="shop.")


@tasks.task(concurrency=1, keep_result=60)
async def order(job: Job[Pool], number: int) -> str:
    for step in job.track(range(3), text="steps"):
        assert_type(step, int)
    async for step in job.track([1, 2]):
        assert_type(step, int)
    job.buffer["number"] = number
    job.retries_left, job.at = 1, 5.0
    job.extend(5)
    assert_type(await job.again(number + 1), Ticket[Any])
    assert_type(job.cancelled, bool)
    return assert_type(await job.resources.fetch(number), str)


@app.task
def shop(job: Job[Pool]) -> int:
    return len(str(job.resources))


async def asked() -> None:
    app.include(tasks)
    ticket = await order.spool(3)
    assert_type(await ticket.result(timeout=5), str)
    assert_type(ticket.sync.result(), str)
    assert_type(order.ticket("abc"), Ticket[str])
    assert_type(await app.ticket("abc").result(), Any)
    assert_type(await ticket.progress(), Progress | None)
    async for update in ticket.watch():
        assert_type(update, Update)
        assert_type(update.state, State)
    for update in ticket.sync.watch():
        assert_type(update.attempt, int)
    assert_type(await ticket.cancel(), bool)
    assert_type(await ticket.reschedule(at=timedelta(1), priority=3), bool)
    assert_type((await shop.spool()).sync.result(), int)
    await app.pause(order)
    app.sync.resume("shop.order")
    await app.task_named("shop.other").spool(1, b=2)


@spooler.timer(0.5, iterations=2, overlap="skip", missed="all", retries=1, retry_on=OSError)
async def ping() -> int:
    return 5


@spooler.cron("30 2 * * *", tz="Europe/Paris", fire="at-most-once", harakiri=60)
def nightly(job: Job) -> None:
    assert_type(job.scheduled_for, datetime | None)


@spooler.filemon(Path("config.toml"), lazy=True)
def config_changed() -> None: ...


@spooler.signal("reload", target="workers")
async def reload(job: Job, since: float = 0.0) -> None: ...


async def schedules() -> None:
    await ping.start(seconds=5, iterations=None)
    assert_type(await ping(), int)
    assert_type(await (await ping.spool()).result(), int)
    nightly.sync.stop()
    assert_type((await nightly.scheduled.look()).last, float | None)
    assert_type(await spooler.raise_signal("reload"), int)
    scheduled = await spooler.schedule(send_mail, cron="0 9 * * *", args=("a@b.c",), missed="skip", retries=2)
    await scheduled.remove()
    spooler.sync.schedule("billing.remind", timer=60.0, kwargs={"id": 7}).sync.pause()


reveal_type(send_mail.spool)  # noqa: F821 # R "str" "subject" "bool"
reveal_type(thumbnail.using().spool_sync)  # noqa: F821 # R "Body" "width" "Path"
reveal_type(add)  # noqa: F821 # R "int" "exact"
