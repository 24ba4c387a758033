"""Events of a task: what is sent, who may see it, and how a stream ends."""

import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, HTTPException
from starlette.requests import Request

from aspool import CallError, Job, MemorySpool, Progress, Spooler, SpoolUnusable, UnknownSpool
from aspool.asgi import events, spool_full, streams
from aspool.errors import Unsupported
from aspool.protocol import Follower, Standing
from aspool.testing import drain, use
from aspool.worker import running

pytestmark = pytest.mark.anyio

Answers = Callable[[Request, str], Any]


class Script:
    """A follower that finds one standing after another; after the last nothing changes."""

    def __init__(self, standings: list[Standing]) -> None:
        self.standings = standings

    async def look(self) -> Standing:
        return self.standings.pop(0) if len(self.standings) > 1 else self.standings[0]

    async def changed(self) -> None:
        if len(self.standings) == 1 and not self.standings[0].is_over:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()


class Scripted(MemorySpool):
    """A spool whose messages stand as a test says; what it does not know is unknown."""

    def __init__(self, scripts: dict[str, list[Standing]] | None = None) -> None:
        super().__init__()
        self.scripts: dict[str, Follower] = {id: Script(standings) for id, standings in (scripts or {}).items()}
        self.followed: list[str] = []  # now
        self.asked: list[str] = []  # ever

    @asynccontextmanager
    async def following(self, id: str, *_: Any) -> AsyncIterator[Any]:
        self.asked.append(id)
        self.followed.append(id)
        try:
            yield self.scripts.get(id, Script([Standing("unknown")]))
        finally:
            self.followed.remove(id)

    async def cancel(self, *_: Any) -> bool:
        return False

    async def reschedule(self, *_: Any) -> bool:
        return False


def everybody(request: Request, id: str) -> bool:
    return True


def web(spool: MemorySpool, allow: Answers = everybody) -> FastAPI:
    app = FastAPI()
    app.mount("/tasks", events(Spooler(spool), allow=allow))
    return app


