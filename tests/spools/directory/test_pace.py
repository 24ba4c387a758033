"""Quick operations stay on the event loop, slow ones leave it for a while."""

from types import SimpleNamespace

import anyio
import pytest

from aspool.spools.directory import pace


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, in a list of one."""
    moment = [100.0]
    monkeypatch.setattr("aspool.spools.directory.pace.time", SimpleNamespace(monotonic=lambda: moment[0]))
    return moment


def work(now: list[float], seconds: float) -> str:
    now[0] += seconds
    return "result"


def test_quick_operations_stay(now: list[float]) -> None:
    subject = pace.Pace(0.002)
    assert subject.measured(1, work, now, 0.001) == "result"
    assert subject.measured(64, work, now, 0.1) == "result", "that is quick for 64 of them"
    assert subject.is_quick


def test_a_slow_disk_is_left_to_a_thread_for_a_while(now: list[float]) -> None:
    subject = pace.Pace(0.002)
    for _ in range(pace.SLOW_RUN - 1):
        subject.measured(1, work, now, 0.01)
    assert subject.is_quick, "it may have been the processor"
    subject.measured(1, work, now, 0.01)
    assert not subject.is_quick
    now[0] += pace.DISTRUST
    assert subject.is_quick, "it gets another chance"


def test_slow_ones_must_follow_each_other(now: list[float]) -> None:
    subject = pace.Pace(0.002)
    for _ in range(10):
        subject.measured(1, work, now, 0.01)
        subject.measured(1, work, now, 0.0)
    assert subject.is_quick


@pytest.mark.anyio
async def test_after_some_work_others_get_their_turn(now: list[float]) -> None:
    subject = pace.Pace(0.002)
    turns = []

    async def other() -> None:
        turns.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        subject.measured(1, work, now, pace.TURN / 2)
        await subject.pause()
        assert turns == [], "not yet"
        subject.measured(1, work, now, pace.TURN)
        await subject.pause()
        assert turns == ["other"]
