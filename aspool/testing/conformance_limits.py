"""What a spool must do that can hold messages back: limits of tasks, unknown tasks, pauses, bounds, strict order.

Used as `conformance.SpoolConformance`. A spool that cannot be paused skips those tests.

    class TestMySpool(LimitsConformance):
        def make(self, path, **options): return MySpool(path, **options)
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from ..errors import CallError, SpoolFull
from ..message import Message
from ..outcomes import Buried, Done, HandedBack, PutOff
from ..protocol import Pauses, Spool, WorkerSide
from .conformance import PATIENCE, claimed, message, nothing, put, settle

FREQUENCY = 0.2  # seconds


@asynccontextmanager
async def served_with(spool: Spool, limits: Mapping[str | None, float]) -> AsyncIterator[Spool]:
    """The spool, open for a worker that has these limits and knows no other tasks."""
    with anyio.fail_after(PATIENCE):
        async with spool.serving(WorkerSide(lambda: FREQUENCY, lambda task: limits.get(task, 0))):
            yield spool


async def ids(spool: Spool, count: int) -> list[str]:
    """The ids of so many messages, which are done at once."""
    found = []
    for _ in range(count):
        claims = await claimed(spool, 1)
        found += [claim.message.id for claim in claims]
        await settle(spool, claims, Done())
    return found


async def pausing(spool: Spool) -> Pauses:
    """A spool that can be paused."""
    if not isinstance(spool, Pauses):
        pytest.skip("this spool cannot be paused")
    return spool


async def put_once_there_is_room(spool: Spool, sent: Message) -> None:
    """A spool may see a little late that there is: on a slow disk it does not count at every put."""
    with anyio.fail_after(PATIENCE):
        while isinstance((await spool.put([sent]))[0], SpoolFull):
            await spool.wait(0.01)


class LimitsConformance(ABC):
    """The suite; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    @abstractmethod
    def make(self, path: Path, **options: Any) -> Spool:
        """A spool that is new and empty, with these options."""

    @pytest.fixture
    def spool(self, tmp_path: Path) -> Spool:
        return self.make(tmp_path)

    # --- limits ----------------------------------------------------------------------------------------------

    async def test_so_many_jobs_of_a_task_and_all_of_another(self, spool: Spool) -> None:
        await put(spool, *[message(task="few") for _ in range(5)], *[message(task="many") for _ in range(5)])
        async with served_with(spool, {"few": 2, "many": math.inf}):
            claims = await claimed(spool, 7)
            assert sorted(str(claim.message.task) for claim in claims) == ["few"] * 2 + ["many"] * 5
            assert await nothing(spool)
            assert spool.next_due() is None
            assert spool.has_looked
            await settle(spool, claims, Done())
            more = await claimed(spool, 2)
            assert await nothing(spool)
            await settle(spool, more, Done())
            await settle(spool, await claimed(spool, 1), Done())
            assert await nothing(spool)

    @pytest.mark.parametrize(
        "outcome", [Done(), Buried("no"), HandedBack(), PutOff(4e9, 1, 0)], ids=lambda o: type(o).__name__
    )
    async def test_every_end_of_a_job_lets_the_next_begin(self, spool: Spool, outcome: Any) -> None:
        await put(spool, message(task="one"), message(task="one"))
        async with served_with(spool, {"one": 1}):
            claims = await claimed(spool, 1)
            assert await nothing(spool)
            await settle(spool, claims, outcome)
            await settle(spool, await claimed(spool, 1), Done())

    async def test_they_begin_in_the_order_of_work(self, spool: Spool) -> None:
        now = time.time()
        sent = [message(task="one", due=now - 9 + at, priority=(None, 7)[at % 2]) for at in range(6)]
        await put(spool, *sent)
        async with served_with(spool, {"one": 1}):
            first = await claimed(spool, 1)  # the others are tried, and wait
            assert await nothing(spool)
            await settle(spool, first, Done())
            order = [first[0].message.id, *await ids(spool, 5)]
        assert order == [sent[at].id for at in (1, 3, 5, 0, 2, 4)]

    async def test_a_raw_message_has_the_limit_of_its_handler(self, spool: Spool) -> None:
        await put(spool, *[message(task=None, arguments=b"", raw={b"a": b"b"}) for _ in range(3)])
        async with served_with(spool, {None: 1}):
            for _ in range(3):
                claims = await claimed(spool, 1)
                assert await nothing(spool)
                await settle(spool, claims, Done())

    async def test_waiting_ends_when_a_job_of_the_task_ends(self, spool: Spool) -> None:
        await put(spool, message(task="one"), message(task="one"))
        async with served_with(spool, {"one": 1}):
            claims = await claimed(spool, 1)
            assert await nothing(spool)
            async with anyio.create_task_group() as group:
                group.start_soon(settle, spool, claims, Done())
                while not (claims := [*await spool.claim(1, time.time())]):
                    await spool.wait(PATIENCE)
            await settle(spool, claims, Done())

    async def test_a_limit_may_change(self, spool: Spool) -> None:
        limits: dict[str | None, float] = {"one": 1.0}
        await put(spool, *[message(task="one") for _ in range(6)])
        async with served_with(spool, limits):
            claims = await claimed(spool, 1)
            assert await nothing(spool)
            limits["one"] = 3
            await settle(spool, claims, Done())
            claims = await claimed(spool, 3)
            assert await nothing(spool)
            limits["one"] = math.inf
            await settle(spool, claims, Done())
            await settle(spool, await claimed(spool, 2), Done())

    # --- unknown tasks ---------------------------------------------------------------------------------------

    async def test_an_unknown_task_is_left_alone_and_holds_nobody_up(self, spool: Spool) -> None:
        sent = message(task="strange", attempt=0)
        await put(spool, sent, message(task="known"))
        async with served_with(spool, {"known": math.inf}):
            (claim,) = await claimed(spool, 1)
            assert claim.message.task == "known"
            await settle(spool, [claim], Done())
            assert await nothing(spool)
            due = spool.next_due()
            assert due is None or due > time.time() + 20
        async with served_with(spool, {"strange": math.inf}):
            (claim,) = await claimed(spool, 1)
            assert (claim.message.attempt, claim.message.crashes) == (0, 0)
            assert claim.message.due == pytest.approx(sent.due, abs=1e-5)
            await settle(spool, [claim], Done())

    async def test_an_unknown_task_is_looked_at_again(self, spool: Spool) -> None:
        limits: dict[str | None, float] = {}
        await put(spool, message(task="later"))
        async with served_with(spool, limits):
            assert await nothing(spool)
            limits["later"] = math.inf
            assert await nothing(spool)
            await settle(spool, await claimed(spool, 1, time.time() + 31), Done())

    # --- pauses ----------------------------------------------------------------------------------------------

    async def test_a_paused_task_waits_and_the_others_run(self, spool: Spool) -> None:
        pauses = await pausing(spool)
        await pauses.pause("quiet")
        assert await pauses.paused() == {"quiet"}
        await put(spool, message(task="quiet"), message(task="loud"), message(task="quiet"))
        async with served_with(spool, {"quiet": math.inf, "loud": math.inf}):
            (claim,) = await claimed(spool, 1)
            assert claim.message.task == "loud"
            await settle(spool, [claim], Done())
            assert await nothing(spool)
            assert spool.next_due() is None
            await pauses.resume("quiet")
            await settle(spool, await claimed(spool, 2), Done())
        assert await pauses.paused() == frozenset()

    async def test_a_paused_spool_takes_messages_and_begins_none(self, spool: Spool) -> None:
        pauses = await pausing(spool)
        await put(spool, message(task="t"), message(task="t"))
        async with served_with(spool, {"t": math.inf}):
            claims = await claimed(spool, 1)
            await pauses.pause(None)
            await pauses.pause(None)
            assert await pauses.paused() == {None}
            await spool.wait(2 * FREQUENCY)
            await put(spool, message(task="t"))
            assert await nothing(spool)
            assert spool.next_due() is None
            assert spool.has_looked
            await settle(spool, claims, Done())
            assert await nothing(spool)
            async with anyio.create_task_group() as group:
                group.start_soon(pauses.resume, None)
                while not (claims := [*await spool.claim(1, time.time())]):
                    await spool.wait(PATIENCE)
            await settle(spool, [*claims, *await claimed(spool, 1)], Done())

    async def test_a_pause_survives_the_worker(self, spool: Spool) -> None:
        pauses = await pausing(spool)
        async with served_with(spool, {"t": math.inf}):
            await pauses.pause("t")
            await pauses.pause(None)
            await pauses.resume("another")
        await spool.aclose()
        await put(spool, message(task="t"))
        async with served_with(spool, {"t": math.inf}):
            assert await nothing(spool)
            await pauses.resume(None)
            assert await nothing(spool)
            await pauses.resume("t")
            await settle(spool, await claimed(spool, 1), Done())

    async def test_names_of_any_form_can_be_paused(self, spool: Spool) -> None:
        pauses = await pausing(spool)
        names = {"a/../b", "größer", ".", "spool", "x" * 200, "y" * 199 + "/", "\n"}
        for name in names:
            await pauses.pause(name)
        assert await pauses.paused() == names
        for name in names:
            await pauses.resume(name)
        assert await pauses.paused() == frozenset()

    # --- bounds ----------------------------------------------------------------------------------------------

    async def test_a_bounded_spool_refuses_what_does_not_fit(self, tmp_path: Path) -> None:
        spool = self.make(tmp_path, max_waiting=10)
        answers = await spool.put([message(task="t", priority=(None, 3)[at % 2]) for at in range(11)])
        assert [isinstance(answer, SpoolFull) for answer in answers] == [False] * 10 + [True]
        assert "10" in str(answers[-1])
        async with served_with(spool, {"t": math.inf}):
            claims = await claimed(spool, 3)
            assert isinstance((await spool.put([message(task="t")]))[0], SpoolFull), "running ones count"
            await settle(spool, claims[:1], Done())
            await settle(spool, claims[1:2], PutOff(time.time() + 1000, 1, 0))
            await put_once_there_is_room(spool, message(task="t", due=time.time() + 100))
            assert isinstance((await spool.put([message(task="t")]))[0], SpoolFull), "what is put off counts"
            await settle(spool, claims[2:], Buried("no"))
            await put_once_there_is_room(spool, message(task="t"))
            assert isinstance((await spool.put([message(task="t")]))[0], SpoolFull), "dead ones alone do not count"

    async def test_a_duplicate_needs_no_room(self, tmp_path: Path) -> None:
        spool = self.make(tmp_path, max_waiting=1)
        (stored,) = await put(spool, message(id="same", unique=True))
        assert not stored.duplicate
        (stored,) = await put(spool, message(id="same", unique=True))
        assert stored.duplicate
        assert isinstance((await spool.put([message(id="other", unique=True)]))[0], SpoolFull)

    # --- strict order ----------------------------------------------------------------------------------------

    async def test_an_ordered_spool_runs_one_after_another(self, tmp_path: Path) -> None:
        spool = self.make(tmp_path, ordered=True)
        assert spool.concurrency == 1
        now = time.time()
        sent = [
            message(task="t", due=now - 9, priority=5),
            message(task="t", due=now - 5),
            message(task="t", due=now - 7),
        ]
        await put(spool, *sent)
        async with served_with(spool, {"t": math.inf}):
            first = await claimed(spool, 1)
            assert await nothing(spool)
            assert spool.next_due() is None
            await settle(spool, first, Done())
            order = [first[0].message.id, *await ids(spool, 2)]
            assert await nothing(spool)
        assert order == [sent[0].id, sent[2].id, sent[1].id]

    async def test_what_is_put_off_gives_way_and_what_is_handed_back_does_not(self, tmp_path: Path) -> None:
        spool = self.make(tmp_path, ordered=True)
        now = time.time()
        sent = [message(task="t", due=now - 9 + at) for at in range(3)]
        await put(spool, *sent)
        async with served_with(spool, {"t": math.inf}):
            claims = await claimed(spool, 1)
            await settle(spool, claims, HandedBack())
            claims = await claimed(spool, 1)
            assert claims[0].message.id == sent[0].id
            await settle(spool, claims, PutOff(now + 1000, 1, 0))
            assert await ids(spool, 2) == [sent[1].id, sent[2].id]
            assert await nothing(spool)

    def test_options_that_cannot_be(self, tmp_path: Path) -> None:
        for options in ({"concurrency": 0}, {"concurrency": 2, "ordered": True}, {"max_waiting": 0}):
            with pytest.raises(CallError):
                self.make(tmp_path, **options)
