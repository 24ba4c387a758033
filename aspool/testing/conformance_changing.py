"""What every spool must do that lets tickets cancel and reschedule, as tests: subclass `ChangingConformance`.

As in `conformance`: give it a fixture `spool`, new and empty for each test.
"""

from asyncio import sleep
from collections.abc import Awaitable, Callable

import anyio
import pytest

from .. import clock
from ..ids import new_id
from ..outcomes import Buried, Cancelled, Changes, Done, PutOff
from ..protocol import Follows, Spool, Whereabouts
from ..records import state_of
from .conformance import claimed, message, nothing, put, settle
from .conformance_following import KEPT, served, until, until_state


class ChangingConformance:
    """The suite; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    # --- cancelling ------------------------------------------------------------------------------------------

    async def test_a_waiting_message_is_removed(self, spool: Spool) -> None:
        kinds = [message(), message(due=clock.now() + 1000), message(priority=4), message(id="mine", unique=True)]
        async with served(spool) as here:
            for sent in kinds:
                where = await here.put(sent)
                async with here.tickets.following(sent.id, where) as follower:
                    await follower.look()
                    assert await here.tickets.cancel(sent.id, where)
                    end = await until_state(follower, "cancelled")
                assert end.record is not None
                assert state_of(end.record) == "cancelled"
                assert await here.state(sent.id, where) == "cancelled", "for a while"
                assert not await here.tickets.cancel(sent.id, where), "it is over"
            assert here.cancelled == []
            assert await nothing(spool, clock.now() + 2000)
            await here.put(message(id="mine", unique=True))
            await settle(spool, [await here.claim()], Done())

    async def test_what_is_over_or_was_never_put_cannot_be_cancelled(self, spool: Spool) -> None:
        async with served(spool) as here:
            assert not await here.tickets.cancel(new_id(), None)
            for outcome in (Done(), Done(KEPT), Buried("no")):
                sent = message()
                where = await here.put(sent)
                await settle(spool, [await here.claim()], outcome)
                assert not await here.tickets.cancel(sent.id, where)

    async def test_a_running_job_is_cancelled_by_its_worker(self, spool: Spool) -> None:
        sent = message()
        async with served(spool) as here:
            where = await here.put(sent)
            claim = await here.claim()
            async with here.tickets.following(sent.id, where) as follower:
                assert await here.tickets.cancel(sent.id, where)
                assert here.cancelled == [sent.id]
                assert (await follower.look()).state == "running", "it ends when the worker says so"
                await settle(spool, [claim], Cancelled("somebody wanted it"))
                await until_state(follower, "cancelled")
            assert await here.state(sent.id, where) == "cancelled"

    async def test_an_order_waits_for_the_job_to_begin(self, spool: Spool) -> None:
        sent = message()
        answers: list[bool] = []

        async def cancel() -> None:
            answers.append(await here.tickets.cancel(sent.id, where))

        async with served(spool) as here:
            where = await here.put(sent)
            (claim,) = await claimed(spool, 1)  # and its job has not begun
            async with anyio.create_task_group() as group:
                group.start_soon(cancel)
                await sleep(0.02)
                assert answers == []
                here.running.add(sent.id)
            assert answers == [True]
            await settle(spool, [claim], Cancelled())

    async def test_an_order_is_void_when_the_job_ends_by_itself(self, spool: Spool) -> None:
        await self._ends_by_itself(spool, Done(), answer=False)

    async def test_an_order_is_not_needed_when_the_job_is_put_off(self, spool: Spool) -> None:
        await self._ends_by_itself(spool, PutOff(clock.now() + 1000, 1, 0), answer=True)

    async def _ends_by_itself(self, spool: Spool, outcome: Done | PutOff, *, answer: bool) -> None:
        sent = message()
        answers: list[bool] = []

        async def cancel() -> None:
            answers.append(await here.tickets.cancel(sent.id, where))

        async with served(spool) as here:
            where = await here.put(sent)
            (claim,) = await claimed(spool, 1)
            async with anyio.create_task_group() as group:
                group.start_soon(cancel)
                await sleep(0.01)
                await settle(spool, [claim], outcome)
            assert answers == [answer]
            assert await nothing(spool)
            assert here.cancelled == []

    async def test_a_withdrawn_order_cancels_nothing(self, spool: Spool) -> None:
        sent = message()
        async with served(spool) as here:
            where = await here.put(sent)
            (claim,) = await claimed(spool, 1)
            with anyio.move_on_after(0.05) as scope:
                await here.tickets.cancel(sent.id, where)
            assert scope.cancelled_caught
            await settle(spool, [claim], PutOff(clock.now() - 1, 1, 0))
            claim = await here.claim()
            await here.put(message())
            other = await here.claim()  # a turn of everything that an order would need
            assert here.cancelled == []
            await settle(spool, [claim, other], Done())

    async def test_two_who_cancel_are_both_told(self, spool: Spool) -> None:
        sent = message()
        answers: list[bool] = []

        async def ask(question: Callable[[], Awaitable[bool]]) -> None:
            answers.append(await question())

        async with served(spool) as here:
            where = await here.put(sent)
            claim = await here.claim()
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(ask, lambda: here.tickets.cancel(sent.id, where))
            assert answers == [True, True]
            await settle(spool, [claim], Cancelled())

    # --- rescheduling ----------------------------------------------------------------------------------------

    async def test_another_moment(self, spool: Spool) -> None:
        now = clock.now()
        sent = message(due=now + 1000)
        async with served(spool) as here:
            where = await here.put(sent)
            async with here.tickets.following(sent.id, where) as follower:
                assert (await follower.look()).state == "scheduled"
                assert await here.tickets.reschedule(sent.id, where, now + 2000, None)
                standing = await until(follower, lambda standing: standing.due == pytest.approx(now + 2000))
                assert standing.state == "scheduled"
                assert await nothing(spool, now + 1500)
                assert await here.tickets.reschedule(sent.id, where, now - 5, None)
                await until_state(follower, "waiting")
            claim = await here.claim()
            assert claim.message.due == pytest.approx(now - 5, abs=1e-3)
            await settle(spool, [claim], Done())
            assert await nothing(spool, now + 3000)

    async def test_another_priority(self, spool: Spool) -> None:
        first, second = message(priority=2), message()
        await put(spool, first, second)
        assert isinstance(spool, Follows)
        assert await spool.reschedule(second.id, Whereabouts(second.due, None), None, 1)
        async with served(spool) as here:
            claims = [await here.claim()]
            claims.append(await here.claim())
            assert [claim.message.id for claim in claims] == [second.id, first.id]
            assert [claim.message.priority for claim in claims] == [1, 2]
            await settle(spool, claims, Done())

    async def test_counts_and_changes_move_along(self, spool: Spool) -> None:
        sent = message(id="mine", unique=True)
        async with served(spool) as here:
            await here.put(sent)
            changes = Changes({"page": 1}, 7)
            await settle(spool, [await here.claim()], PutOff(clock.now() + 500, 2, 1, changes=changes))
            assert await here.tickets.reschedule("mine", None, clock.now(), 3)
            assert (await put(spool, sent))[0].duplicate
            claim = await here.claim()
            got = claim.message
            assert (got.attempt, got.crashes, got.priority, got.buffer) == (2, 1, 3, {"page": 1})
            await settle(spool, [claim], Done())
            assert not (await put(spool, sent))[0].duplicate

    async def test_what_runs_or_is_over_stays(self, spool: Spool) -> None:
        sent = message()
        async with served(spool) as here:
            assert not await here.tickets.reschedule(new_id(), None, clock.now(), 1)
            where = await here.put(sent)
            claim = await here.claim()
            assert not await here.tickets.reschedule(sent.id, where, clock.now() + 5, None)
            await settle(spool, [claim], Buried("no"))
            assert not await here.tickets.reschedule(sent.id, where, clock.now() + 5, None)
            assert await nothing(spool, clock.now() + 10)
