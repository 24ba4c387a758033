"""events(spooler, allow=…): what a task does, as Server-Sent Events for a browser's EventSource."""

import inspect
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from anyio import sleep
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from ..addresses import Address
from ..errors import CallError, NameRefused, Unsupported
from ..protocol import OVER, Follows, Progress
from ..spooler import Spooler
from ..ticket import Ticket, Update

Allow = Callable[[Request, str], bool | Awaitable[bool]]

KEEP_ALIVE = 15.0  # seconds between two comments, so that nobody on the way takes the connection for a dead one
RECONNECT = 3000  # milliseconds, after which a browser comes back when the connection has broken
PACE = 0.05  # seconds between two events of mere progress; the eye needs no more
END = "end"


def events(spooler: Spooler[Any], *, allow: Allow | None = None, spool: Address | None = None) -> Router:
    """An application to mount: `app.mount("/tasks", events(spooler, allow=may_look))` answers GET /tasks/{id}.

    `allow(request, id)` says who may look, and is asked on each connection; sync (then in a thread) or async. What
    is not True is refused with 403, as is everything about ids that cannot be; it may raise an HTTPException too.
    `spool` is the name or address of the spool that has the messages.

    Each event's data is a JSON object: `state`, `attempt`, and `progress`: null, or an object with `done`, `total`,
    `fraction` (0 to 1; null as `total` where nobody knows) and `text`. Its name is `state`, `progress` when only that
    has changed, or `end` for the last one. Raises CallError without `allow`, UnknownSpool, and Unsupported where
    the spool cannot tell what became of a message.
    """
    if not callable(allow):
        raise CallError(
            "events() needs allow=…, a function of the request and the id that says who may look: ids can be guessed"
        )
    target = spooler.spool_of(spool)
    if not isinstance(target, Follows):
        raise Unsupported(f"{target.address} cannot tell what became of a message, so there are no events of tasks")
    return Router([Route("/{id}", _Endpoint(spooler, allow, spool).answer)], redirect_slashes=False)


class _Endpoint:
    def __init__(self, spooler: Spooler[Any], allow: Allow, spool: Address | None) -> None:
        self._spooler = spooler
        self._allow = allow
        self._spool = spool

    async def answer(self, request: Request) -> Response:
        try:
            ticket = self._spooler.ticket(request.path_params["id"], spool=self._spool)
        except NameRefused:  # and nobody learns which ids there are from the kind of refusal
            return _refused()
        if not await self._allows(request, ticket.id):
            return _refused()
        if request.headers.get("Last-Event-ID") == END:
            return Response(status_code=204)  # by which an EventSource that comes back after the end stops doing so
        await self._spooler.spool_of(self._spool).open()  # a spool that cannot be used is an error of the request
        return _Events(_stream(ticket), ping=KEEP_ALIVE, sep="\n")

    async def _allows(self, request: Request, id: str) -> bool:
        if inspect.iscoroutinefunction(self._allow):
            return await self._allow(request, id) is True
        answer = await run_in_threadpool(self._allow, request, id)
        return (await answer if inspect.isawaitable(answer) else answer) is True


def _refused() -> Response:
    return JSONResponse({"detail": "Forbidden"}, 403)


class _Events(EventSourceResponse):
    """Ends in order also when the server stops, which cancels it in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_over = False

        async def receiving() -> Message:
            nonlocal is_over
            message = await receive()
            is_over |= message["type"] == "http.disconnect"
            return message

        async def sending(message: Message) -> None:
            nonlocal is_over
            await send(message)
            is_over |= message["type"] == "http.response.body" and not message.get("more_body", False)

        await super().__call__(scope, receiving, sending)
        if not is_over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stream(ticket: Ticket[Any]) -> AsyncIterator[ServerSentEvent]:
    last: Update | None = None
    async with aclosing(cast("AsyncGenerator[Update]", ticket.watch())) as updates:
        async for update in updates:
            name = _name(update, last)
            yield ServerSentEvent(
                json.dumps(_data(update), allow_nan=False),
                event=name,
                id=END if name == END else None,
                retry=RECONNECT if last is None else None,
                sep="\n",
            )
            last = update
            if name == "progress":
                await sleep(PACE)


def _name(update: Update, last: Update | None) -> str:
    if update.state in OVER:
        return END
    if last is not None and (last.state, last.attempt) == (update.state, update.attempt):
        return "progress"
    return "state"


def _data(update: Update) -> dict[str, Any]:
    return {"state": update.state, "attempt": update.attempt, "progress": _progress(update.progress)}


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "done": _finite(progress.done),
        "total": _finite(progress.total),
        "fraction": _finite(progress.fraction),
        "text": progress.text,
    }


def _finite(number: float | None) -> float | None:
    """JSON has no infinity; a task may report one."""
    return number if number is not None and math.isfinite(number) else None
