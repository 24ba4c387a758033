"""The entrance of a memory spool: what waits there is seen, cancelled and woken like any other message."""

import time

import anyio
import pytest

from aspool import MemorySpool
from aspool.outcomes import Done, HandedBack
from aspool.testing.conformance import PATIENCE, claimed, message, nothing, put, settle
from aspool.testing.conformance_limits import served_with

pytestmark = pytest.mark.anyio


async def test_what_waits_is_shown_in_the_order_of_work() -> None:
    spool = MemorySpool()
    now = time.time()
    sent = [message(task=("one", "strange")[at % 2], due=now - 9 + at) for at in range(6)]
    await put(spool, *sent)
    async with served_with(spool, {"one": 1}):
        claims = await claimed(spool, 1)
        assert await nothing(spool)
        assert [waiting.id for waiting in spool.messages()] == [one.id for one in sent[1:]]
        await settle(spool, claims, Done())


async def test_a_message_that_waits_for_its_limit_can_be_cancelled_and_moved() -> None:
    spool = MemorySpool()
    now = time.time()
    first, second, third = (message(task="one", due=now - 9 + at) for at in range(3))
    await put(spool, first, second, third)
    async with served_with(spool, {"one": 1}):
        claims = await claimed(spool, 1)
        assert await nothing(spool)
        assert await spool.cancel(second.id, None)
        assert await spool.reschedule(third.id, None, now + 1000, None)
        await settle(spool, claims, Done())
        assert await nothing(spool)
        await settle(spool, await claimed(spool, 1, now + 1001), Done())
        assert spool.messages() == []


async def test_another_thread_resumes_it() -> None:
    spool = MemorySpool()
    await spool.pause(None)
    await put(spool, message(task="t"))
    async with served_with(spool, {"t": 1}), anyio.create_task_group() as group:
        assert await nothing(spool)
        group.start_soon(anyio.to_thread.run_sync, lambda: anyio.run(spool.resume, None))
        while not (claims := list(await spool.claim(1, time.time()))):
            await spool.wait(PATIENCE)
        await settle(spool, claims, Done())


async def test_what_is_handed_back_keeps_its_place() -> None:
    spool = MemorySpool(ordered=True)
    due = time.time()
    sent = [message(task="t", due=due) for _ in range(3)]
    await put(spool, *sent)
    async with served_with(spool, {"t": 1}):
        await settle(spool, await claimed(spool, 1), HandedBack())
        order = []
        for _ in sent:
            claims = await claimed(spool, 1)
            order.append(claims[0].message.id)
            await settle(spool, claims, Done())
    assert order == [one.id for one in sent]
