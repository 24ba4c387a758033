"""Groups of tasks: their names, which Spooler they belong to, and spooling by name."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from aspool import (
    ArgumentsRefused,
    Body,
    CallError,
    Job,
    MemorySpool,
    NoResult,
    Spooler,
    TaskRefused,
    Tasks,
)
from aspool.cron import Cron, uwsgi_cron
from aspool.errors import ScheduleRefused
from aspool.outcomes import Buried, Done, Outcome
from aspool.schedules import FileMonitor, Signal, Timer, Trigger, Unset

from ..worker.bursts import burst as run_burst


def double(number: int) -> int:
    return 2 * number


def halve(number: int) -> float:
    return number / 2


def burst(spooler: Spooler) -> list[Outcome]:
    return asyncio.run(run_burst(spooler))


def test_a_prefix_makes_the_name() -> None:
    tasks = Tasks(prefix="mail.")
    assert tasks.task(double).name == "mail.double"
    assert tasks.task(name="send")(halve).name == "mail.send"
    assert Tasks().task(double).name == "tests.root.test_collection.double"
    assert sorted(tasks.tasks) == ["mail.double", "mail.send"]


def test_included_tasks_spool_to_the_spooler() -> None:
    tasks = Tasks(prefix="mail.")
    before = tasks.task(double)
    spooler = Spooler(MemorySpool())
    spooler.include(tasks)
    after = tasks.task(halve)
    assert spooler.tasks == {"mail.double": before, "mail.halve": after}
    before.spool_sync(1)
    after.using(priority=1).spool_sync(2)
    spooler.spool_many_sync([before.call(3), after.call(4)])
    assert burst(spooler) == [Done()] * 4


def test_a_group_may_include_groups() -> None:
    inner, outer, spooler = Tasks(prefix="inner."), Tasks(prefix="outer."), Spooler(MemorySpool())
    task = inner.task(double)
    outer.include(inner)
    spooler.include(outer)
    task.spool_sync(1)
    assert set(spooler.tasks) == {"inner.double"}
    assert burst(spooler) == [Done()]


def test_a_group_knows_who_included_it() -> None:
    inner, outer, spooler = Tasks(), Tasks(), Spooler(MemorySpool())
    outer.include(inner)
    assert inner.included_by() == [__name__]
    spooler.include(outer)
    assert inner.included_by() == [__name__, __name__]
    assert spooler.included_by() == []


def test_a_group_without_a_spooler_can_be_called_only() -> None:
    tasks = Tasks(prefix="mail.")
    task = tasks.task(double)
    assert task(3) == 6
    ways = (partial(task.spool_sync, 3), partial(asyncio.run, task.spool(3)), partial(task.ticket, "a"))
    for spool in ways:
        with pytest.raises(CallError, match=r"the tasks of <Tasks mail\.> belong to no Spooler yet"):
            spool()


def test_a_group_belongs_to_one_spooler() -> None:
    tasks, spooler = Tasks(), Spooler(MemorySpool())
    spooler.include(tasks)
    spooler.include(tasks)
    with pytest.raises(TaskRefused, match="included elsewhere already"):
        Spooler(MemorySpool()).include(tasks)
    with pytest.raises(TaskRefused, match="cannot include itself"):
        spooler.include(spooler)


def test_two_tasks_of_one_name_are_refused_wherever_they_meet() -> None:
    tasks, spooler = Tasks(prefix="a."), Spooler(MemorySpool())
    spooler.task(name="a.double")(halve)
    tasks.task(double)
    with pytest.raises(TaskRefused, match=r"two tasks are called a\.double"):
        spooler.include(tasks)
    spooler.include(Tasks())
    late = Tasks(prefix="a.")
    spooler.include(late)
    with pytest.raises(TaskRefused, match=r"two tasks are called a\.double"):
        late.task(double)
    assert late.tasks == {}


# --- by name -------------------------------------------------------------------------------------------------


def test_a_task_that_is_here_is_found_by_its_name() -> None:
    spooler = Spooler(MemorySpool())
    task = spooler.task(name="mail.double")(double)
    assert spooler.task_named("mail.double") is task


def test_arguments_by_name_and_by_position_reach_the_task() -> None:
    got: list[Any] = []
    spool = MemorySpool()
    here, there = Spooler(spool), Spooler(spool)

    @there.task(name="mail.send", keep_result=60)
    def send(job: Job, to: str, body: Body, *, count: int = 1, note: bytes = b"") -> int:
        got.append((to, body.file.read(), count, note))
        return count

    send_by_name = here.task_named("mail.send")
    assert repr(send_by_name) == "<NamedTask mail.send>"
    send_by_name.spool_sync("a@b.c", Body(b"first"), count=2)
    send_by_name.using(priority=1).spool_sync(to="c@d.e", body=Body(b"second"), note=b"\xff")
    here.spool_many_sync([send_by_name.call(Body(b"third"), "f@g.h")])
    assert [type(outcome) for outcome in burst(there)] == [Done] * 3
    assert sorted(got) == [
        ("a@b.c", b"first", 2, b""), ("c@d.e", b"second", 1, b"\xff"), ("f@g.h", b"third", 1, b"")
    ]  # fmt: skip


def test_whether_a_result_is_kept_is_known_where_the_function_is() -> None:
    spool = MemorySpool()
    here, there = Spooler(spool), Spooler(spool)
    there.task(name="kept", keep_result=60)(double)
    there.task(name="lost")(halve)
    kept, lost = here.task_named("kept").spool_sync(2), here.task_named("lost").spool_sync(2)
    burst(there)
    assert kept.sync.result(timeout=20) == 4
    with pytest.raises(NoResult, match="it has ended, or never was"):
        lost.sync.result(timeout=20)


def test_a_call_by_name_may_have_any_option() -> None:
    spool = MemorySpool()
    task = Spooler(spool).task_named("mail.send")
    task.using(working_dir="/tmp", keep_result=60, retries=0).spool_sync()
    with pytest.raises(TaskRefused, match=r"mail\.send: retries"):
        task.using(retries=-1)


@pytest.mark.parametrize(("args", "kwargs"), [((1, 2), {}), ((1,), {"number": 2}), ((), {"nmber": 1}), (("x",), {})])
def test_arguments_that_do_not_fit_are_noticed_when_it_runs(args: Any, kwargs: Any) -> None:
    spooler = Spooler(MemorySpool())
    spooler.task_named("double").spool_sync(*args, **kwargs)
    spooler.task(name="double")(double)
    (outcome,) = burst(spooler)
    assert isinstance(outcome, Buried)
    assert outcome.reason.startswith("the stored arguments do not fit double: ")


def test_what_json_cannot_have_is_refused_at_once() -> None:
    task = Spooler(MemorySpool()).task_named("mail.send")
    with pytest.raises(ArgumentsRefused, match=r"mail\.send: the arguments cannot be written as JSON"):
        task.spool_sync(object())
    with pytest.raises(ArgumentsRefused, match="at most one Body"):
        task.spool_sync(Body(b""), Body(b""))


def test_groups_do_not_include_each_other() -> None:
    outer, inner, innermost = Tasks("outer."), Tasks("inner."), Tasks("innermost.")
    outer.include(inner)
    inner.include(innermost)
    with pytest.raises(TaskRefused, match="cannot include itself"):
        innermost.include(outer)
    innermost.task(double)
    assert list(outer.tasks) == ["innermost.double"]


def test_a_group_is_included_whole_or_not_at_all() -> None:
    group = Tasks()
    for name in ("first", "taken", "last"):
        group.task(name=name)(double)
    spooler = Spooler(MemorySpool())
    spooler.task(name="taken")(halve)
    with pytest.raises(TaskRefused, match="two tasks are called taken"):
        spooler.include(group)
    assert list(spooler.tasks) == ["taken"]


def test_two_schedules_of_one_function_have_two_names() -> None:
    group = Tasks("shop.")

    def open_doors() -> None: ...

    weekdays = group.cron("0 9 * * MON-FRI", name="weekdays")(open_doors)
    group.cron("0 11 * * SAT,SUN")(weekdays)
    assert sorted(group.tasks) == [f"shop.{open_doors.__qualname__}", "shop.weekdays"]
    for name in ("weekdays", None):
        known = group.tasks[f"shop.{name or open_doors.__qualname__}"]
        with pytest.raises(TaskRefused, match="two schedules are called shop"):
            group.timer(60, name=name)(known)


def test_a_cron_of_both_days() -> None:
    group = Tasks("shop.")
    friday_13th = group.cron("0 9 13 * FRI", day_and=True, name="friday")(lambda: None)
    moment = friday_13th.schedule.trigger.next_after(datetime(2026, 11, 21, tzinfo=UTC).timestamp(), 0)
    assert moment == datetime(2027, 8, 13, 9, tzinfo=UTC).timestamp()


# --- schedules -------------------------------------------------------------------------------------------------------


def nothing() -> None: ...


def test_decorators_of_schedules() -> None:
    tasks = Tasks(prefix="shop.")
    made: dict[Any, Trigger] = {
        tasks.timer(1.5, iterations=2, name="a"): Timer(1.5, 2),
        tasks.timer(lazy=True, name="b"): Unset("timer"),
        tasks.timer(3, lazy=True, name="c"): Timer(3),
        tasks.cron("30 2 * * *", tz="Europe/Paris", name="d"): Cron("30 2 * * *", "Europe/Paris"),
        tasks.cron("*/10 * * * * *", seconds=True, name="e"): Cron("*/10 * * * * *", "UTC", seconds=True),
        tasks.cron(minute=-5, hour=-1, tz="UTC", name="f"): uwsgi_cron(minute=-5, tz="UTC"),
        tasks.cron(lazy=True, name="g"): Unset("cron", tz="UTC"),
        tasks.filemon("/etc/../etc/hosts", name="h"): FileMonitor("/etc/hosts"),
        tasks.filemon(lazy=True, name="i"): Unset("filemon"),
        tasks.signal("reload", name="j"): Signal("reload"),
        tasks.cron(minute=-1, name="k"): uwsgi_cron(tz="UTC"),
        tasks.timer(timedelta(minutes=1.5), name="l"): Timer(90.0),
    }
    for letter, (decorator, trigger) in zip("abcdefghijkl", made.items(), strict=True):
        task = decorator(nothing)
        assert (task.name, task.schedule.name, task.schedule.task) == (f"shop.{letter}",) * 3
        assert task.schedule.trigger == trigger
    assert set(tasks.tasks) == {f"shop.{letter}" for letter in "abcdefghijkl"}


def test_options_of_the_task_and_of_the_schedule_are_told_apart() -> None:
    task = Tasks().timer(10, retries=7, priority=2, missed="all", jitter=1, retry_on=ValueError)(nothing)
    assert (task.options.retries, task.options.priority, task.options.retry_on) == (7, 2, (ValueError,))
    assert (task.schedule.options.missed, task.schedule.options.jitter) == ("all", 1)
    assert task.schedule.priority == 2


def test_schedules_that_cannot_be_are_refused_when_decorated() -> None:
    tasks: Any = Tasks()
    wrongs: tuple[Any, ...] = (
        lambda: tasks.timer(0),
        lambda: tasks.timer(),
        lambda: tasks.timer(10, iterations=0),
        lambda: tasks.cron("61 * * * *"),
        lambda: tasks.cron("* * * * *", tz="Mars/Phobos"),
        lambda: tasks.cron("0 0 30 2 *"),
        lambda: tasks.cron("* * * * *", minute=3),
        lambda: tasks.cron("* * * * *", minute=-1),
        lambda: tasks.cron(),
        lambda: tasks.cron(None),
        lambda: tasks.cron("* * * * *", tz=""),
        lambda: tasks.cron(minute=3, tz=""),
        lambda: tasks.cron("* * * * *", tz=5),
        lambda: tasks.cron("* * * * *", seconds="no"),
        lambda: tasks.cron(minute=60),
        lambda: tasks.filemon(),
        lambda: tasks.filemon(""),
        lambda: tasks.filemon(5),
        lambda: tasks.filemon(b"x"),
        lambda: tasks.timer(timedelta(0)),
        lambda: tasks.timer(5, lazy="no"),
        lambda: tasks.signal("a/b"),
        lambda: tasks.timer(10, missed="never"),
        lambda: tasks.timer(lazy=True, iterations=0),
        lambda: tasks.cron(lazy=True, tz="Mars/Phobos"),
    )
    for wrong in wrongs:
        with pytest.raises(ScheduleRefused):
            wrong()(nothing)
    for decorator, said in (
        (tasks.timer(10, colour="red"), "nothing: a schedule has no option colour; there are backoff, concurrency, "),
        (tasks.timer(10, tz="UTC"), "nothing: a timer has no option tz: a cron has it"),
        (tasks.cron("@daily", iterations=3), "nothing: a cron has no option iterations: a timer has it"),
        (tasks.filemon(lazy=True, minute=3), "nothing: a filemon has no option minute: a cron has it"),
        (tasks.signal("a", path="/a"), "nothing: a signal has no option path: a filemon has it"),
    ):
        with pytest.raises(TaskRefused, match=said):
            decorator(nothing)
    assert tasks.tasks == {}


@pytest.mark.parametrize(
    ("decorator", "said"),
    [
        ("timer", r"write @spooler.timer\(seconds\), with parentheses and seconds"),
        ("cron", r"write @spooler.cron\(expression\), with parentheses and an expression"),
        ("filemon", r"write @spooler.filemon\(path\), with parentheses and a path"),
        ("signal", r"write @spooler.signal\(name\), with parentheses and the name of a signal"),
    ],
)
def test_parentheses_that_were_forgotten(decorator: str, said: str) -> None:
    tasks = Tasks()
    for function in (nothing, Tasks().timer(10)(nothing)):
        with pytest.raises(ScheduleRefused, match=said):
            getattr(tasks, decorator)(function)
    assert tasks.tasks == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((59, 3, -1, -1, -1), 'write cron(minute=59, hour=3) or cron("59 3 * * *")'),
        ((59,), 'write cron(minute=59) or cron("59 * * * *")'),
        ((-1, -1, -1, -1, -1), 'write cron(minute=-1) or cron("* * * * *")'),
        ((0, 0, 13, -1, 5), 'write cron(minute=0, hour=0, day=13, weekday=5) or cron("0 0 13 * 5")'),
        ((0, 0, -2, -1, 5), "write cron(minute=0, hour=0, day=-2, weekday=5)"),
        ((60, 3), "the minute is 60"),
        (("0 9 * * *", "Europe/Paris"), 'cron("59 3 * * *", tz="Europe/Paris")'),
        (("0", "9", "*", "*", "*"), 'cron("59 3 * * *", tz="Europe/Paris")'),
        ((None, 3), "all else by its name"),
        ((True,), "all else by its name"),
        ((1, 2, 3, 4, 5, 6), "all else by its name"),
    ],
)
def test_a_line_of_uwsgi_says_how_it_is_written(given: tuple[Any, ...], said: str) -> None:
    cron: Any = Tasks().cron
    with pytest.raises(ScheduleRefused) as refused:
        cron(*given)
    assert said in str(refused.value)
    if said.startswith("write"):
        assert str(refused.value) == said


def test_a_task_over_a_schedule_is_refused() -> None:
    tasks: Any = Tasks(prefix="shop.")
    tick = tasks.timer(10)(nothing)
    for decorator in (tasks.task, tasks.task(name="other"), Spooler(MemorySpool()).task):
        with pytest.raises(TaskRefused, match=r"shop.nothing has a schedule, and is a task already: leave @spooler.ta"):
            decorator(tick)
    assert tasks.tasks == {"shop.nothing": tick}


def test_two_schedules_of_one_function_need_two_names() -> None:
    tasks: Any = Tasks(prefix="shop.")
    first = tasks.timer(10)(nothing)
    second = tasks.cron("@daily", name="daily")(first)
    assert (second.name, second.function) == ("shop.daily", nothing)
    assert set(tasks.tasks) == {"shop.nothing", "shop.daily"}
    with pytest.raises(TaskRefused, match=r"two schedules are called shop.nothing: give one of them another name="):
        tasks.timer(20)(first)
    with pytest.raises(TaskRefused, match=r"give the options of the task to its schedule"):
        tasks.timer(20, name="x")(Tasks().task(halve))

    def other() -> None: ...

    with pytest.raises(TaskRefused):
        tasks.timer(10, name="nothing")(other)


def test_a_cron_without_a_zone_has_that_of_the_spooler() -> None:
    tasks = Tasks()
    task = tasks.cron("30 2 * * *", name="nightly")(nothing)
    fixed = tasks.cron("30 2 * * *", name="fixed", tz="UTC")(nothing)
    assert task.schedule.trigger == Cron("30 2 * * *", "UTC")
    spooler = Spooler(MemorySpool(), tz="Asia/Tokyo")
    spooler.include(tasks)
    assert task.schedule.trigger == Cron("30 2 * * *", "Asia/Tokyo")
    assert fixed.schedule.trigger == Cron("30 2 * * *", "UTC")
    lazy = tasks.cron(lazy=True, name="lazy")(nothing)
    lazy.sync.start(expression="@daily")
    assert lazy.sync.look().trigger == Cron("@daily", "Asia/Tokyo")
    zoned = tasks.cron(lazy=True, tz="Europe/Paris", name="zoned")(nothing)
    zoned.sync.start(hour=3)
    assert zoned.sync.look().trigger == uwsgi_cron(hour=3, tz="Europe/Paris")
    few = tasks.timer(lazy=True, iterations=2, name="few")(nothing)
    few.sync.start(seconds=5)
    assert few.sync.look().trigger == Timer(5, 2)
    with pytest.raises(ScheduleRefused, match="Mars"):
        Spooler(MemorySpool(), tz="Mars/Phobos")
