"""Schedules through time: lazy ones, changed code, schedules made at run time, groups, and the sweep."""

from typing import Any

import pytest

from aspool import Job, MemorySpool, Spooler, Tasks
from aspool.cron import Cron
from aspool.errors import ScheduleRefused
from aspool.outcomes import Buried, Cancelled, Done, HandedBack, PutOff
from aspool.schedules import Timer, Unset
from aspool.testing.clock import Clock
from aspool.worker.ticker import UPKEEP
from aspool.worker.upkeep import FORGOTTEN, keep_up

from ..start import START
from .tickers import drive, moments, node

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(memory: MemorySpool) -> Spooler:
    return Spooler(memory)


def app(memory: MemorySpool, trigger: Timer | Cron | None, **options: Any) -> Spooler:
    """One version of an application."""
    spooler = Spooler(memory)
    if isinstance(trigger, Timer):
        spooler.timer(trigger.seconds, iterations=trigger.iterations, name="work", **options)(_work)
    elif isinstance(trigger, Cron):
        spooler.cron(trigger.expression, tz=trigger.tz, name="work", **options)(_work)
    else:
        spooler.task(name="other")(_work)
    return spooler


def _work() -> None: ...


# --- lazy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_lazy_timer_fires_once_it_is_started(
    clock: Clock, spooler: Spooler, memory: MemorySpool, seconds: float | None
) -> None:
    @spooler.timer(seconds, lazy=True)
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 100)
        assert moments(memory) == []
        if seconds is None:
            with pytest.raises(ScheduleRefused, match="say with start"):
                await tick.start()
        await tick.start(seconds=10, iterations=2)
        await drive(clock, [one], START + 115)
    async with node(spooler) as one:
        await drive(clock, [one], START + 200)
        assert moments(memory) == [START + 110, START + 120], "through a restart"
        await tick.start(iterations=1, **({"seconds": 10} if seconds is None else {}))  # type: ignore[arg-type]  # a number
        await drive(clock, [one], START + 300)
    assert moments(memory)[2:] == [START + 210 if seconds is None else START + 230]


@pytest.mark.parametrize(
    "changes", [{"seconds": 0}, {"seconds": "1"}, {"iterations": 0}, {"expression": "@daily"}, {"path": "/a"}, {"x": 1}]
)
async def test_a_start_that_cannot_be_changes_nothing(clock: Clock, spooler: Spooler, changes: dict[str, Any]) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    before = await tick.scheduled.look()
    clock.move(5)
    with pytest.raises(ScheduleRefused):
        await tick.start(**changes)
    assert await tick.scheduled.look() == before


async def test_starting_again_as_it_was_started(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(lazy=True)
    def tick() -> None: ...

    await tick.start(seconds=10, iterations=2)
    await tick.stop()
    assert (await tick.scheduled.look()).next_moment(START) is None
    clock.move(100)
    await tick.start()
    record = await tick.scheduled.look()
    assert (record.trigger, record.since) == (Timer(10, 2), START + 100)
    assert record.schedule.trigger == Unset("timer")


# --- the code changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Timer(10), Timer(25)),
        (Timer(10), Cron("* * * * *")),
        (Cron("* * * * *"), Timer(7)),
        (Cron("0 * * * *"), Cron("*/2 * * * *")),
        (Timer(10, 1), Timer(10, 3)),
    ],
)
async def test_another_expression_counts_from_when_it_is_seen(
    clock: Clock, memory: MemorySpool, before: Timer | Cron, after: Timer | Cron
) -> None:
    async with node(app(memory, before)) as one:
        await drive(clock, [one], START + 200.5)
    old = len(moments(memory))
    async with node(app(memory, after)) as one:
        clock.move(0.25)
        await one.tick()
        assert len(moments(memory)) == old, "nothing is made up for that never was to be"
        await drive(clock, [one], START + 400)
    moment, since = START + 200.5, START + 200.5
    expected: list[float] = []
    while (
        (found := after.next_after(moment, since)) is not None
        and found <= START + 400
        and len(expected) < ((isinstance(after, Timer) and after.iterations) or 1000)
    ):
        expected.append(moment := found)
    assert moments(memory)[old:] == expected


