"""The handle of a schedule: looking, starting, stopping, running it now; and what cannot have a schedule."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aspool import Body, CallError, Job, MemorySpool, Spooler, TaskRefused, Tasks
from aspool.cron import Cron
from aspool.errors import ScheduleRefused, SpoolFull, Unsupported
from aspool.scheduled import Scheduled
from aspool.schedules import Timer
from aspool.testing.clock import Clock
from aspool.turn import Decide, Taken

from ..start import START

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(memory: MemorySpool) -> Spooler:
    return Spooler(memory)


async def test_a_schedule_is_known_to_its_spool_once_it_is_looked_at(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(10, name="tick")
    def tick() -> None: ...

    with pytest.raises(ScheduleRefused, match="no schedule is called 'tick' in memory:"):
        await Scheduled("tick", tick.scheduled.spool).look()
    record = await tick.scheduled.look()
    assert (record.schedule, record.state, record.since) == (tick.schedule, "on", START)
    assert await Scheduled("tick", tick.scheduled.spool).look() == record, "others need no code"
    assert await spooler.scheduled("tick").look() == record
    assert repr(tick) == "<ScheduledTask tick>"


async def test_states(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    async def state() -> str:
        return (await tick.scheduled.look()).state

    actions: tuple[tuple[Callable[[], Awaitable[bool | None]], str, bool | None], ...] = (
        (tick.resume, "on", False), (tick.pause, "paused", True), (tick.pause, "paused", False),
        (tick.resume, "on", True), (tick.resume, "on", False), (tick.stop, "off", True), (tick.stop, "off", False),
        (tick.resume, "off", False), (tick.pause, "off", False), (tick.start, "on", None),
        (tick.scheduled.pause, "paused", True), (tick.scheduled.stop, "off", True), (tick.start, "on", None),
        (tick.scheduled.remove, "on", True),
    )  # fmt: skip
    for action, expected, changed in actions:
        assert await action() is changed
        assert await state() == expected


async def test_running_now_spools_at_once(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(10, priority=3, overlap="skip", lazy=True)
    def tick() -> None: ...

    for _ in range(3):
        await tick.scheduled.run()
    assert len(memory.messages()) == 3, "whatever it says of overlap, and whether it was started"
    assert {(message.due, message.priority) for message in memory.messages()} == {(START, 3)}


async def test_a_full_spool_refuses_a_run(clock: Clock) -> None:
    spooler = Spooler(MemorySpool(max_waiting=1))

    @spooler.timer(10)
    def tick() -> None: ...

    await tick.scheduled.run()
    with pytest.raises(SpoolFull):
        await tick.scheduled.run()


async def test_removing(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    await tick.pause()
    assert await tick.scheduled.remove() is True
    assert await tick.scheduled.remove() is False
    assert await memory.records() == {}
    assert (await tick.scheduled.look()).state == "on", "one that is in the code begins anew"


async def test_a_schedule_that_somebody_has_is_waited_for(clock: Clock) -> None:
    class Busy(MemorySpool):
        left = 3

        async def turn(self, name: str, decide: Decide) -> Taken | None:
            self.left -= 1
            return None if self.left else await super().turn(name, decide)

    spooler = Spooler(Busy())

    @spooler.timer(10)
    def tick() -> None: ...

    await tick.pause()
    assert (await memory_record(tick.scheduled)).startswith(b"{")


async def memory_record(scheduled: Scheduled) -> bytes:
    assert isinstance(scheduled.spool, MemorySpool)
    return (await scheduled.spool.records())[scheduled.name].record


async def test_what_start_changes_lasts_until_the_code_changes(clock: Clock, memory: MemorySpool) -> None:
    def app(expression: str) -> Any:
        spooler = Spooler(memory)

        @spooler.cron(expression, name="nightly", tz="Europe/Paris")
        def nightly() -> None: ...

        return nightly

    async def trigger(expression: str) -> Any:
        nightly = app(expression)
        await nightly.scheduled.make(nightly.schedule)  # as a worker with this code does
        return (await nightly.scheduled.look()).trigger

    await app("30 2 * * *").start(expression="0 9 * * *")
    assert await trigger("30 2 * * *") == Cron("0 9 * * *", "Europe/Paris")
    await app("30 2 * * *").start()
    assert await trigger("30 2 * * *") == Cron("30 2 * * *", "Europe/Paris"), "as it says itself"
    await app("30 2 * * *").start(minute=-5)
    assert (await app("45 2 * * *").scheduled.look()).trigger != Cron("45 2 * * *", "Europe/Paris"), "no worker has it"
    assert await trigger("45 2 * * *") == Cron("45 2 * * *", "Europe/Paris")


async def test_what_is_changed_first_needs_no_name(clock: Clock, spooler: Spooler, tmp_path: Any) -> None:
    @spooler.timer(lazy=True, iterations=3)
    def tick() -> None: ...

    await tick.start(timedelta(seconds=5))
    assert (await tick.scheduled.look()).trigger == Timer(5, 3)
    await tick.start()
    assert (await tick.scheduled.look()).trigger == Timer(5, 3), "as it was started before"
    await tick.scheduled.start(7, iterations=None)
    assert (await tick.scheduled.look()).trigger == Timer(7)

    @spooler.cron("@daily", tz="Europe/Paris")
    def nightly() -> None: ...

    await nightly.start("0 9 * * *")
    assert (await nightly.scheduled.look()).trigger == Cron("0 9 * * *", "Europe/Paris")

    @spooler.signal("reload")
    def reload() -> None: ...

    with pytest.raises(ScheduleRefused, match=r"start\(\) takes nothing, not 'other'"):
        await reload.start("other")


async def test_a_lazy_file_monitor_is_given_its_path(
    clock: Clock, spooler: Spooler, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @spooler.filemon(lazy=True)
    def changed() -> None: ...

    monkeypatch.chdir(tmp_path)
    await changed.start(path="config")
    trigger = (await changed.scheduled.look()).trigger
    assert getattr(trigger, "path", None) == str(tmp_path / "config")


def test_the_blocking_forms(spooler: Spooler) -> None:
    @spooler.timer(lazy=True)
    def tick() -> None: ...

    tick.sync.start(10, iterations=2)
    assert tick.sync.look().trigger == Timer(10, 2)
    assert (tick.sync.pause(), tick.sync.pause()) == (True, False)
    assert tick.sync.look().state == "paused"
    assert (tick.sync.resume(), tick.sync.resume()) == (True, False)
    assert (tick.sync.stop(), tick.sync.stop()) == (True, False)
    assert tick.sync.look().state == "off"
    tick.sync.run()
    assert tick.sync.look().runs == 1
    assert (tick.sync.remove(), tick.sync.remove()) == (True, False)
    assert tick.sync.look().runs == 0


async def test_the_blocking_forms_are_refused_on_an_event_loop(spooler: Spooler) -> None:
    @spooler.timer(10)
    def tick() -> None: ...

    for call in (tick.sync.look, tick.sync.start, tick.sync.pause, tick.sync.run, tick.sync.remove):
        with pytest.raises(CallError, match="event loop"):
            call()


async def test_it_is_a_task_as_any_other(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    def work(n: int = 3) -> int:
        return n

    tick: Any = spooler.timer(10, retries=5, name="tick")(work)
    assert tick(4) == 4
    await tick.spool(7)
    await tick.using(priority=1).spool()
    assert [message.arguments for message in memory.messages()] == [b"{}", b'{"n":7}']
    assert {message.firing for message in memory.messages()} == {None}


def test_what_cannot_have_a_schedule(spooler: Spooler) -> None:
    timer: Any = spooler.timer

    def needs(n: int, *, m: str) -> None: ...

    def whole(body: Body) -> None: ...

    def fine(job: Job, n: int = 1, *rest: int, **others: int) -> None: ...

    with pytest.raises(TaskRefused, match="a schedule calls it without arguments, but m, n has no default"):
        timer(10)(needs)
    with pytest.raises(TaskRefused):
        timer(10)(whole)
    with pytest.raises(TaskRefused, match='executor="inline" runs in its caller, and a schedule has none'):
        timer(10, executor="inline")(lambda: None)
    assert timer(10)(fine).schedule.trigger == Timer(10)
    for wrong in ({"missed": "never"}, {"grace": -1}, {"jitter": "x"}):
        with pytest.raises(ScheduleRefused):
            timer(10, **wrong)(lambda: None)
    with pytest.raises(TaskRefused):
        timer(10, retries=-1)(lambda: None)


def test_a_spool_that_keeps_no_schedules() -> None:
    class Plain:
        address = "plain:"
        external = ordered = False
        concurrency = None

    tasks = Tasks()
    spooler = Spooler(MemorySpool(), spools={"plain": Plain()})  # type: ignore[dict-item]  # the least of a spool

    @tasks.timer(10, spool="plain")
    def tick() -> None: ...

    spooler.include(tasks)
    with pytest.raises(Unsupported, match="plain: keeps no schedules: a timer or a cron needs a directory"):
        tick.sync.look()
