"""What every spool must do that keeps schedules, as tests: subclass `SchedulesConformance`.

As in `conformance`: give it a fixture `spool`, new and empty for each test.
"""

import threading
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from .. import clock
from ..body import Body
from ..message import Firing, Message
from ..outcomes import Buried, Cancelled, Done, HandedBack, Outcome, PutOff
from ..protocol import Follows, Spool, Stored, WorkerSide
from ..turn import Decide, KeepsSchedules, Lives, Taken, Turn
from .conformance import PATIENCE, claimed, message, nothing, served, settle

ODD_NAMES = ("a/../b", "größer ☠", ".", "..", "x" * 300, "y" * 299 + "/", "\n", "name:with\\odd", "\udcff")


def firing(id: str, **changes: Any) -> Message:
    """A message of a schedule."""
    return message(id=id, unique=True, firing=Firing("tests.schedule", 1_790_000_000.25, "Europe/Paris"), **changes)


def keep(record: bytes, *messages: Message, record_first: bool = False) -> Decide:
    """What puts these messages and keeps this record, whatever there was."""
    return lambda _data, _lives: Turn(messages, record, record_first=record_first)


def leave(data: bytes | None, lives: Lives) -> None:
    """What does nothing."""


async def keeping(spool: Spool) -> KeepsSchedules:
    """A spool that keeps schedules."""
    if not isinstance(spool, KeepsSchedules):
        pytest.skip("this spool keeps no schedules")
    return spool


async def taken(spool: Spool, name: str, decide: Decide) -> Taken:
    """A turn that nobody else wants."""
    answer = await (await keeping(spool)).turn(name, decide)
    assert answer is not None
    return answer


async def lives(spool: Spool, id: str) -> bool:
    """Whether a message of that id waits or runs, as a turn is told."""
    told: list[bool] = []
    await taken(spool, "asks", lambda _data, lives: told.append(lives(id)))
    return told[0]


async def record_of(spool: Spool, name: str) -> bytes | None:
    """The record of a schedule."""
    kept = (await (await keeping(spool)).records([name])).get(name)
    return None if kept is None else kept.record


