"""What the memory spool has of its own: threads, and the end of what it keeps."""

import os
import pickle

import anyio
import pytest

from aspool import MemorySpool, clock
from aspool.outcomes import Cancelled, Done, Kept
from aspool.protocol import Entry, Follows, KeepsScoreboards, Progress
from aspool.spools import ledger
from aspool.testing.conformance import message, nothing, put, settle
from aspool.testing.conformance_following import RECORD, served

pytestmark = pytest.mark.anyio


def test_what_it_can() -> None:
    assert isinstance(MemorySpool(), Follows)
    assert isinstance(MemorySpool(), KeepsScoreboards)


async def test_a_running_job_is_cancelled_from_another_thread() -> None:
    spool = MemorySpool()
    sent = message()
    await put(spool, sent)
    async with served(spool) as here:
        claim = await here.claim()
        assert await anyio.to_thread.run_sync(anyio.run, spool.cancel, sent.id, None)
        assert here.cancelled == [sent.id]
        await settle(spool, [claim], Cancelled())


async def test_what_was_moved_is_not_there_twice() -> None:
    spool = MemorySpool()
    now = clock.now()
    sent = [message(due=now + 100), message(due=now + 200), message(due=now - 1)]
    await put(spool, *sent)
    assert await spool.cancel(sent[0].id, None)
    assert await spool.reschedule(sent[1].id, None, now - 5, None)
    assert await spool.reschedule(sent[1].id, None, now - 3, 2)
    assert [one.id for one in spool.messages()] == [sent[1].id, sent[2].id]
    async with served(spool) as here:
        claims = [await here.claim(), await here.claim()]
        assert [claim.message.id for claim in claims] == [sent[1].id, sent[2].id]
        await settle(spool, claims, Done())
        assert await nothing(spool, now + 1000)
    assert spool.next_due() is None


async def test_records_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MANY", 10)
    spool = MemorySpool()
    async with served(spool) as here:
        for _ in range(25):
            await put(spool, message())
            await settle(spool, [await here.claim()], Done(Kept(RECORD, 0.0)))
    assert len(spool._ledger._records) < 10
    assert spool._ledger.lines == {}


async def test_a_seat_travels_and_shows_nothing_elsewhere() -> None:
    board = MemorySpool().scoreboard(3)
    entry = Entry("abc", "task", 1, 5.0)
    seat = board.take(entry)
    entry.got_on(Progress(1, 2))
    pickle.loads(pickle.dumps(seat)).write(entry)
    assert [shown.done for shown in board.board().entries] == [0.0]
    board.write(seat, entry)
    shown = board.board()
    assert (shown.pid, shown.slots, [one.done for one in shown.entries]) == (os.getpid(), 3, [1])
    board.close()
    assert board.board().entries == ()
