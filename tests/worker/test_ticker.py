"""Tickers on one spool: each moment once, through restarts, changes from elsewhere and clocks that are set."""

from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool, MemorySpool, Spooler, Uncertain
from aspool.errors import ScheduleRefused, SpoolUnusable, Unsupported
from aspool.schedules import Timer
from aspool.testing.clock import Clock
from aspool.turn import Decide, Taken

from ..start import START
from .tickers import drive, moments, node

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(memory: MemorySpool) -> Spooler:
    return Spooler(memory)


def each(seconds: float, first: int, last: int) -> list[float]:
    return [round(START + number * seconds, 6) for number in range(first, last + 1)]


class Busy(MemorySpool):
    """A spool whose turns are often somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def turn(self, name: str, decide: Decide) -> Taken | None:
        self.asked += 1
        return None if self.asked % 3 else await super().turn(name, decide)


# --- one moment once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("spool", [MemorySpool, Busy])
async def test_each_moment_is_spooled_once(clock: Clock, count: int, spool: type[MemorySpool]) -> None:
    shared = spool()
    spooler = Spooler(shared)

    @spooler.timer(1 / 3)
    def tick() -> None: ...

    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(spooler)) for _ in range(count)]
        await drive(clock, nodes, START + 60.3)
    assert moments(shared) == each(1 / 3, 1, 180)


async def test_an_hour_of_a_second_sleeps_in_between(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(1)
    def tick() -> None: ...

    async with node(spooler) as one:
        assert await drive(clock, [one], START + 3600) == 3601
        assert await one.ticker.tick() == START + 3601
    assert moments(memory) == each(1, 1, 3600)


async def test_restarts_neither_repeat_nor_forget(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    for until in (3, 17, 20, 20, 29.5, 31, 64):
        async with node(spooler) as one:
            await drive(clock, [one], START + until)
    assert moments(memory) == each(10, 1, 6)


@pytest.mark.parametrize(("missed", "expected"), [("skip", []), ("latest", [360]), ("all", range(1, 361))])
async def test_downtime_goes_by_the_policy(
    clock: Clock, spooler: Spooler, memory: MemorySpool, missed: Any, expected: list[int]
) -> None:
    @spooler.timer(10, missed=missed)
    def tick() -> None: ...

    async with node(spooler):
        pass
    clock.set(START + 3608)
    async with node(spooler) as one:
        await one.tick()
        assert moments(memory) == [START + 10 * number for number in expected]
        await drive(clock, [one], START + 3610)
        assert moments(memory) == [START + 10 * number for number in [*expected, 361]]


async def test_a_month_of_downtime_is_quick(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(1)
    def tick() -> None: ...

    async with node(spooler):
        pass
    clock.move(31 * 86_400 + 6.5)
    async with node(spooler) as one:
        due = await one.tick()
    assert len(moments(memory)) == 5, "those in the grace; they make up for all"
    assert due == START + 31 * 86_400 + 7


async def test_catching_up_leaves_nothing_due(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(1, missed="all")
    def tick() -> None: ...

    async with node(spooler) as one:
        clock.move(3333)
        await one.ticker.catch_up()
    assert moments(memory) == each(1, 1, 3333)


# --- the clock is set ------------------------------------------------------------------------------------------------


async def test_the_clock_set_back_an_hour(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(60, name="timer")
    def timer() -> None: ...

    @spooler.cron("*/10 * * * *", name="cron")
    def cron() -> None: ...

    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START + 3600)
        before = moments(memory)
        clock.move(-3600)
        await drive(clock, [one, two], START + 3700, step=30)
    told = [message.firing for message in memory.messages() if message.firing is not None]
    crons = [said.moment for said in told if said.schedule == "cron"]
    timers = sorted(said.moment for said in told if said.schedule == "timer")
    assert len(crons) == len(set(crons)) == 6
    assert len(timers) == len(set(timers)) == 60 + 61, "it kept its interval"
    later = [moment for moment in timers if moment not in before]
    assert {round(b - a) for a, b in pairwise(later)} == {60}


async def test_the_clock_set_forward_is_downtime(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(60, missed="skip")
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 120)
        clock.move(3630)
        await drive(clock, [one], START + 3800)
    assert moments(memory) == [START + 60, START + 120, START + 3780]


# --- what fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fire", ["at-least-once", "at-most-once"])
async def test_a_full_spool(clock: Clock, fire: Any, caplog: pytest.LogCaptureFixture) -> None:
    spool = MemorySpool(max_waiting=1)
    spooler = Spooler(spool)

    @spooler.timer(100, fire=fire)
    def tick() -> None: ...

    @spooler.task
    def other() -> None: ...

    waiting = await other.spool()
    async with node(spooler) as one:
        clock.move(100)
        due = await one.tick()
        assert moments(spool) == []
        assert "max_waiting is 1" in caplog.text
        await waiting.cancel()
        if fire == "at-least-once":
            assert due == START + 101, "it is tried again"
            await drive(clock, [one], START + 102)
            assert moments(spool) == [START + 100]
        else:
            await drive(clock, [one], START + 199)
            assert moments(spool) == [], "it rather loses it"
            await drive(clock, [one], START + 200)
            assert moments(spool) == [START + 200]


async def test_many_missed_ones_do_not_repeat_in_a_spool_with_little_room(clock: Clock) -> None:
    spool = MemorySpool(max_waiting=10)
    spooler = Spooler(spool)

    @spooler.timer(1, missed="all")
    def tick() -> None: ...

    got: list[float] = []
    async with node(spooler) as one:
        clock.move(35)
        while len(got) < 35:
            due = await one.tick()
            got += moments(spool)
            assert due is not None
            clock.set(max(clock.timestamp(), due))
            for message in spool.messages():
                await spool.cancel(message.id, None)
    assert got[:35] == each(1, 1, 35), "none twice, none lost"


async def test_a_spool_that_fails_is_tried_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MemorySpool):
        error: Exception | None = None

        async def turn(self, name: str, decide: Decide) -> Taken | None:
            if self.error is not None and name == "bad":
                raise self.error
            return await super().turn(name, decide)

    spool = Failing()
    spooler = Spooler(spool)

    @spooler.timer(10, name="bad")
    def bad() -> None: ...

    @spooler.timer(10, name="good")
    def good() -> None: ...

    async with node(spooler) as one:
        for error in (SpoolUnusable("the disk is gone"), ZeroDivisionError("a bug")):
            spool.error = error
            clock.move(10)
            assert await one.tick() is not None
            assert str(error) in caplog.text
        assert moments(spool) == each(10, 1, 2), "the other fires"
        spool.error = None
        clock.move(5)
        await one.tick()
    assert moments(spool) == sorted(each(10, 1, 2) + each(10, 2, 2))


async def test_an_uncertain_put_counts(clock: Clock) -> None:
    class Doubtful(MemorySpool):
        def put_blocking(self, messages: Any) -> Any:
            super().put_blocking(messages)
            return [Uncertain("perhaps", message.id) for message in messages]

    spool = Doubtful()
    spooler = Spooler(spool)

    @spooler.timer(10)
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 30)
    assert moments(spool) == each(10, 1, 3)


async def test_a_spool_that_keeps_no_schedules(clock: Clock) -> None:
    class Plain:
        address = "plain:"
        concurrency = None
        ordered = external = False

    spooler = Spooler(MemorySpool(), spools={"plain": Plain()})  # type: ignore[dict-item]  # the least of a spool

    @spooler.task(spool="plain")
    def fine() -> None: ...

    async with node(spooler) as one:
        assert await one.tick() is None

    @spooler.timer(10, spool="plain")
    def tick() -> None: ...

    with pytest.raises(Unsupported, match="plain: keeps no schedules"):
        async with node(spooler):
            pass


# --- changes from elsewhere ------------------------------------------------------------------------------------------


async def test_changes_from_another_process(clock: Clock, tmp_path: Path) -> None:
    spooler = Spooler(DirectorySpool(tmp_path / "spool", durability="process"))
    elsewhere = Spooler(DirectorySpool(tmp_path / "spool", durability="process")).scheduled("tick")

    @spooler.timer(10, name="tick", missed="all")
    def tick() -> None: ...

    async def last() -> float | None:
        return (await elsewhere.look()).last

    async with node(spooler) as one, node(spooler) as two:
        with pytest.raises(ScheduleRefused, match="no schedule is called 'other'"):
            await Spooler(tmp_path / "spool").scheduled("other").pause()
        await drive(clock, [one, two], START + 15)
        assert await last() == START + 10
        await elsewhere.pause()
        assert await drive(clock, [one, two], START + 35) == 2, "nothing is due"
        assert await last() == START + 10
        await elsewhere.resume()
        await drive(clock, [one, two], START + 42)
        assert await last() == START + 40
        await elsewhere.start(seconds=100, iterations=2)
        await drive(clock, [one, two], START + 1000)
        assert await last() == START + 242
        await elsewhere.start(seconds=10)
        await elsewhere.stop()
        await elsewhere.resume()
        await drive(clock, [one, two], START + 1100)
        assert await last() == START + 242, "only start undoes stop"
        await elsewhere.run()
        assert await last() == START + 1100
        await elsewhere.remove()
        await drive(clock, [one, two], START + 1111)
        record = await elsewhere.look()
        assert (record.trigger, record.since, record.last) == (Timer(10), START + 1100, START + 1110), "it begins anew"
    await spooler.aclose()


async def test_a_broken_record_begins_anew(clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spooler = Spooler(DirectorySpool(tmp_path / "spool", durability="process"))

    @spooler.timer(10, name="tick")
    def tick() -> None: ...

    area = tmp_path / "spool" / ".aspool" / "schedules"
    async with node(spooler) as one:
        (file,) = area.iterdir()
        good = file.read_bytes()
        now = START
        for bad in (b"", good[:20], good[:-5], b"\0" * 100, b"null", good.replace(b'"tick"', b'"tock"', 1)):
            file.write_bytes(bad)
            clock.set(now := now + 1000)
            await one.tick()
            clock.set(now := now + 10)
            await one.tick()
            record = await tick.scheduled.look()
            assert (record.since, record.last) == (now - 10, now)
        assert caplog.text == ""
    await spooler.aclose()