async def ask(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        with anyio.fail_after(10):
            return await client.request(method, path, headers={key.replace("_", "-"): headers[key] for key in headers})


def parsed(text: str) -> list[dict[str, str]]:
    """The events of a stream, as a browser reads them: blocks of `field: value`; comments are left out."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block.strip()]
    fields = [[line.partition(": ")[::2] for line in lines if not line.startswith(":")] for lines in blocks]
    for block in fields:
        assert len({key for key, _ in block}) == len(block), "no field comes twice: data is one line"
    return [dict(block) for block in fields if block]


RUN = [
    Standing("waiting", 1),
    Standing("running", 1),
    Standing("running", 1, progress=Progress(1, 4, "decoding")),
    Standing("running", 1, progress=Progress(1, 4, "decoding")),
    Standing("retrying", 2),
    Standing("running", 2, progress=Progress(4, None, "")),
    Standing("done", 2),
]


# --- what is sent ---------------------------------------------------------------------------------------------


async def test_each_change_is_an_event_until_the_end() -> None:
    answer = await ask(web(Scripted({"one": list(RUN)})), "/tasks/one")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    found = parsed(answer.text)
    assert [(event["event"], json.loads(event["data"])["state"]) for event in found] == [
        ("state", "waiting"), ("state", "running"), ("progress", "running"), ("state", "retrying"),
        ("state", "running"), ("end", "done"),
    ]  # fmt: skip
    assert json.loads(found[0]["data"]) == {"state": "waiting", "attempt": 1, "progress": None}
    assert json.loads(found[2]["data"]) == {
        "state": "running", "attempt": 1,
        "progress": {"done": 1, "total": 4, "fraction": 0.25, "text": "decoding"},
    }  # fmt: skip
    assert json.loads(found[4]["data"])["progress"] == {"done": 4, "total": None, "fraction": None, "text": ""}
    assert [event.get("id") for event in found] == [*[None] * 5, "end"]
    assert [event.get("retry") for event in found] == ["3000", *[None] * 5]


@pytest.mark.parametrize("state", ["done", "cancelled", "dead", "unknown"])
async def test_what_is_over_is_one_event(state: Any) -> None:
    found = parsed((await ask(web(Scripted({"one": [Standing(state)]})), "/tasks/one")).text)
    assert [(event["event"], json.loads(event["data"])["state"]) for event in found] == [("end", state)]


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines", "\r\n\r\nevent: end\r\ndata: {}\r\n\r\n", "\u2028 \u2029 \x85 \x0b \x00", "äöü 🐌 \"quoted\" \\n",
        "\udcff bytes that were no UTF-8",
    ],
)  # fmt: skip
async def test_whatever_a_task_says_arrives_as_it_is(text: str) -> None:
    script = [Standing("running", 1, progress=Progress(0, 0, text)), Standing("done", 1)]
    found = parsed((await ask(web(Scripted({"one": script})), "/tasks/one")).text)
    assert [event["event"] for event in found] == ["state", "end"]
    assert json.loads(found[0]["data"])["progress"]["text"] == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
async def test_numbers_that_json_has_not_are_null(number: float) -> None:
    script = [Standing("running", 1, progress=Progress(number, number)), Standing("done", 1)]
    found = parsed((await ask(web(Scripted({"one": script})), "/tasks/one")).text)
    progress = json.loads(found[0]["data"], parse_constant=pytest.fail)["progress"]
    assert (progress["done"], progress["total"]) == (None, None)


class Counting:
    """A job that has got on at each look, for a while."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.looks = 0

    async def look(self) -> Standing:
        self.looks += 1
        return Standing("done" if time.monotonic() > self.ends else "running", 1, progress=Progress(self.looks))

    async def changed(self) -> None:
        await anyio.lowlevel.checkpoint()


async def test_progress_is_not_told_faster_than_an_eye_can_see() -> None:
    spool = Scripted()
    spool.scripts["one"] = Counting(0.3)
    found = parsed((await ask(web(spool), "/tasks/one")).text)
    assert found[-1]["event"] == "end"
    assert 3 <= len(found) <= 0.3 / streams.PACE + 3


# --- who may look ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("allow", [None, True, "everybody"])
def test_without_a_rule_there_are_no_events(allow: Any) -> None:
    with pytest.raises(CallError, match=r"needs allow=….*ids can be guessed"):
        events(Spooler(Scripted()), allow=allow)
    with pytest.raises(CallError, match="ids can be guessed"):
        events(Spooler(Scripted()))


async def yes(request: Request, id: str) -> bool:
    return True


async def no(request: Request, id: str) -> bool:
    return False


def saying(value: object) -> Answers:
    def rule(request: Request, id: str) -> object:
        return value

    return rule


def passing_on(rule: Answers) -> Answers:
    """A rule that is sync, and returns something to await."""

    def passed(request: Request, id: str) -> object:
        return rule(request, id)

    return passed


class Rule:
    async def __call__(self, request: Request, id: str) -> bool:
        return request.headers.get("X-Key") == id


@pytest.mark.parametrize(
    ("allow", "status"),
    [
        (everybody, 200), (yes, 200), (passing_on(yes), 200), (Rule(), 403), (no, 403), (passing_on(no), 403),
        (saying(None), 403), (saying(False), 403), (saying("no"), 403), (saying(1), 403),
    ],
)  # fmt: skip
async def test_only_true_lets_somebody_look(allow: Answers, status: int) -> None:
    spool = Scripted({"one": [Standing("done", 1)]})
    assert (await ask(web(spool, allow), "/tasks/one")).status_code == status
    assert spool.asked == (["one"] if status == 200 else [])


async def test_the_rule_sees_the_request_and_the_id() -> None:
    app = web(Scripted({"one": [Standing("done", 1)]}), Rule())
    assert (await ask(app, "/tasks/one", X_Key="one")).status_code == 200
    assert (await ask(app, "/tasks/one", X_Key="two")).status_code == 403


async def test_a_refusal_tells_nothing_about_the_id() -> None:
    """Neither whether there is such a message nor whether there could be one; and the spool is not asked."""
    spool = Scripted({"one": [Standing("done", 1)]})
    refusals = [await ask(web(spool, no), f"/tasks/{id}") for id in ("one", "two", ".hidden", "%FF", "x" * 81)]
    assert {(answer.status_code, answer.text, str(answer.headers)) for answer in refusals} == {
        (403, '{"detail":"Forbidden"}', str(refusals[0].headers))
    }
    assert spool.asked == []


@pytest.mark.parametrize("id", [".hidden", "a b", "%2e%2e", "x" * 81, "a%0ab", "%FF"])
async def test_an_id_that_cannot_be_is_refused_before_the_rule_sees_it(id: str) -> None:
    seen: list[str] = []
    spool = Scripted()

    def noting(request: Request, id: str) -> bool:
        seen.append(id)
        return True

    answer = await ask(web(spool, noting), f"/tasks/{id}")
    assert answer.status_code in (403, 404)  # 404 for a line break, which no route matches
    assert (seen, spool.asked) == ([], [])


async def test_a_rule_may_answer_by_itself() -> None:
    def log_in_first(request: Request, id: str) -> bool:
        raise HTTPException(401, "log in first")

    answer = await ask(web(Scripted(), log_in_first), "/tasks/one")
    assert (answer.status_code, answer.json()) == (401, {"detail": "log in first"})


async def test_without_an_application_around_it() -> None:
    app = events(Spooler(Scripted({"one": [Standing("done", 1)]})), allow=Rule())
    assert (await ask(app, "/one")).status_code == 403
    assert parsed((await ask(app, "/one", X_Key="one")).text)[0]["event"] == "end"
    assert (await ask(app, "/one/two", X_Key="one")).status_code == 404
    assert (await ask(app, "/")).status_code == 404


# --- how it begins and ends -----------------------------------------------------------------------------------


async def test_a_browser_that_comes_back_after_the_end_is_told_to_stop() -> None:
    spool = Scripted({"one": [Standing("done", 1)]})
    answer = await ask(web(spool), "/tasks/one", Last_Event_ID="end")
    assert (answer.status_code, answer.content, spool.asked) == (204, b"", [])
    assert (await ask(web(spool, no), "/tasks/one", Last_Event_ID="end")).status_code == 403


async def test_other_methods() -> None:
    spool = Scripted({"one": [Standing("running", 1)]})
    answer = await ask(web(spool), "/tasks/one", "HEAD")
    assert (answer.status_code, answer.content, spool.asked) == (200, b"", [])
    assert (await ask(web(spool), "/tasks/one", "POST")).status_code == 405


class Browser:
    """A client of an ASGI application that can go away; `text` is what has come."""

    def __init__(self, app: Any, path: str) -> None:
        self.app, self.path = app, path
        self.text = ""
        self.got = anyio.Event()
        self.leaves = anyio.Event()

    async def run(self) -> None:
        scope = {
            "type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "path": self.path, "headers": [],
            "query_string": b"", "root_path": "",
        }  # fmt: skip
        await self.app(scope, self.receive, self.send)

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.text += message.get("body", b"").decode()
        if self.text:
            self.got.set()


async def test_who_leaves_is_followed_no_longer() -> None:
    spool = Scripted({"one": [Standing("running", 1)]})
    browser = Browser(web(spool), "/tasks/one")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(browser.run)
            await browser.got.wait()
            assert spool.followed == ["one"]
            browser.leaves.set()
    assert spool.followed == []


async def test_a_client_that_reads_no_more_keeps_nothing_open() -> None:
    """The stream is cancelled while it is sending, not while it waits for news."""
    spool = Scripted({"one": list(RUN)})
    browser = Browser(web(spool), "/tasks/one")
    is_stuck = anyio.Event()

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            is_stuck.set()
            await anyio.sleep_forever()

    browser.send = stuck  # type: ignore[method-assign]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(browser.run)
            await is_stuck.wait()
            browser.leaves.set()
    assert spool.followed == []


async def test_a_long_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.01)
    browser = Browser(web(Scripted({"one": [Standing("running", 1)]})), "/tasks/one")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(browser.run)
            while "\n: " not in browser.text:
                await anyio.sleep(0.005)
            browser.leaves.set()
    assert [event["event"] for event in parsed(browser.text)] == ["state"]


