"""What every spool must do, as tests: subclass `SpoolConformance` and give it a fixture `spool`.

    class TestMySpool(SpoolConformance):
        @pytest.fixture
        def spool(self): return MySpool(...)

The spool must be new and empty for each test. Needs pytest with anyio's plugin.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from ..body import Body
from ..ids import new_id
from ..message import Message
from ..outcomes import Buried, Done, HandedBack, Outcome, PutOff
from ..protocol import Claim, Leaves, PutsBlocking, Spool, Stored, WorkerSide

PATIENCE = 10.0  # seconds that a spool may take for anything


def message(**changes: Any) -> Message:
    """A message that is due now."""
    now = time.time()
    given: dict[str, Any] = {"id": new_id(), "task": "tests.task", "arguments": b'{"n":1}', "spooled": now, "due": now}
    return Message(**(given | changes))


@asynccontextmanager
async def served(spool: Spool) -> AsyncIterator[Spool]:
    """The spool, open for claiming."""
    with anyio.fail_after(PATIENCE):
        async with spool.serving(WorkerSide(lambda: 0.2)):
            yield spool


async def claimed(spool: Spool, count: int, now: float | None = None) -> list[Claim]:
    """Exactly `count` claims; waits for them."""
    claims: list[Claim] = []
    with anyio.fail_after(PATIENCE):
        while len(claims) < count:
            more = await spool.claim(count - len(claims), time.time() if now is None else now)
            claims += more
            if not more:
                await spool.wait(0.05)
    return claims


async def nothing(spool: Spool, now: float | None = None) -> bool:
    """Whether there is nothing to claim, also at a second look."""
    for look in range(3):
        if look:
            await spool.wait(0.01)
        if await spool.claim(10, time.time() if now is None else now):
            return False
    return True


async def settle(spool: Spool, claims: Sequence[Claim], outcome: Outcome) -> None:
    """One outcome for all."""
    await spool.finish([(claim, outcome) for claim in claims])


async def put(spool: Spool, *messages: Message) -> list[Stored]:
    """Put messages that must all be accepted."""
    answers = await spool.put(messages)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert not refused, refused
    return [answer for answer in answers if isinstance(answer, Stored)]


class SpoolConformance:
    """The suite; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    async def test_what_is_put_is_claimed_whole(self, spool: Spool) -> None:
        sent = message(options={"retries": 5}, priority=3, expires=4e9, body=Body(b"body"))
        (stored,) = await put(spool, sent)
        assert (stored.id, stored.duplicate) == (sent.id, False)
        async with served(spool):
            (claim,) = await claimed(spool, 1)
            got = claim.message
            assert (got.id, got.task, got.arguments) == (sent.id, sent.task, sent.arguments)
            assert (got.options, got.priority, got.expires) == ({"retries": 5}, 3, 4e9)
            assert got.due == pytest.approx(sent.due, abs=1e-5)
            assert (got.attempt, got.crashes, claim.crashed) == (0, 0, False)
            assert await claim.body.read() == b"body"
            await settle(spool, [claim], Done())

    async def test_raw_variables_travel(self, spool: Spool) -> None:
        raw = {b"ToGroup": b"customers", b"latin1": b"\xe9", b"empty": b""}
        await put(spool, message(task=None, arguments=b"", raw=raw))
        async with served(spool):
            (claim,) = await claimed(spool, 1)
            assert dict(claim.message.raw) == raw
            assert claim.message.task is None
            await settle(spool, [claim], Done())

    async def test_large_arguments_travel(self, spool: Spool) -> None:
        arguments = b'{"text":"' + b"x" * 200_000 + b'"}'
        await put(spool, message(arguments=arguments, body=Body(b"after them")))
        async with served(spool):
            (claim,) = await claimed(spool, 1)
            assert claim.message.arguments == arguments
            assert await claim.body.read() == b"after them"
            await settle(spool, [claim], Done())

    async def test_done_is_gone(self, spool: Spool) -> None:
        await put(spool, message(), message())
        async with served(spool):
            await settle(spool, await claimed(spool, 2), Done())
            assert await nothing(spool)
        async with served(spool):
            assert await nothing(spool)

    async def test_a_claimed_message_is_nobody_elses(self, spool: Spool) -> None:
        await put(spool, message())
        async with served(spool):
            claims = await claimed(spool, 1)
            assert await nothing(spool)
            await settle(spool, claims, Done())

    async def test_never_more_than_the_limit(self, spool: Spool) -> None:
        await put(spool, *[message() for _ in range(10)])
        async with served(spool):
            first = await claimed(spool, 1)
            claims = await spool.claim(3, time.time())
            assert len(claims) <= 3
            await settle(spool, [*first, *claims, *await claimed(spool, 9 - len(claims))], Done())

    async def test_not_before_it_is_due(self, spool: Spool) -> None:
        due = time.time() + 1000
        await put(spool, message(due=due))
        async with served(spool):
            assert await nothing(spool, due - 1)
            known = spool.next_due()
            assert known is not None
            assert known == pytest.approx(due, abs=1)
            await settle(spool, await claimed(spool, 1, due + 2), Done())

    async def test_priorities_come_first_then_due_moments(self, spool: Spool) -> None:
        now = time.time()
        sent = [message(due=now - 5), message(priority=10), message(due=now - 9), message(priority=2)]
        await put(spool, *sent)
        async with served(spool):
            await spool.wait(0.2)
            claims = []
            for _ in sent:
                claims += await claimed(spool, 1)
            order = [sent.index(next(m for m in sent if m.id == claim.message.id)) for claim in claims]
            assert order == [3, 1, 2, 0]
            await settle(spool, claims, Done())

    async def test_put_off_comes_back_with_its_counts(self, spool: Spool) -> None:
        await put(spool, message(priority=4, body=Body(b"kept")))
        async with served(spool):
            due = time.time() + 500
            await settle(spool, await claimed(spool, 1), PutOff(due, attempt=1, crashes=2))
            assert await nothing(spool, due - 5)
            (claim,) = await claimed(spool, 1, due + 2)
            assert (claim.message.attempt, claim.message.crashes, claim.message.priority) == (1, 2, 4)
            assert claim.message.due == pytest.approx(due, abs=1e-3)
            assert not claim.crashed
            assert await claim.body.read() == b"kept"
            await settle(spool, [claim], Done())

    async def test_handed_back_is_free_at_once_and_uncharged(self, spool: Spool) -> None:
        await put(spool, message())
        async with served(spool):
            await settle(spool, await claimed(spool, 1), HandedBack())
            (claim,) = await claimed(spool, 1)
            assert (claim.message.attempt, claim.message.crashes, claim.crashed) == (0, 0, False)
            await settle(spool, [claim], Done())

    async def test_buried_never_comes_back(self, spool: Spool) -> None:
        await put(spool, message())
        async with served(spool):
            await settle(spool, await claimed(spool, 1), Buried("it had enough", "Traceback …"))
            assert await nothing(spool, time.time() + 1e6)

    async def test_an_id_of_the_callers_waits_only_once(self, spool: Spool) -> None:
        first, second = message(id="welcome-42", unique=True), message(id="welcome-42", unique=True)
        assert [answer.duplicate for answer in await put(spool, first, second)] == [False, True]
        async with served(spool):
            claims = await claimed(spool, 1)
            assert (await put(spool, second))[0].duplicate, "it still runs"
            await settle(spool, claims, Done())
            assert not (await put(spool, second))[0].duplicate, "it is finished"
            await settle(spool, await claimed(spool, 1), Buried("no"))
            assert not (await put(spool, second))[0].duplicate, "it is buried"
            await settle(spool, await claimed(spool, 1), PutOff(time.time() - 1, 1, 0))
            assert (await put(spool, second))[0].duplicate, "it waits for its retry"
            await settle(spool, await claimed(spool, 1), Done())
            assert await nothing(spool)

    async def test_waiting_ends_when_something_is_put(self, spool: Spool) -> None:
        async with served(spool):
            assert await nothing(spool)
            async with anyio.create_task_group() as group:
                group.start_soon(put, spool, message())
                started = time.monotonic()
                while not (claims := await spool.claim(1, time.time())):
                    await spool.wait(PATIENCE)
                assert time.monotonic() - started < PATIENCE / 2
                await settle(spool, claims, Done())

    async def test_waiting_ends_at_its_time(self, spool: Spool) -> None:
        async with served(spool):
            await nothing(spool)
            with anyio.fail_after(PATIENCE / 2):
                await spool.wait(0.01)

    async def test_bodies_of_every_source(self, spool: Spool, tmp_path: Any) -> None:
        path = tmp_path / "source"
        path.write_bytes(b"0123456789" * 100_000)

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"0123456789" * 10_000

        with path.open("rb") as file:
            sent = [message(body=Body(source)) for source in (path.read_bytes(), path, file, pieces())]
            await put(spool, *sent)
        async with served(spool):
            claims = await claimed(spool, len(sent))
            for claim in claims:
                assert claim.body.size == 1_000_000
                assert b"".join([chunk async for chunk in claim.body]) == path.read_bytes()
                claim.body.file.seek(-3, 2)
                assert claim.body.file.read() == b"789"
                claim.body.close()
                await claim.body.save(tmp_path / "copy")
                assert (tmp_path / "copy").read_bytes() == path.read_bytes()
            await settle(spool, claims, Done())

    async def test_a_body_that_fails_refuses_its_message_alone(self, spool: Spool) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"some"
            raise OSError("the upload was cut")

        answers = await spool.put([message(), message(body=Body(broken())), message()])
        assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
        async with served(spool):
            await settle(spool, await claimed(spool, 2), Done())
            assert await nothing(spool)

    async def test_many_at_once(self, spool: Spool) -> None:
        sent = [message() for _ in range(300)]
        async with anyio.create_task_group() as group:
            for start in range(0, 300, 30):
                group.start_soon(put, spool, *sent[start : start + 30])
        async with served(spool):
            claims = await claimed(spool, 300)
            assert {claim.message.id for claim in claims} == {one.id for one in sent}
            await settle(spool, claims, Done())
            assert await nothing(spool)

    async def test_putting_without_an_event_loop(self, spool: Spool) -> None:
        if not isinstance(spool, PutsBlocking):
            pytest.skip("this spool needs an event loop to be written to")
        async with served(spool):
            answers = await anyio.to_thread.run_sync(spool.put_blocking, [message(body=Body(b"abc"))])
            assert isinstance(answers[0], Stored)
            (claim,) = await claimed(spool, 1)
            assert await claim.body.read() == b"abc"
            await settle(spool, [claim], Done())

    async def test_a_worker_that_leaves_settles_all_and_lets_go_of_nothing(self, spool: Spool) -> None:
        if not isinstance(spool, Leaves):
            pytest.skip("this spool has no `leave`")
        await put(spool, *[message() for _ in range(5)])
        async with served(spool):
            done, dead, later, held, waiting = await claimed(spool, 5)
            due = time.time() - 1
            told: list[tuple[Claim, Outcome]] = [
                (done, Done()),
                (dead, Buried("it had enough")),
                (later, PutOff(due, 1, 0)),
                (held, HandedBack()),
            ]
            await anyio.to_thread.run_sync(spool.leave, told)
            assert await nothing(spool), "until the process has ended, nobody may have them"
            spool.leave([(done, HandedBack())])
            await settle(spool, [waiting, held], Done())
            assert await nothing(spool, time.time() + 1e6), "what comes after it changes nothing"

    async def test_it_opens_again_after_it_was_closed(self, spool: Spool) -> None:
        await spool.open()
        await put(spool, message())
        await spool.aclose()
        async with served(spool):
            await settle(spool, await claimed(spool, 1), Done())
        await spool.aclose()
