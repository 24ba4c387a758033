"""Health over HTTP: /alive, /ready, /status and /metrics, for probes, people and Prometheus.

What is told comes from a Source, which the supervisor is.
"""

import json
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from socket import socket
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio.abc import TaskStatus

from ..errors import CallError
from .forms import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

BACKLOG = 64  # connections that may wait to be accepted
NEEDED = ("prometheus_client", "starlette", "uvicorn")
LAST_ANSWERS = 1.0  # seconds for answers under way when the server stops


class Source(Protocol):
    """Who knows how it stands."""

    def alive(self) -> bool:
        """Whether all goes on; to answer at all says the most of it."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether tasks are run, and in words why not."""
        ...

    async def status(self) -> dict[str, Any]:
        """All that is known, as JSON can have it."""
        ...

    async def metrics(self) -> bytes:
        """The text of `prometheus.exposition`."""
        ...


class Listening(Protocol):
    """A socket that listens, with its file if it has one."""

    @property
    def socket(self) -> socket:
        """The socket."""
        ...

    def close(self) -> None:
        """Close it; its file goes too."""
        ...


def check_health() -> None:
    """Raises CallError when a library is missing. Call it before anything else is started."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise CallError(
            f"health needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"pip install 'aspool[health]'"
        )


async def serve_health(
    listening: Listening, source: Source, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer on an open socket until cancelled; then it is closed."""
    try:
        await _serve(listening.socket, _application(source), task_status)
    finally:
        listening.close()


async def _serve(listening: socket, application: "Starlette", task_status: TaskStatus[None]) -> None:
    import uvicorn

    from .connection import IDLE, Connection

    class Server(uvicorn.Server):
        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator there
            return nullcontext()  # they are the supervisor's

        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            task_status.started()

    config = uvicorn.Config(
        application, http=Connection, ws="none", lifespan="off", log_config=None, log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, headers=[("Cache-Control", "no-store")],
        backlog=BACKLOG, timeout_keep_alive=int(IDLE), timeout_graceful_shutdown=int(LAST_ANSWERS),
    )  # fmt: skip
    server = Server(config)
    try:
        await server.serve(sockets=[listening])
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True), anyio.move_on_after(2 * LAST_ANSWERS):
            if server.started:
                await server.shutdown([listening])
        raise


def _application(source: Source) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from .prometheus import CONTENT_TYPE

    async def alive(_: "Request") -> Response:
        return PlainTextResponse("alive\n") if source.alive() else PlainTextResponse("not alive\n", 503)

    async def ready(_: "Request") -> Response:
        is_ready, reason = source.ready()
        return PlainTextResponse("ready\n") if is_ready else PlainTextResponse(f"not ready: {plain(reason)}\n", 503)

    async def status(_: "Request") -> Response:
        text = json.dumps(plain(await source.status()), indent=2)
        return Response(f"{text}\n", media_type="application/json")

    async def metrics(_: "Request") -> Response:
        return Response(await source.metrics(), media_type=CONTENT_TYPE)

    answers: list[Callable[[Request], Awaitable[Response]]] = [alive, ready, status, metrics]
    application = Starlette(routes=[Route(f"/{each.__name__}", each, methods=["GET"]) for each in answers])
    application.router.redirect_slashes = False
    return application
