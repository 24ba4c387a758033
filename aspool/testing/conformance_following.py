"""What every spool must do that can tell what became of a message, as tests: subclass `FollowingConformance`.

As in `conformance`: give it a fixture `spool`, new and empty for each test. `conformance_changing` has the rest.
"""

import threading
from asyncio import sleep
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from .. import clock
from ..ids import new_id
from ..message import Message
from ..outcomes import Buried, Cancelled, Changes, Done, HandedBack, Kept, PutOff
from ..protocol import (
    Claim,
    Entry,
    Follower,
    Follows,
    KeepsScoreboards,
    Progress,
    Spool,
    Standing,
    Whereabouts,
    WorkerSide,
)
from ..records import cancelled_record, reason_of, state_of
from .conformance import PATIENCE, claimed, message, put, settle

RECORD = b'{"state":"done","value":42}'
KEPT = Kept(RECORD, 60.0)
CANCELLED = Kept(cancelled_record("no more"), 60.0)
DEAD = Kept(b'{"state": "dead", "reason": "no", "traceback": "", "error": null}', 60.0)


class Following:
    """A spool, and the worker that serves it: `running` are the ids whose jobs can be cancelled."""

    def __init__(self, spool: Spool) -> None:
        assert isinstance(spool, Follows), "a spool that cannot follow messages has nothing to conform to"
        self.spool = spool
        self.tickets: Follows = spool
        self.running: set[str] = set()
        self.cancelled: list[str] = []

    def cancel(self, id: str) -> bool:
        """What the worker does with an order."""
        if id in self.running:
            self.cancelled.append(id)
        return id in self.running

    async def put(self, sent: Message) -> Whereabouts:
        """Put a message; where it is."""
        await put(self.spool, sent)
        return Whereabouts(sent.due, sent.priority)

    async def claim(self, now: float | None = None) -> Claim:
        """The next message, whose job begins."""
        (claim,) = await claimed(self.spool, 1, now)
        self.running.add(claim.message.id)
        return claim

    async def state(self, id: str, put: Whereabouts | None = None) -> str:
        """How a message stands, asked anew."""
        async with self.tickets.following(id, put) as follower:
            return (await follower.look()).state


@asynccontextmanager
async def served(spool: Spool) -> AsyncIterator[Following]:
    """The spool, open for claiming and for questions."""
    following = Following(spool)
    with anyio.fail_after(PATIENCE):
        async with spool.serving(WorkerSide(lambda: 0.2, cancel=following.cancel)):
            yield following


async def until(follower: Follower, fits: Callable[[Standing], bool]) -> Standing:
    """How it stands as soon as that fits."""
    with anyio.fail_after(PATIENCE):
        while not fits(standing := await follower.look()):
            assert not standing.is_over, standing
            await follower.changed()
    return standing


async def until_state(follower: Follower, state: str) -> Standing:
    """How it stands as soon as that is its state."""
    return await until(follower, lambda standing: standing.state == state)