async def test_other_options_keep_the_phase(clock: Clock, memory: MemorySpool) -> None:
    async with node(app(memory, Timer(10))) as one:
        await drive(clock, [one], START + 15)
    async with node(app(memory, Timer(10), priority=3, missed="all", retries=0)) as one:
        await drive(clock, [one], START + 40)
    assert moments(memory) == [START + 10, START + 20, START + 30, START + 40]
    assert sorted((m.priority or 0) for m in memory.messages()) == [0, 3, 3, 3]


async def test_what_is_gone_from_the_code_fires_no_more_and_comes_back(clock: Clock, memory: MemorySpool) -> None:
    async with node(app(memory, Timer(10))) as one:
        await drive(clock, [one], START + 15)
    async with node(app(memory, None)) as one:
        assert await drive(clock, [one], START + 100) == 2
    assert set(await memory.records()) == {"work"}, "its record is kept"
    async with node(app(memory, Timer(10))) as one:
        await one.tick()
    assert moments(memory) == [START + 10, START + 100], "and it was down"


# --- the sweep -------------------------------------------------------------------------------------------------------


async def test_what_nobody_knows_is_swept_after_a_month(clock: Clock, memory: MemorySpool) -> None:
    made = app(memory, Timer(86_400))
    await made.schedule("work", timer=3600, name="kept")
    await made.schedule("work", timer=3600, iterations=1, name="over")
    async with node(made) as one:
        await drive(clock, [one], START + 3600)
    assert await keep_up(memory, ["other"]) == []
    clock.set(START + FORGOTTEN - 10)
    assert await keep_up(memory, []) == []
    clock.set(START + 3600 + FORGOTTEN + 10)
    assert await keep_up(memory, ["work"]) == ["over"]
    clock.move(FORGOTTEN + 10)
    assert await keep_up(memory, []) == ["work"]
    assert set(await memory.records()) == {"kept"}, "made at run time, so it is kept until it is removed"


async def test_a_worker_says_at_once_what_it_knows(clock: Clock, memory: MemorySpool) -> None:
    made = app(memory, Timer(86_400))
    async with node(made):
        pass
    clock.move(2 * FORGOTTEN)
    async with node(made):
        assert await keep_up(memory, []) == [], "another application serves the same spool"
    assert set(await memory.records()) == {"work"}


