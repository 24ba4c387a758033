"""The virtual clock: it goes, it stands, and the real one comes back."""

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest

from aspool import MemorySpool, MomentRefused, Spooler, clock
from aspool.moments import timestamp
from aspool.testing import Clock, drain_sync, use
from aspool.testing.clock import virtual_clock


def test_it_goes_until_it_is_touched_and_stands_then() -> None:
    moments = iter([100.0, 101.0, 102.0, 103.0])
    made = Clock(lambda: next(moments))
    assert made.timestamp() == 100.0
    assert made.now == datetime.fromtimestamp(101, UTC)
    made.stop()
    assert [made.timestamp(), made.timestamp()] == [102.0, 102.0]
    made.move(60)
    made.move(timedelta(hours=1))
    assert made.timestamp() == 102.0 + 60 + 3600
    made.move(-10)
    assert made.timestamp() == 102.0 + 50 + 3600


def test_it_is_set_to_a_moment() -> None:
    made = Clock()
    assert "goes" in repr(made)
    made.set(datetime(2030, 5, 1, tzinfo=UTC))
    assert made.now == datetime(2030, 5, 1, tzinfo=UTC)
    assert "stands at 2030-05-01T00:00:00+00:00" in repr(made)
    made.set(1_000_000_000)
    assert made.timestamp() == 1_000_000_000


def test_held_it_stands_still_and_goes_on_after_that() -> None:
    moments = iter(range(100, 200))
    made = Clock(lambda: next(moments))
    with made.held():
        with made.held():
            assert made.timestamp() == made.timestamp() == 100
        assert made.timestamp() == 100, "the outer one holds it"
    assert (made.timestamp(), made.timestamp()) == (101, 102)
    with made.held():
        made.move(1)
    assert made.timestamp() == made.timestamp() == 104, "moved meanwhile, it stands"


def test_it_never_stands_before_the_moment_at_which_it_was_stopped() -> None:
    for number in range(10_000):
        real = 1_795_268_819.942866 + number * 2**-22  # the real clock shows parts of a microsecond, too
        made = Clock(lambda: real)  # noqa: B023 - asked at once
        with made.held():
            held = made.timestamp()
        made.stop()
        assert held == made.timestamp() == round(held, 6)
        assert 0 <= held - real < 1.25e-6


def test_a_message_is_due_when_the_clock_was_set_to_its_moment() -> None:
    spooler = Spooler(MemorySpool())

    @spooler.task
    def work() -> None: ...

    for _ in range(100):
        with use(spooler) as spool:
            work.using(at=timedelta(days=7)).spool_sync()
            spool.clock.set(spool.waiting[0].at)
            assert len(drain_sync(spooler)) == 1


@pytest.mark.parametrize("stops", [False, True])
def test_what_was_spooled_a_moment_ago_is_due(monkeypatch: pytest.MonkeyPatch, stops: bool) -> None:
    calls = itertools.count()
    monkeypatch.setattr(clock, "now", lambda: 1_795_268_819.942866 + next(calls) * 2**-22)
    spooler = Spooler(MemorySpool())

    @spooler.task
    def work() -> None: ...

    for _ in range(100):
        with use(spooler) as spool:
            work.spool_sync()
            if stops:
                spool.clock.stop()
            assert len(drain_sync(spooler)) == 1


def test_nonsense_is_refused() -> None:
    made = Clock(lambda: 100.0)
    with pytest.raises(MomentRefused, match="naive"):
        made.set(datetime(2030, 5, 1))
    with pytest.raises(MomentRefused, match="timedelta"):
        made.set(timedelta(1))  # type: ignore[arg-type]
    with pytest.raises(MomentRefused, match="out of range"):
        made.move(float("inf"))
    assert made.timestamp() == 100.0, "it is as it was"


def test_moments_are_reckoned_by_it_and_the_real_one_comes_back() -> None:
    with pytest.raises(ZeroDivisionError), virtual_clock() as outer:
        outer.set(5000)
        with virtual_clock() as inner:
            assert inner is outer, "there is one wall clock"
            inner.move(1)
            assert clock.now() == 5001
        assert timestamp(timedelta(seconds=9)) == 5010
        1 / 0  # noqa: B018 - an error in the block
    assert clock.now is time.time


def test_a_new_block_begins_at_the_real_time() -> None:
    with virtual_clock() as first:
        first.set(5000)
    with virtual_clock() as second:
        assert second is not first
        assert second.timestamp() == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("digit", range(10))
def test_a_timer_is_due_when_the_clock_was_moved_by_its_interval(digit: int) -> None:
    spooler = Spooler(MemorySpool())

    @spooler.timer(10)
    def tick() -> None: ...

    with use(spooler) as spool:
        spool.clock.set(1_795_268_819.9428660 + digit * 1e-7)  # the real clock shows parts of a microsecond, too
        drain_sync(spooler, schedules=True)
        for _ in range(3):
            spool.clock.move(10)
            assert len(drain_sync(spooler, schedules=True)) == 1


@pytest.mark.parametrize(("soon", "most"), [("message", 1000), ("timer", 5000)])
def test_what_is_due_soon_by_a_clock_that_stands_keeps_nobody_busy(
    monkeypatch: pytest.MonkeyPatch, soon: str, most: int
) -> None:
    looks = itertools.count()
    timestamp_now = Clock.timestamp
    monkeypatch.setattr(Clock, "timestamp", lambda self: (next(looks), timestamp_now(self))[1])
    spooler = Spooler(MemorySpool())

    @spooler.task
    async def work() -> None:
        await asyncio.sleep(0.3)

    @spooler.timer(10)
    def tick() -> None: ...

    with use(spooler) as spool:
        spool.clock.set(1_800_000_000)
        drain_sync(spooler, schedules=True)
        spool.clock.move(10 - 2e-6)
        work.spool_sync()
        if soon == "message":
            work.using(at=spool.clock.timestamp() + 1e-6).spool_sync()
        assert len(drain_sync(spooler, schedules=soon == "timer")) == 1
    assert next(looks) < most
