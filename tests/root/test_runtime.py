"""Schedules that a program makes while it runs: what is kept, what is the same, what is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aspool import ArgumentsRefused, Body, DirectorySpool, MemorySpool, Spooler, TaskRefused, Tasks
from aspool.cron import Cron
from aspool.errors import NameRefused, ScheduleRefused, UnknownSpool
from aspool.firing import deciding, fire
from aspool.scheduled import take_turn
from aspool.schedules import FileMonitor, Timer
from aspool.testing.clock import Clock

from ..start import START

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(memory: MemorySpool) -> Spooler:
    spooler = Spooler(memory, spools={"mail": MemorySpool()}, tz="Europe/Paris")
    spooler.task(name="remind", priority=5)(remind)
    return spooler


def remind(number: int, text: str = "", body: Body | None = None) -> None: ...


async def test_what_is_kept(clock: Clock, spooler: Spooler) -> None:
    scheduled = await spooler.schedule(
        "remind", cron="0 9 * * *", args=(7,), kwargs={"text": "☠"}, retries=2, harakiri=5.0, missed="all", jitter=3.0
    )
    schedule = (await scheduled.look()).schedule
    assert (schedule.task, schedule.arguments, schedule.priority) == ("remind", '{"number":7,"text":"☠"}', 5)
    assert schedule.trigger == Cron("0 9 * * *", "Europe/Paris")
    assert (schedule.message, schedule.runtime) == ({"retries": 2, "harakiri": 5.0}, True)
    assert (schedule.options.missed, schedule.options.jitter) == ("all", 3.0)
    assert scheduled.name.startswith("remind.")


@pytest.mark.parametrize(
    ("wanted", "trigger"),
    [
        ({"timer": 60}, Timer(60)),
        ({"timer": 60, "iterations": 3}, Timer(60, 3)),
        ({"timer": timedelta(minutes=1)}, Timer(60)),
        ({"cron": "@daily", "tz": "UTC"}, Cron("@daily", "UTC")),
        ({"cron": Cron("@daily", "UTC"), "tz": "UTC"}, Cron("@daily", "UTC")),
        ({"cron": Cron("* * * * * *", "Asia/Tokyo", seconds=True)}, Cron("* * * * * *", "Asia/Tokyo", seconds=True)),
        ({"filemon": "/etc/hosts"}, FileMonitor("/etc/hosts")),
        ({"filemon": Path("/etc/../etc/hosts")}, FileMonitor("/etc/hosts")),
    ],
)
async def test_what_fires_it(clock: Clock, spooler: Spooler, wanted: dict[str, Any], trigger: Any) -> None:
    scheduled = await spooler.schedule("remind", args=(1,), **wanted)
    assert (await scheduled.look()).trigger == trigger


async def test_names_are_made_of_all_that_is_wanted(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    first = await spooler.schedule("remind", timer=60, args=(1,))
    await first.pause()
    clock.move(100)
    again = await spooler.schedule("remind", timer=60, args=(1,))
    assert again.name == first.name
    assert (await again.look()).state == "paused", "the same once more changes nothing"
    names = {first.name}
    for wanted in ({"args": (2,)}, {"kwargs": {"number": 1, "text": "x"}}, {"timer": 61, "args": (1,)}, {"args": (1,),
                   "retries": 1}, {"args": (1,), "missed": "all"}, {"args": (1,), "priority": 1}):  # fmt: skip
        names.add((await spooler.schedule("remind", **{"timer": 60, **wanted})).name)  # type: ignore[arg-type]  # of a list
    assert len(names) == 7
    assert set(await memory.records()) == names


async def test_the_same_name_with_another_definition_begins_anew(clock: Clock, spooler: Spooler) -> None:
    one = await spooler.schedule("remind", timer=60, args=(1,), name="mine", iterations=1)
    clock.move(30)
    await one.run()
    await spooler.schedule("remind", timer=60, args=(2,), name="mine", iterations=1)
    record = await one.look()
    assert (record.schedule.arguments, record.since, record.after) == ('{"number":2}', START + 30, START + 30)
    assert (record.last, record.runs) == (START + 30, 1), "what is known of its last run is kept"


@pytest.mark.parametrize("number", [1, 2])
async def test_one_that_has_ended_begins_anew(clock: Clock, spooler: Spooler, memory: MemorySpool, number: int) -> None:
    """The same once more, or another one under its name: in either case it fires again."""
    for at, args in ((START + 60, (1,)), (START + 120, (number,))):
        one = await spooler.schedule("remind", timer=60, args=args, name="mine", iterations=1)
        assert not (await one.look()).is_over
        clock.move(60)
        await take_turn(memory, "mine", deciding(fire(at)))
        assert (await one.look()).is_over
    assert [message.arguments for message in memory.messages()] == [b'{"number":1}', f'{{"number":{number}}}'.encode()]
    assert len({message.id for message in memory.messages()}) == 2


async def test_what_was_stopped_or_paused_stays_so(clock: Clock, spooler: Spooler) -> None:
    one = await spooler.schedule("remind", timer=60, args=(1,), name="mine")
    await one.stop()
    assert (await (await spooler.schedule("remind", timer=60, args=(1,), name="mine")).look()).state == "off"
    assert (await (await spooler.schedule("remind", timer=60, args=(2,), name="mine")).look()).state == "on"
    await one.pause()
    assert (await (await spooler.schedule("remind", timer=60, args=(3,), name="mine")).look()).state == "paused"


async def test_a_spool_of_its_own(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    one = await spooler.schedule("remind", timer=60, args=(1,), spool="mail", name="mine")
    assert await memory.records() == {}
    with pytest.raises(ScheduleRefused, match="no schedule is called 'mine'"):
        await spooler.scheduled("mine").look()
    assert await spooler.scheduled("mine", spool="mail").look() == await one.look()
    with pytest.raises(UnknownSpool):
        await spooler.schedule("remind", timer=60, args=(1,), spool="nowhere")


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ({}, ScheduleRefused, "a schedule has one of timer=, cron= and filemon=, not none"),
        ({"timer": 1, "cron": "@daily"}, ScheduleRefused, "not timer and cron"),
        ({"timer": 0}, ScheduleRefused, "seconds must be"),
        ({"timer": "60"}, ScheduleRefused, "seconds must be"),
        ({"timer": 60, "iterations": 0}, ScheduleRefused, "iterations must be"),
        ({"cron": "@daily", "iterations": 2}, ScheduleRefused, "only a timer has iterations"),
        ({"timer": 60, "tz": "UTC"}, ScheduleRefused, "only a cron has a zone"),
        ({"cron": "61 * * * *"}, ScheduleRefused, "61"),
        ({"cron": "@daily", "tz": "Mars/Phobos"}, ScheduleRefused, "Mars/Phobos"),
        ({"filemon": ""}, ScheduleRefused, ""),
        ({"timer": 60, "cron": None, "tz": ""}, ScheduleRefused, "only a cron has a zone"),
        ({"cron": "@daily", "tz": ""}, ScheduleRefused, "tz='' is no name of a zone"),
        ({"cron": Cron("@daily"), "tz": "Asia/Tokyo"}, ScheduleRefused, "has its zone itself: leave tz= out"),
        ({"cron": 5}, ScheduleRefused, "a cron expression is a text"),
        ({"filemon": 5}, ScheduleRefused, "a file monitor watches a path"),
        ({"timer": timedelta(0)}, ScheduleRefused, "seconds must be"),
        ({"timer": 60, "name": 5}, ScheduleRefused, "the name of a schedule is a text, not 5"),
        ({"timer": 60, "name": ""}, ScheduleRefused, "the name of a schedule is a text, not ''"),
        ({"timer": 60, "lazy": "no"}, ScheduleRefused, "lazy must be"),
        (
            {"timer": 60, "args": 1},
            ArgumentsRefused,
            "args= are the arguments by position, as a tuple or a list, not 1",
        ),
        ({"timer": 60, "args": "1"}, ArgumentsRefused, "args= are the arguments by position"),
        ({"timer": 60, "kwargs": [1]}, ArgumentsRefused, "kwargs= are the arguments by name, as a dict, not [1]"),
        ({"timer": 60, "kwargs": {1: 2}}, ArgumentsRefused, "kwargs= are the arguments by name"),
        (
            {"timer": 60, "number": 1},
            ScheduleRefused,
            "a schedule has no number; arguments of the task go into args= and ",
        ),
        ({"timer": 60, "number": 1}, ScheduleRefused, 'kwargs=: kwargs={"number": …}; there are args, backoff, cron, '),
        (
            {"timer": 60, "concurrency": 1},
            ScheduleRefused,
            "concurrency of a schedule is said where the task is: @spooler.task(concurrency=…)",
        ),
        ({"timer": 60, "missed": "x"}, ScheduleRefused, "missed must be"),
        ({"timer": 60, "retries": -1}, TaskRefused, "retries"),
        ({"timer": 60, "harakiri": 0}, TaskRefused, "harakiri"),
        ({"timer": 60, "priority": -1}, NameRefused, "priority"),
        ({"timer": 60, "args": ()}, ArgumentsRefused, "number"),
        ({"timer": 60, "args": (1, "a", 3, 4)}, ArgumentsRefused, ""),
        ({"timer": 60, "kwargs": {"number": 1, "other": 2}}, ArgumentsRefused, "other"),
        ({"timer": 60, "args": ("not a number",)}, ArgumentsRefused, ""),
        ({"timer": 60, "args": (1, "x" * 65_536)}, ArgumentsRefused, "at most 64 KiB of JSON"),
        ({"timer": 60, "args": (1,), "kwargs": {"body": Body(b"x")}}, ArgumentsRefused, "no Body"),
        ({"timer": 60, "name": "remind"}, ScheduleRefused, "remind is the name of a task"),
    ],
)
async def test_what_is_refused(
    clock: Clock, spooler: Spooler, memory: MemorySpool, wanted: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as refused:
        await spooler.schedule("remind", **{"args": (1,), **wanted} if "kwargs" not in wanted else wanted)
    assert said in str(refused.value)
    assert await memory.records() == {}, "nothing is kept"


async def test_a_name_may_be_any(clock: Clock, tmp_path: Path) -> None:
    directory = DirectorySpool(tmp_path / "spool", durability="process")
    spooler = Spooler(directory)
    spooler.task(name="remind")(remind)
    for name in ("user/7", "..", "größer ☠", "x" * 300, "a\nb"):
        scheduled = await spooler.schedule("remind", timer=60, args=(1,), name=name)
        await scheduled.run()
        assert (await scheduled.look()).schedule.name == name
    assert len(directory.browse()) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"spool"}
    await spooler.aclose()


def test_without_an_event_loop(memory: MemorySpool) -> None:
    spooler = Spooler(memory)
    task = spooler.task(name="remind")(remind)
    scheduled = spooler.sync.schedule(task, timer=60, args=(1,), iterations=1)
    assert scheduled.sync.look().trigger == Timer(60, 1)
    scheduled.sync.remove()
    with pytest.raises(ScheduleRefused):
        scheduled.sync.look()


# --- which task ------------------------------------------------------------------------------------------------------


async def test_only_its_own_tasks_and_names_are_scheduled(clock: Clock, memory: MemorySpool) -> None:
    spooler, elsewhere, group = Spooler(memory), Spooler(memory), Tasks()
    spooler.task(name="shop.mail.remind")(remind)
    theirs, nobodys = elsewhere.task(name="theirs")(remind), group.task(name="nobodys")(remind)
    wrongs: list[tuple[Any, str]] = [
        ("remind", "no task here is called 'remind'; did you mean 'shop.mail.remind'?"),
        ("mail.remind", "no task here is called 'mail.remind'; did you mean 'shop.mail.remind'?"),
        (spooler.task_named("remind"), "did you mean 'shop.mail.remind'?"),
        (theirs, "theirs is no task of this Spooler"),
        (elsewhere.task_named("theirs"), "is scheduled by its name, 'theirs'"),
        (nobodys, "nobodys is no task of this Spooler: call spooler.include(…) if it is in a group"),
        (theirs.using(priority=3), "theirs.using(…) is one call: give the options to the schedule"),
        (remind, "is no task, and no name of one: put @spooler.task over a function"),
        (5, "5 is no task, and no name of one"),
    ]
    for wrong, said in wrongs:
        with pytest.raises(ScheduleRefused) as refused:
            await spooler.schedule(wrong, timer=60, args=(1,))
        assert said in str(refused.value)
    assert await memory.records() == {}
    spooler.include(group)
    for right in (nobodys, "nobodys", "theirs", "another.programs", spooler.task_named("another.programs")):
        await spooler.schedule(right, timer=60, args=(1,))
    assert len(await memory.records()) == 3


def test_the_handle_of_a_task(spooler: Spooler) -> None:
    @spooler.timer(10, name="tick")
    def tick() -> None: ...

    for asked in (tick, "tick"):
        assert spooler.scheduled(asked).sync.look().schedule == tick.schedule
    assert spooler.scheduled(tick, spool="mail").spool is spooler.spools["mail"]
    other: Any
    for other in (spooler.tasks["remind"], 5, None, remind):
        with pytest.raises(ScheduleRefused, match="is neither a task with a schedule nor the name of a schedule"):
            spooler.scheduled(other)


# --- signals ---------------------------------------------------------------------------------------------------------


async def test_only_handlers_that_are_on_are_counted(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    handlers = [spooler.signal("reload", name=name)(lambda: None) for name in ("a", "b", "c")]
    assert await spooler.raise_signal("reload") == 3
    await handlers[0].pause()
    await handlers[1].stop()
    assert await spooler.raise_signal("reload") == 1
    assert len(memory.messages()) == 4
    await handlers[2].stop()
    assert await Spooler(memory).raise_signal("reload") == 0, "there are some, and they hear nothing"


async def test_an_unknown_signal_is_told_with_near_ones(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    spooler.signal("reload-prices", name="a")(lambda: None)
    said = r"nobody has a handler of the signal 'reload-price'; did you mean 'reload-prices'\? It is made with "
    with pytest.raises(ScheduleRefused, match=said):
        await spooler.raise_signal("reload-price")
    with pytest.raises(ScheduleRefused, match="nobody has a handler of the signal 'reload-price': it is made with"):
        await Spooler(memory).raise_signal("reload-price")
    await spooler.raise_signal("reload-prices")
    with pytest.raises(ScheduleRefused, match=said):
        await Spooler(memory).raise_signal("reload-price")


async def test_a_handler_whose_code_no_worker_has_yet(clock: Clock, memory: MemorySpool) -> None:
    before, after = Spooler(memory), Spooler(memory)
    before.signal("reload", name="a")(lambda: None)
    await before.raise_signal("reload")
    after.signal("refresh", name="a")(lambda: None)
    for signal in ("reload", "refresh"):
        assert await after.raise_signal(signal) == 1