async def test_a_worker_keeps_up_now_and_then(
    clock: Clock, memory: MemorySpool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with node(app(memory, Timer(86_400))):
        pass
    caplog.set_level("INFO")
    async with node(app(memory, None)) as one:
        clock.move(FORGOTTEN + 10)
        await one.tick()
        assert set(await memory.records()) == {"work"}
        monkeypatch.setattr(one.ticker, "_upkeep_at", one.ticker._upkeep_at - UPKEEP)
        await one.tick()
        assert await memory.records() == {}
    assert "the schedule work was unknown to all workers for long: it was removed" in caplog.text


# --- made at run time ------------------------------------------------------------------------------------------------


async def test_a_schedule_made_at_run_time_is_durable(clock: Clock, memory: MemorySpool) -> None:
    first = Spooler(memory)
    first.task(name="remind")(remind)
    scheduled = await first.schedule("remind", timer=60, args=(7,), name="reminder", priority=3)
    assert scheduled.name == "reminder"
    clock.move(30)
    await first.schedule("remind", timer=60, args=(7,), name="reminder", priority=3)
    assert (await scheduled.look()).since == START, "the same again changes nothing"
    second = Spooler(memory)
    second.task(name="remind")(remind)
    async with node(second) as one, node(Spooler(memory)) as other:
        await drive(clock, [other], START + 65)
        assert moments(memory) == [], "it does not know the task"
        await drive(clock, [one, other], START + 120)
        assert moments(memory) == [START + 60, START + 120]
        (message, _) = memory.messages()
        assert (message.task, message.arguments, message.priority) == ("remind", b'{"number":7}', 3)
        await first.schedule("remind", timer=7, args=(8,), name="reminder")
        await drive(clock, [one, other], START + 128)
        assert moments(memory)[2:] == [START + 127], "another of the same name, from now on"
        await scheduled.remove()
        await drive(clock, [one, other], START + 300)
        assert len(moments(memory)) == 3
        assert await memory.records() == {}


async def test_a_worker_tells_once_of_schedules_for_tasks_that_it_does_not_know(
    clock: Clock, memory: MemorySpool, caplog: pytest.LogCaptureFixture
) -> None:
    other = Spooler(memory)
    for name in ("remind", "a\x1bb", "known"):
        other.task(name=name)(remind)
    for task, name in (("remind", "reminder"), ("a\x1bb", "odd\n"), ("known", "fine")):
        await other.schedule(task, timer=10, args=(1,), name=name)
    stopped = await other.schedule("remind", timer=10, args=(2,), name="stopped")
    await stopped.stop()
    other.timer(10, name="of-the-code")(_work)
    spooler = Spooler(memory)
    spooler.task(name="known")(remind)
    async with node(other), node(spooler) as one:
        await drive(clock, [one], START + 100)
    assert sorted(record.message for record in caplog.records if record.name == "aspool.schedules") == [
        "the schedule odd\\n is for the task a\\x1bb, which this worker does not know",
        "the schedule reminder is for the task remind, which this worker does not know",
    ]


def remind(number: int) -> None: ...


async def test_made_while_a_worker_runs_and_over_after_its_iterations(clock: Clock, memory: MemorySpool) -> None:
    spooler = Spooler(memory)
    spooler.task(name="remind")(remind)
    async with node(spooler) as one:
        scheduled = await spooler.schedule("remind", timer=10, iterations=2, args=(1,))
        await drive(clock, [one], START + 100)
        record = await scheduled.look()
        assert (record.fired, record.is_on, record.iterations_left) == (2, False, 0)
        await spooler.schedule("remind", timer=10, iterations=2, args=(1,))
        await drive(clock, [one], START + 200)
    assert moments(memory) == [START + 10, START + 20, START + 110, START + 120], "it had ended, and began anew"


# --- groups, zones, ends ---------------------------------------------------------------------------------------------


async def test_a_group_has_the_zone_of_its_spooler(clock: Clock) -> None:
    tasks, mail = Tasks(prefix="shop."), MemorySpool()

    @tasks.cron("30 2 * * *", spool="mail", name="nightly")
    def nightly() -> None: ...

    @tasks.cron("30 2 * * *", tz="UTC", spool="mail", name="at_utc")
    def at_utc() -> None: ...

    spooler = Spooler(MemorySpool(), spools={"mail": mail}, tz="Asia/Tokyo")
    spooler.include(tasks)
    async with node(spooler) as one:
        await drive(clock, [one], START + 86_400)
    told = {message.task: message.firing for message in mail.messages()}
    assert {task: said.tz for task, said in told.items() if said} == {
        "shop.nightly": "Asia/Tokyo", "shop.at_utc": "UTC",
    }  # fmt: skip
    for task, hour in (("shop.nightly", 17), ("shop.at_utc", 2)):
        said = told[task]
        assert said is not None
        assert str(Job(id="a", task=task, firing=said).scheduled_for)[11:16] == "02:30"
        assert said.moment % 86_400 == hour * 3600 + 1800


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Done(), "done"),
        (Buried("no"), "dead"),
        (PutOff(START, 1, 0, "why"), "retrying"),
        (Cancelled("no"), "cancelled"),
    ],
)
@pytest.mark.parametrize("fires", [True, False])
async def test_ends_are_noted(
    clock: Clock, spooler: Spooler, memory: MemorySpool, outcome: Any, state: str, fires: bool
) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 12)
    async with node(spooler, fires=fires) as one:
        one.ticker.fired(memory, memory.messages()[0], outcome, START + 10.5)
        await one.tick()
        end = (await tick.scheduled.look()).end
        assert end is not None
        assert (end.state, end.moment, end.ended, end.took) == (state, START + 10, START + 12, 1.5)
        one.ticker.fired(memory, memory.messages()[0], HandedBack("the worker stopped"), START + 11)
    end = (await tick.scheduled.look()).end
    assert end is not None
    assert end.state == "waiting", "also what ends while the worker does"