class SchedulesConformance:
    """The suite; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    # --- records ---------------------------------------------------------------------------------------------

    async def test_a_record_is_kept_and_replaced_and_removed(self, spool: Spool) -> None:
        seen: list[bytes | None] = []

        def next_one(data: bytes | None, lives: Lives) -> Turn:  # noqa: ARG001 - as what a spool asks
            seen.append(data)
            return Turn(record=b"%d" % len(seen))

        assert [(await taken(spool, "one", next_one)).record for _ in range(3)] == [b"1", b"2", b"3"]
        assert seen == [None, b"1", b"2"]
        assert await taken(spool, "one", leave) == Taken(b"3")
        assert (await taken(spool, "one", lambda _data, _lives: Turn())).record == b"3", "None leaves it"
        assert (await taken(spool, "one", keep(b""))).record is None
        assert await record_of(spool, "one") is None
        assert await taken(spool, "one", leave) == Taken(None)
        assert (await taken(spool, "one", keep(b""))).record is None, "it was not there"

    async def test_a_record_may_be_any_bytes(self, spool: Spool) -> None:
        for record in (b"\n", b"\0\xff\n{}", b"x" * 200_000):
            assert (await taken(spool, "one", keep(record))).record == record
            assert await record_of(spool, "one") == record

    async def test_records_by_their_names(self, spool: Spool) -> None:
        keeps = await keeping(spool)
        assert await keeps.records() == {}
        before = clock.now()
        for name in ("one", "two", "three"):
            await taken(spool, name, keep(name.encode()))
        records = await keeps.records()
        assert {name: kept.record for name, kept in records.items()} == {
            "one": b"one", "two": b"two", "three": b"three",
        }  # fmt: skip
        assert all(before - 1 <= kept.known <= clock.now() + 1 for kept in records.values())
        assert set(await keeps.records(["two", "four"])) == {"two"}
        assert await keeps.records([]) == {}

    async def test_names_of_any_form(self, spool: Spool) -> None:
        keeps = await keeping(spool)
        for number, name in enumerate(ODD_NAMES):
            await taken(spool, name, keep(b"%d" % number))
        assert {name: kept.record for name, kept in (await keeps.records()).items()} == {
            name: b"%d" % number for number, name in enumerate(ODD_NAMES)
        }
        await keeps.keep_alive(ODD_NAMES)
        for name in ODD_NAMES:
            assert (await taken(spool, name, keep(b""))).record is None
        assert await keeps.records() == {}

    async def test_a_sign_of_life(self, spool: Spool) -> None:
        keeps = await keeping(spool)
        await taken(spool, "one", keep(b"1"))
        before = (await keeps.records())["one"]
        await keeps.keep_alive(["one", "unknown"])
        after = (await keeps.records())["one"]
        assert after.record == b"1"
        assert after.known >= before.known
        assert set(await keeps.records()) == {"one"}, "a sign of life makes no record"

    async def test_records_outlive_the_worker(self, spool: Spool) -> None:
        async with served(spool):
            await taken(spool, "one", keep(b"1"))
        await spool.aclose()
        assert await record_of(spool, "one") == b"1"
        async with served(spool):
            assert await record_of(spool, "one") == b"1"

    # --- messages --------------------------------------------------------------------------------------------

    async def test_messages_of_a_turn_are_really_there(self, spool: Spool) -> None:
        sent = [firing("s.1", arguments=b'{"n":1}', priority=3, options={"retries": 5}), firing("s.2")]
        answers = (await taken(spool, "s", keep(b"1", *sent))).answers
        assert [(a.id, a.duplicate) for a in answers if isinstance(a, Stored)] == [("s.1", False), ("s.2", False)]
        async with served(spool):
            claims = sorted(await claimed(spool, 2), key=lambda claim: claim.message.id)
            got = claims[0].message
            assert (got.task, got.arguments, got.priority) == ("tests.task", b'{"n":1}', 3)
            assert got.options == {"retries": 5}
            assert got.firing == Firing("tests.schedule", 1_790_000_000.25, "Europe/Paris")
            await settle(spool, claims, PutOff(clock.now() - 1, 1, 0))
            claims = await claimed(spool, 2)
            assert {claim.message.firing for claim in claims} == {got.firing}, "after a retry, too"
            await settle(spool, claims, Done())

    async def test_a_message_that_waits_is_not_put_again(self, spool: Spool) -> None:
        await taken(spool, "s", keep(b"1", firing("s.1")))
        (answer,) = (await taken(spool, "s", keep(b"2", firing("s.1")))).answers
        assert isinstance(answer, Stored)
        assert answer.duplicate
        assert await record_of(spool, "s") == b"2", "it is in, so the record is kept"
        async with served(spool):
            await settle(spool, await claimed(spool, 1), Done())
            assert await nothing(spool)

    async def test_what_lives(self, spool: Spool) -> None:
        assert not await lives(spool, "s.1")
        for outcome in (Done(), Buried("no"), Cancelled("no")):
            await taken(spool, "s", keep(b"1", firing("s.1")))
            assert await lives(spool, "s.1"), "it waits"
            async with served(spool):
                for again in (HandedBack(), PutOff(clock.now() - 1, 1, 0)):
                    await self._settled(spool, again, still_lives=True)
                await self._settled(spool, outcome, still_lives=False)

    async def _settled(self, spool: Spool, outcome: Outcome, *, still_lives: bool) -> None:
        claims = await claimed(spool, 1)
        assert await lives(spool, "s.1"), "it runs"
        await settle(spool, claims, outcome)
        assert await lives(spool, "s.1") is still_lives

    async def test_what_was_cancelled_lives_no_more(self, spool: Spool) -> None:
        await taken(spool, "s", keep(b"1", firing("s.1", due=clock.now() + 1000)))
        if not isinstance(spool, Follows):
            pytest.skip("this spool cannot cancel")
        async with served(spool):
            assert await spool.cancel("s.1", None)
            assert not await lives(spool, "s.1")

    # --- what cannot be put ----------------------------------------------------------------------------------

    async def test_nothing_is_kept_if_a_put_fails(self, spool: Spool) -> None:
        await taken(spool, "s", keep(b"1"))
        answer = await taken(spool, "s", keep(b"2", self.refused()))
        assert [isinstance(each, Exception) for each in answer.answers] == [True]
        assert answer.record == b"1"
        assert await record_of(spool, "s") == b"1"

    async def test_what_could_be_put_is_kept(self, spool: Spool) -> None:
        def partly(data: bytes | None, lives: Lives) -> Turn:  # noqa: ARG001 - as what a spool asks
            messages = [firing("s.1"), firing("s.2"), self.refused()]
            return Turn(messages, b"all", partly=lambda count: b"%d" % count)

        answer = await taken(spool, "s", partly)
        assert [isinstance(each, Exception) for each in answer.answers] == [False, False, True]
        assert answer.record == b"2"
        assert await record_of(spool, "s") == b"2"

    async def test_a_record_that_is_wanted_first_is_kept_all_the_same(self, spool: Spool) -> None:
        answer = await taken(spool, "s", keep(b"2", self.refused(), record_first=True))
        assert [isinstance(each, Exception) for each in answer.answers] == [True]
        assert answer.record == b"2"
        assert await record_of(spool, "s") == b"2"
        assert not await lives(spool, "refused")

    def refused(self) -> Message:
        """A message that no spool takes."""

        class Broken:
            """A file that cannot be read."""

            def read(self, size: int = -1) -> bytes:  # noqa: ARG002 - as of a file
                raise OSError("it cannot be read")

        return firing("refused", body=Body(Broken()))  # type: ignore[arg-type]  # that is the point

    # --- turns -----------------------------------------------------------------------------------------------

    async def test_what_a_decision_raises_is_raised_and_changes_nothing(self, spool: Spool) -> None:
        def fail(data: bytes | None, lives: Lives) -> Turn:  # noqa: ARG001 - as what a spool asks
            raise ZeroDivisionError

        await taken(spool, "s", keep(b"1"))
        with pytest.raises(ZeroDivisionError):
            await taken(spool, "s", fail)
        assert await taken(spool, "s", leave) == Taken(b"1"), "and it can be taken again"

    async def test_many_at_once_take_turns(self, spool: Spool) -> None:
        keeps = await keeping(spool)
        inside = threading.Semaphore()
        met: list[str] = []

        def count(data: bytes | None, lives: Lives) -> Turn:  # noqa: ARG001 - as what a spool asks
            if not inside.acquire(blocking=False):
                met.append("two in one turn")
            number = int(data or b"0") + 1
            inside.release()
            return Turn([firing(f"s.{number}")], b"%d" % number)

        async def count_up(times: int) -> None:
            while times:
                times -= await keeps.turn("s", count) is not None
                await checkpoint()

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(count_up, 10)
        assert await record_of(spool, "s") == b"50"
        assert met == []
        async with served(spool):
            claims = await claimed(spool, 50)
            assert len({claim.message.id for claim in claims}) == 50
            await settle(spool, claims, Done())

    # --- news ------------------------------------------------------------------------------------------------

    async def test_a_worker_hears_of_changes(self, spool: Spool) -> None:
        keeps = await keeping(spool)
        news: list[str | None] = []
        side = WorkerSide(lambda: 0.2, schedules_changed=news.append)
        with anyio.fail_after(PATIENCE):
            async with spool.serving(side):
                await taken(spool, "one", keep(b"1"))
                await self._heard(spool, news, "one")
                await taken(spool, "one", keep(b"2"))
                await self._heard(spool, news, "one")
                await taken(spool, "one", keep(b""))
                await self._heard(spool, news, "one")
                assert await keeps.records() == {}

    async def _heard(self, spool: Spool, news: list[str | None], name: str) -> None:
        """Waits until that was told, and forgets it."""
        while name not in news and None not in news:
            await spool.wait(0.05)
            await spool.claim(1, clock.now())
        news.clear()
