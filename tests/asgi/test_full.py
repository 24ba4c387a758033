"""The answer 503, and what of the error it shows to whom."""

import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from aspool import NotSpooled, PartlySpooled, SpoolFull, SpoolUnusable
from aspool.asgi import spool_full

pytestmark = pytest.mark.anyio
SECRET = "/srv/secret/spool"


async def answered(error: Exception, kind: type[Exception], framework: Any) -> httpx.Response:
    """What a client gets when a handler raises an error, and spool_full is there for that kind."""

    async def handler(request: Request) -> None:
        raise error

    app = framework(routes=[Route("/orders", handler, methods=["POST"])])
    app.add_exception_handler(kind, spool_full)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.post("/orders")


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
async def test_a_full_spool(framework: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "aspool.asgi"):
        answer = await answered(SpoolFull(f"{SECRET} is full"), SpoolFull, framework)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json() == {"detail": "Too many tasks are waiting: try again later."}
    assert SECRET not in str(answer.headers)
    assert f"POST /orders is answered with 503: {SECRET} is full" in caplog.messages


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSpooled(f"{SECRET}: no space left"), NotSpooled),
        (SpoolUnusable(f"{SECRET} is gone"), SpoolUnusable),
        (PartlySpooled([NotSpooled(f"{SECRET}: no space left")]), PartlySpooled),
    ],
)
async def test_other_errors_of_a_spool(error: Exception, kind: type[Exception]) -> None:
    answer = await answered(error, kind, FastAPI)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "No tasks can be taken now: try again later."}


async def test_registered_for_all_refusals_it_still_tells_a_full_spool_apart() -> None:
    answer = await answered(SpoolFull("full"), NotSpooled, FastAPI)
    assert answer.json() == {"detail": "Too many tasks are waiting: try again later."}
