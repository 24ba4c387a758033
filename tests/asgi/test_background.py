"""Tasks that are spooled when the handler has succeeded, and before the response is sent."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from aspool import (
    ArgumentsRefused,
    Body,
    CallError,
    DirectorySpool,
    MemorySpool,
    NotSpooled,
    PartlySpooled,
    Spooler,
    SpoolFull,
    TaskRefused,
    Tasks,
    Uncertain,
    UnknownSpool,
)
from aspool.asgi import BackgroundSpool, SpoolTasks, spool_full
from aspool.message import Message
from aspool.protocol import Stored
from aspool.worker import running

pytestmark = pytest.mark.anyio


class Answering(MemorySpool):
    """Answers puts with given errors; None takes the message. `batches`: how many messages came together."""

    def __init__(self, *answers: Exception | None) -> None:
        super().__init__()
        self.answers = list(answers)
        self.batches: list[int] = []

    async def put(self, messages: Sequence[Message]) -> Sequence[Stored | Exception]:
        self.batches.append(len(messages))
        answers = [*self.answers, *[None] * len(messages)][: len(messages)]
        taken = [message for message, answer in zip(messages, answers, strict=True) if answer is None]
        stored = iter(await super().put(taken))
        return [next(stored) if answer is None else answer for answer in answers]


class Shop:
    """A Spooler on such a spool, and its tasks."""

    def __init__(self, *answers: Exception | None) -> None:
        self.spool = Answering(*answers)
        self.spooler = Spooler(self.spool, spools={"other": MemorySpool("memory:other")})
        self.sent: list[str] = []
        self.two_were_sent = anyio.Event()

        @self.spooler.task
        async def mail(to: str, *, subject: str = "hi") -> int:
            self.sent.append(f"{to} {subject}")
            if len(self.sent) == 2:
                self.two_were_sent.set()
            return len(to)

        self.mail = mail

    async def waiting(self, name: str = "default") -> list[str]:
        return [claim.message.id for claim in await self.spooler.spools[name].claim(100, 1e12)]


async def post(app: Any, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post(path, **options)


# --- without a framework --------------------------------------------------------------------------------------


async def test_all_are_spooled_together_when_the_block_ends() -> None:
    shop = Shop()
    async with BackgroundSpool() as tasks:
        first = tasks.add_task(shop.mail, "a@b.c")
        second = tasks.add_task(shop.mail.using(id="welcome-42"), "d@e.f", subject="hello")
        assert tasks.tickets == []
        assert shop.spool.batches == []
    assert shop.spool.batches == [2]
    assert [ticket.id for ticket in tasks.tickets] == [first.id, second.id] == await shop.waiting()
    assert second.id == "welcome-42"


async def test_a_worker_runs_them() -> None:
    shop = Shop()
    async with BackgroundSpool() as tasks:
        tasks.add_task(shop.mail, "a@b.c", subject="x")
        tasks.add_task(shop.spooler.task_named(shop.mail.name), "d@e.f")
    with anyio.fail_after(10):
        async with running(shop.spooler):
            await shop.two_were_sent.wait()
    assert sorted(shop.sent) == ["a@b.c x", "d@e.f hi"]


async def test_a_block_that_raises_spools_nothing() -> None:
    shop = Shop()
    with pytest.raises(ZeroDivisionError):
        async with BackgroundSpool() as tasks:
            tasks.add_task(shop.mail, "a@b.c")
            raise ZeroDivisionError
    assert shop.spool.batches == []


async def test_a_block_without_tasks_asks_no_spool() -> None:
    async with BackgroundSpool() as tasks:
        pass
    assert tasks.tickets == []


async def test_each_task_goes_to_its_own_spool() -> None:
    shop, group, elsewhere = Shop(), Tasks(prefix="mail."), Shop()

    @group.task(spool="other")
    def count(number: int) -> None: ...

    shop.spooler.include(group)
    async with BackgroundSpool() as tasks:
        kept = [tasks.add_task(count, 1).id, tasks.add_task(shop.mail.using(spool="other"), "x").id]
        here = tasks.add_task(shop.mail, "a@b.c").id
        there = tasks.add_task(elsewhere.mail, "d@e.f").id
    assert await shop.waiting("other") == kept
    assert (await shop.waiting(), await elsewhere.waiting()) == ([here], [there])


async def test_a_second_message_with_the_id_of_a_waiting_one_is_a_duplicate() -> None:
    shop = Shop()
    async with BackgroundSpool() as tasks:
        for _ in range(2):
            tasks.add_task(shop.mail.using(id="one"), "a@b.c")
    assert [(ticket.id, ticket.duplicate) for ticket in tasks.tickets] == [("one", False), ("one", True)]


async def test_what_is_wrong_is_said_at_once() -> None:
    shop = Shop()

    @shop.spooler.task(executor="inline")
    def inline() -> None: ...

    async with BackgroundSpool() as tasks:
        with pytest.raises(ArgumentsRefused, match="subject"):
            tasks.add_task(shop.mail, "a", subject=5)  # type: ignore[arg-type]
        with pytest.raises(TaskRefused, match=r"add_task takes a task, not <built-in .*>: decorate"):
            tasks.add_task(len, "a")  # type: ignore[arg-type]
        with pytest.raises(UnknownSpool, match="'nowhere'"):
            tasks.add_task(shop.mail.using(spool="nowhere"), "a")
        with pytest.raises(TaskRefused, match="runs at once"):
            tasks.add_task(inline)
    assert (tasks.tickets, shop.spool.batches) == ([], [])


async def test_outside_of_the_block_a_task_would_be_lost() -> None:
    shop, tasks = Shop(), BackgroundSpool()
    with pytest.raises(CallError, match="nothing would spool"):
        tasks.add_task(shop.mail, "a")
    async with tasks:
        pass
    with pytest.raises(CallError, match="nothing would spool"):
        tasks.add_task(shop.mail, "a")


FULL, DISK = SpoolFull("the spool is full"), NotSpooled("the disk said no")
UNSURE = Uncertain("the disk did not confirm it", "x")


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([FULL], FULL),
        ([FULL, FULL], FULL),  # nothing is in
        ([DISK, FULL], DISK),
        ([UNSURE], UNSURE),
        ([OSError("the body cannot be read")], OSError),
        ([FULL, None], PartlySpooled),
        ([None, FULL], PartlySpooled),
        ([FULL, UNSURE], PartlySpooled),  # the second may be in
    ],
)
async def test_the_end_of_the_block_says_what_was_not_spooled(
    answers: list[Exception | None], error: Exception | type[Exception]
) -> None:
    shop = Shop(*answers)
    tasks = BackgroundSpool()
    with pytest.raises(error if isinstance(error, type) else type(error)) as raised:
        async with tasks:
            for _ in answers:
                tasks.add_task(shop.mail, "a@b.c")
    assert isinstance(error, type) or raised.value is error
    assert tasks.tickets == []
    if isinstance(raised.value, PartlySpooled):
        assert len(raised.value.results) == len(answers)


# --- FastAPI --------------------------------------------------------------------------------------------------


class Order(BaseModel):
    number: int


def shop_app(shop: Shop) -> FastAPI:  # noqa: C901 - many small handlers
    app = FastAPI()
    app.add_exception_handler(SpoolFull, spool_full)

    @app.post("/orders", status_code=201)
    async def order(tasks: SpoolTasks) -> dict[str, str]:
        tasks.add_task(shop.mail, "a@b.c", subject="one")
        assert shop.spool.batches == []
        return {"id": tasks.add_task(shop.mail, "d@e.f").id}

    @app.post("/sync")
    def sync(tasks: SpoolTasks) -> dict[str, str]:
        return {"id": tasks.add_task(shop.mail, "a@b.c").id}

    @app.post("/refused")
    async def refused(tasks: SpoolTasks) -> None:
        tasks.add_task(shop.mail, "a@b.c")
        raise HTTPException(409, "no")

    @app.post("/broken")
    async def broken(tasks: SpoolTasks) -> None:
        tasks.add_task(shop.mail, "a@b.c")
        raise ZeroDivisionError

    @app.post("/misfit")
    async def misfit(tasks: SpoolTasks) -> Order:
        tasks.add_task(shop.mail, "a@b.c")
        return {"number": "forty-two"}  # type: ignore[return-value]

    @app.post("/wrong-arguments")
    async def wrong_arguments(tasks: SpoolTasks) -> None:
        tasks.add_task(shop.mail, "a@b.c")
        tasks.add_task(shop.mail, 5)  # type: ignore[arg-type]

    @app.post("/answered")
    async def answered(tasks: SpoolTasks) -> JSONResponse:
        tasks.add_task(shop.mail, "a@b.c")
        return JSONResponse({"detail": "returned, not raised"}, 400)

    @app.post("/stream")
    async def stream(tasks: SpoolTasks) -> StreamingResponse:
        tasks.add_task(shop.mail, "a@b.c")

        async def chunks() -> AsyncIterator[str]:
            yield f"{shop.spool.batches}"
            try:
                tasks.add_task(shop.mail, "late@b.c")
            except CallError:
                yield " too late"

        return StreamingResponse(chunks())

    return app


async def test_they_are_spooled_before_the_response_is_sent() -> None:
    """A middleware sees the response begin: at that moment they are in."""
    shop = Shop()
    app = shop_app(shop)
    seen: list[list[int]] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append(list(shop.spool.batches))
            await send(message)

        await app(scope, receive, sending)

    answer = await post(watched, "/orders")
    assert (answer.status_code, seen) == (201, [[2]])
    assert answer.json()["id"]


@pytest.mark.parametrize(
    ("path", "status"), [("refused", 409), ("broken", 500), ("misfit", 500), ("wrong-arguments", 500)]
)
async def test_a_handler_that_fails_spools_nothing(path: str, status: int) -> None:
    shop = Shop()
    assert (await post(shop_app(shop), f"/{path}")).status_code == status
    assert shop.spool.batches == []


async def test_a_response_that_is_returned_counts_as_success() -> None:
    shop = Shop()
    assert (await post(shop_app(shop), "/answered")).status_code == 400
    assert shop.spool.batches == [1]


async def test_a_handler_in_a_thread() -> None:
    shop = Shop()
    assert (await post(shop_app(shop), "/sync")).status_code == 200
    assert shop.spool.batches == [1]


async def test_before_a_stream_begins() -> None:
    shop = Shop()
    assert (await post(shop_app(shop), "/stream")).text == "[1] too late"


async def test_a_full_spool_is_answered_with_503() -> None:
    answer = await post(shop_app(Shop(FULL, FULL)), "/orders")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert answer.json() == {"detail": "Too many tasks are waiting: try again later."}


async def test_a_spool_that_takes_a_part_is_an_error_of_the_request() -> None:
    shop = Shop(FULL, None)
    assert (await post(shop_app(shop), "/orders")).status_code == 500
    assert shop.spool.batches == [2]


@pytest.mark.parametrize("commits", [True, False])
async def test_a_transaction_that_is_declared_after_is_committed_before(commits: bool) -> None:
    shop, events = Shop(), []

    async def session() -> AsyncIterator[str]:
        yield "session"
        events.append(f"commit, spooled {shop.spool.batches}")
        if not commits:
            raise ZeroDivisionError

    app = FastAPI()

    @app.post("/orders")
    async def order(tasks: SpoolTasks, session: Annotated[str, Depends(session, scope="function")]) -> None:
        tasks.add_task(shop.mail, "a@b.c")

    assert (await post(app, "/orders")).status_code == (200 if commits else 500)
    assert events == ["commit, spooled []"]
    assert shop.spool.batches == ([1] if commits else [])


async def test_dependencies_and_the_handler_share_one() -> None:
    shop, app = Shop(), FastAPI()

    def visit(tasks: SpoolTasks) -> None:
        tasks.add_task(shop.mail, "visit")

    @app.post("/orders", dependencies=[Depends(visit)])
    async def order(tasks: SpoolTasks) -> None:
        tasks.add_task(shop.mail, "order")

    assert (await post(app, "/orders")).status_code == 200
    assert shop.spool.batches == [2]


async def test_an_upload_reaches_the_spool(spooler: Spooler, directory: DirectorySpool) -> None:
    received: list[bytes] = []
    was_received = anyio.Event()

    @spooler.task
    async def keep(content: Body) -> None:
        received.append(await content.read())
        was_received.set()

    app = FastAPI()

    @app.post("/files")
    async def take(file: UploadFile, tasks: SpoolTasks) -> dict[str, str]:
        return {"id": tasks.add_task(keep, Body(file)).id}

    content = os.urandom(3_000_000)  # more than a form keeps in memory
    id = (await post(app, "/files", files={"file": ("f", content)})).json()["id"]
    assert [listed.id for listed in directory.browse()] == [id]
    with anyio.fail_after(10):
        async with running(spooler):
            await was_received.wait()
    assert received == [content]


async def test_a_spool_that_is_really_full(tmp_path: Path) -> None:
    spooler = Spooler(DirectorySpool(tmp_path / "spool", durability="process", max_waiting=2))

    @spooler.task
    async def pack(order: int) -> None: ...

    app = FastAPI()
    app.add_exception_handler(SpoolFull, spool_full)

    @app.post("/orders")
    async def order(tasks: SpoolTasks) -> None:
        tasks.add_task(pack, 1)
        tasks.add_task(pack, 2)

    assert [(await post(app, "/orders")).status_code for _ in range(2)] == [200, 503]
    await spooler.aclose()


# --- Starlette ------------------------------------------------------------------------------------------------


async def test_plain_starlette() -> None:
    shop = Shop()

    async def order(request: Request) -> JSONResponse:
        async with BackgroundSpool() as tasks:
            tasks.add_task(shop.mail, request.query_params["to"])
        return JSONResponse({"ids": [ticket.id for ticket in tasks.tickets]})

    app = Starlette(routes=[Route("/orders", order, methods=["POST"])])
    answer = await post(app, "/orders", params={"to": "a@b.c"})
    assert len(answer.json()["ids"]) == 1
    assert shop.spool.batches == [1]
