"""Groups of tasks: their names, which Spooler they belong to, and spooling by name."""

import asyncio
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
from aspool.outcomes import Buried, Done, Outcome

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