class FollowingConformance:
    """The suite; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    # --- how it stands ---------------------------------------------------------------------------------------

    async def test_what_was_never_put_is_unknown(self, spool: Spool) -> None:
        async with served(spool) as here:
            assert await here.state(new_id()) == "unknown"
            assert await here.state(new_id(), Whereabouts(clock.now(), 5)) == "unknown"

    async def test_from_waiting_to_the_end(self, spool: Spool) -> None:
        sent = message()
        async with served(spool) as here:
            where = await here.put(sent)
            async with here.tickets.following(sent.id, where) as follower:
                first = await follower.look()
                assert (first.state, first.attempt) == ("waiting", 1)
                assert first.due == pytest.approx(sent.due, abs=1e-5)
                claim = await here.claim()
                assert (await until_state(follower, "running")).attempt == 1
                await settle(spool, [claim], PutOff(clock.now() - 1, attempt=1, crashes=0))
                assert (await until_state(follower, "retrying")).attempt == 2
                claim = await here.claim()
                assert (await until_state(follower, "running")).attempt == 2
                await settle(spool, [claim], HandedBack())
                await until_state(follower, "retrying")
                await settle(spool, [await here.claim()], Done(KEPT))
                end = await until_state(follower, "done")
                assert end.record == RECORD

    async def test_it_is_found_by_its_id_alone_wherever_it_is(self, spool: Spool) -> None:
        sent = [message(priority=7), message(priority=3), message(due=clock.now() + 1000)]
        async with served(spool) as here:
            for one in sent:
                await here.put(one)
            assert [await here.state(one.id) for one in sent] == ["waiting", "waiting", "scheduled"]
            claims = [await here.claim(), await here.claim()]
            assert [await here.state(one.id) for one in sent] == ["running", "running", "scheduled"]
            await settle(spool, claims, PutOff(clock.now() + 500, attempt=1, crashes=1))
            assert [await here.state(one.id) for one in sent] == ["retrying", "retrying", "scheduled"]

    async def test_scheduled_becomes_waiting_when_it_is_due(self, spool: Spool) -> None:
        sent = message(due=clock.now() + 0.3)
        async with served(spool) as here:
            async with here.tickets.following(sent.id, await here.put(sent)) as follower:
                assert (await follower.look()).state == "scheduled"
                await until_state(follower, "waiting")
            await settle(spool, [await here.claim()], Done())

    async def test_the_dead_are_dead(self, spool: Spool) -> None:
        async with served(spool) as here:
            sent = message()
            where = await here.put(sent)
            async with here.tickets.following(sent.id, where) as follower:
                assert (await follower.look()).state == "waiting"
                await settle(spool, [await here.claim()], Buried("it had enough", attempt=4))
                assert reason_of((await until_state(follower, "dead")).record) == "it had enough"
            assert await here.state(sent.id, where) == await here.state(sent.id) == "dead"

    async def test_without_a_record_only_who_watched_knows_the_end(self, spool: Spool) -> None:
        sent = message()
        async with served(spool) as here:
            where = await here.put(sent)
            async with here.tickets.following(sent.id, where) as follower:
                await follower.look()
                await settle(spool, [await here.claim()], Done())
                end = await until_state(follower, "done")
                assert end.record is None
            assert await here.state(sent.id, where) == "unknown"

    async def test_progress_is_seen(self, spool: Spool) -> None:
        if not isinstance(spool, KeepsScoreboards):
            pytest.skip("this spool keeps no scoreboards")
        sent = message()
        async with served(spool) as here:
            board = spool.scoreboard(2)
            async with here.tickets.following(sent.id, await here.put(sent)) as follower:
                claim = await here.claim()
                entry = Entry(sent.id, "tests.task", 1, clock.now())
                seat = board.take(entry)
                board.write(seat, entry)
                assert (await until_state(follower, "running")).progress is None, "it has told nothing"
                for done in (1.0, 2.0):
                    entry.got_on(Progress(done, 2.0, "halfway"))
                    board.write(seat, entry)
                    told = Progress(done, 2.0, "halfway")
                    await until(follower, lambda standing, told=told: standing.progress == told)  # type: ignore[misc]
                assert [shown.id for one in spool.boards() for shown in one.entries] == [sent.id]
                board.free(seat)
                await settle(spool, [claim], Done(KEPT))
                assert (await until_state(follower, "done")).progress is None
            board.close()
            assert spool.boards() == []

    async def test_many_followers_of_many_messages(self, spool: Spool) -> None:
        sent = [message() for _ in range(60)]
        ends: list[Standing] = []

        async def follow(one: Message, where: Whereabouts | None) -> None:
            async with here.tickets.following(one.id, where) as follower:
                ends.append(await until_state(follower, "done"))

        async with served(spool) as here:
            await put(spool, *sent)
            async with anyio.create_task_group() as group:
                for one in sent:
                    group.start_soon(follow, one, Whereabouts(one.due, None))
                    group.start_soon(follow, one, None)
                await sleep(0)
                for claim in await claimed(spool, len(sent)):
                    await settle(spool, [claim], Done(KEPT))
        assert [end.record for end in ends] == [RECORD] * 120

    async def test_followed_from_another_event_loop(self, spool: Spool) -> None:
        sent = message()
        seen: list[str] = []
        looked = threading.Event()

        async def follow(where: Whereabouts) -> None:
            async with here.tickets.following(sent.id, where) as follower:
                while not (standing := await follower.look()).is_over:
                    seen.append(standing.state)
                    looked.set()
                    await follower.changed()
                seen.append(standing.state)

        async with served(spool) as here:
            where = await here.put(sent)
            thread = threading.Thread(target=anyio.run, args=(follow, where))
            thread.start()
            await anyio.to_thread.run_sync(looked.wait)
            claim = await here.claim()
            looked.clear()
            while "running" not in seen:
                await anyio.to_thread.run_sync(looked.wait)
                looked.clear()
            await settle(spool, [claim], Done(KEPT))
            await anyio.to_thread.run_sync(thread.join)
        assert sorted(set(seen), key=seen.index) == ["waiting", "running", "done"]

    # --- what is kept ----------------------------------------------------------------------------------------

    async def test_ends_are_kept_for_their_time(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        outcomes: list[Done | Cancelled | Buried] = [
            Done(KEPT),
            Cancelled("no more", Kept(cancelled_record("no more"), 60.0)),
            Buried("no", kept=DEAD),
        ]
        async with served(spool) as here:
            for outcome in outcomes:
                sent = message()
                await here.put(sent)
                await settle(spool, [await here.claim()], outcome)
                assert outcome.kept is not None
                async with here.tickets.following(sent.id, None) as follower:
                    end = await follower.look()
                    assert (end.state, end.record) == (state_of(outcome.kept.record), outcome.kept.record)
                    assert end.is_over
                now = clock.now()
                monkeypatch.setattr(clock, "now", lambda now=now: now + 61)
                assert await here.state(sent.id) == ("dead" if isinstance(outcome, Buried) else "unknown")
                monkeypatch.undo()

    async def test_a_new_message_has_nothing_of_an_earlier_one_with_its_id(self, spool: Spool) -> None:
        sent = message(id="daily", unique=True)
        async with served(spool) as here:
            await here.put(sent)
            await settle(spool, [await here.claim()], PutOff(clock.now() - 1, 1, 0, changes=Changes({"old": 1}, 9)))
            await settle(spool, [await here.claim()], Done(KEPT))
            assert await here.state("daily") == "done"
            await here.put(sent)
            assert await here.state("daily") == "waiting"
            await settle(spool, [await here.claim()], PutOff(clock.now() - 1, 1, 0))
            claim = await here.claim()
            assert (claim.message.buffer, claim.message.options) == ({}, {})
            await settle(spool, [claim], Done())
            assert await here.state("daily") == "unknown"

    # --- what a job changes ----------------------------------------------------------------------------------

    async def test_changes_are_there_in_the_next_run(self, spool: Spool) -> None:
        sent = message(buffer={"given": True}, options={"retries": 2, "harakiri": 9})
        async with served(spool) as here:
            await here.put(sent)
            claim = await here.claim()
            assert claim.message.buffer == {"given": True}
            runs = [
                (Changes({"page": 1}, 7), {"page": 1}, 7),
                (None, {"page": 1}, 7),  # nothing changed
                (Changes({"page": 2, "text": "é\n\u2028"}), {"page": 2, "text": "é\n\u2028"}, 7),  # nor the retries
                (Changes({}, 0), {}, 0),
            ]
            for attempt, (changes, buffer, retries) in enumerate(runs, 1):
                await settle(spool, [claim], PutOff(clock.now() - 1, attempt, 0, changes=changes))
                claim = await here.claim()
                assert (claim.message.attempt, claim.message.buffer) == (attempt, buffer)
                assert claim.message.options == {"retries": retries, "harakiri": 9}
                await settle(spool, [claim], HandedBack())
                claim = await here.claim()
                assert (claim.message.attempt, claim.message.buffer) == (attempt, buffer)
            await settle(spool, [claim], Done())