async def test_a_spool_that_cannot_be_used_is_an_answer_not_an_empty_stream() -> None:
    class Gone(Scripted):
        async def open(self) -> None:
            raise SpoolUnusable("/srv/spool is gone")

    app = web(Gone())
    app.add_exception_handler(SpoolUnusable, spool_full)
    assert (await ask(app, "/tasks/one")).status_code == 503


def test_a_spool_that_cannot_tell() -> None:
    class Deaf(Scripted):
        following: Any = None

    with pytest.raises(Unsupported, match="memory: cannot tell"):
        events(Spooler(Deaf()), allow=everybody)


async def test_the_messages_of_another_spool() -> None:
    spooler = Spooler(Scripted(), spools={"other": Scripted({"one": [Standing("done", 1)]})})
    found = parsed((await ask(events(spooler, allow=everybody, spool="other"), "/one")).text)
    assert json.loads(found[0]["data"])["state"] == "done"
    with pytest.raises(UnknownSpool):
        events(spooler, allow=everybody, spool="nowhere")


# --- the real thing -------------------------------------------------------------------------------------------


async def test_a_job_of_a_worker(spooler: Spooler) -> None:
    may_end = anyio.Event()

    @spooler.task(keep_result=60)
    async def bake(job: Job) -> None:
        job.progress(1, 2, "one\nloaf")
        await may_end.wait()

    app = FastAPI()
    app.mount("/tasks", events(spooler, allow=everybody))
    with anyio.fail_after(20):
        async with running(spooler):
            browser = Browser(app, f"/tasks/{(await bake.spool()).id}")
            async with anyio.create_task_group() as group:
                group.start_soon(browser.run)
                while "loaf" not in browser.text:
                    await anyio.sleep(0.005)
                may_end.set()
    found = [(event["event"], json.loads(event["data"])) for event in parsed(browser.text)]
    assert ("end", {"state": "done", "attempt": found[-1][1]["attempt"], "progress": None}) == found[-1]
    assert "one\nloaf" in [data["progress"]["text"] for _, data in found if data["progress"]]


async def test_what_waits_is_seen_to_be_cancelled(spooler: Spooler) -> None:
    @spooler.task(keep_result=60)
    async def bake() -> None: ...

    app = FastAPI()
    app.mount("/tasks", events(spooler, allow=everybody))
    ticket = await bake.using(at=timedelta(hours=1)).spool()
    browser = Browser(app, f"/tasks/{ticket.id}")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(browser.run)
            await browser.got.wait()
            assert await ticket.cancel()
    states = [json.loads(event["data"])["state"] for event in parsed(browser.text)]
    assert (states[0], states[-1]) == ("scheduled", "cancelled")
    await spooler.aclose()


async def test_an_application_under_test(spooler: Spooler) -> None:
    """The application was made before the test put its spools in memory."""

    @spooler.task(keep_result=60)
    async def bake() -> None: ...

    app = FastAPI()
    app.mount("/tasks", events(spooler, allow=everybody))
    with use(spooler) as spool:
        ticket = await bake.spool()
        await drain(spooler)
        assert spool.waiting == []
        found = parsed((await ask(app, f"/tasks/{ticket.id}")).text)
    assert [json.loads(event["data"])["state"] for event in found] == ["done"]
