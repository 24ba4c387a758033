"""Timers, crons and file monitors of the module `uwsgi`: the schedules that they become, in the code and later."""

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after, sleep

from aspool import Spooler, WorkerSettings
from aspool.compat import Program, Role
from aspool.compat.blocking import wait_for
from aspool.compat.forks import begin
from aspool.compat.running import module_of
from aspool.cron import Cron
from aspool.scheduled import ScheduledTask
from aspool.schedules import FileMonitor, Timer
from aspool.worker import running

from ..conftest import MakeProgram

DECLARES = """
import uwsgi

def tick(num): ...

uwsgi.register_signal(1, "", tick)
uwsgi.add_timer(1, 30)
"""
MASTER = Role("spooler", 1, 1)  # a process that lives as long as the test


def handler(number: int) -> None:
    """What the tests register after the import has a name that another process finds."""


def schedules(program: Program) -> dict[str, Any]:
    """The triggers that the code of a program has."""
    return {
        name: task.schedule.trigger
        for name, task in program.spooler.tasks.items()
        if isinstance(task, ScheduledTask) and not name.startswith("uwsgi.signal.")
    }


def published(spool_path: Path) -> list[str]:
    """The names of the schedules that were made in a spool."""
    spool: Any = Spooler(spool_path).spool_of(None)
    return sorted(name for name in wait_for(spool.records) if not name.startswith("uwsgi.signal."))


# --- declared ----------------------------------------------------------------------------------------------------


def test_what_a_module_adds_becomes_schedules_of_the_code(make_program: MakeProgram, tmp_path: Path) -> None:
    program = make_program(role=MASTER)
    uwsgi: Any = program.module
    uwsgi.register_signal(1, "", handler)
    uwsgi.add_timer(1, 30)
    uwsgi.add_timer(1, 0.5)
    uwsgi.add_rb_timer(1, 5)
    uwsgi.add_rb_timer(1, 5, 2)
    uwsgi.add_ms_timer(1, 250)
    uwsgi.add_cron(1, -5, 2, -1, -1, 7)
    uwsgi.add_file_monitor(1, str(tmp_path))
    name = f"{__name__}.handler"
    assert schedules(program) == {
        f"uwsgi.timer.{name}": Timer(30),
        f"uwsgi.timer.{name}.2": Timer(0.5),
        f"uwsgi.rb_timer.{name}": Timer(5),
        f"uwsgi.rb_timer.{name}.2": Timer(5, 2),
        f"uwsgi.ms_timer.{name}": Timer(0.25),
        f"uwsgi.cron.{name}": Cron("*/5 2 * * 7", "UTC", day_and=True),
        f"uwsgi.file_monitor.{name}": FileMonitor(str(tmp_path)),
    }
    tasks = [task for task in program.spooler.tasks.values() if isinstance(task, ScheduledTask)]
    assert {task.schedule.options.missed for task in tasks} == {"skip"}, "uWSGI makes up for nothing"


def test_a_timer_may_be_added_before_its_signal_is_registered(make_program: MakeProgram) -> None:
    program = make_program(role=MASTER)
    uwsgi: Any = program.module
    uwsgi.add_timer(1, 30)
    assert schedules(program) == {}
    uwsgi.register_signal(1, "", handler)
    assert list(schedules(program).values()) == [Timer(30)]


def test_what_never_fires_there_is_no_schedule(make_program: MakeProgram) -> None:
    program = make_program(role=MASTER)
    uwsgi: Any = program.module
    uwsgi.register_signal(1, "", handler)
    uwsgi.add_timer(1, 0)
    uwsgi.add_timer(1, -1)
    uwsgi.add_ms_timer(1, 0)
    assert schedules(program) == {}


def test_a_timer_of_no_seconds_that_does_is_at_once(make_program: MakeProgram) -> None:
    program = make_program(role=MASTER)
    uwsgi: Any = program.module
    uwsgi.register_signal(1, "", handler)
    uwsgi.add_rb_timer(1, 0, 1)
    uwsgi.add_rb_timer(1, 0)
    assert list(schedules(program).values()) == [Timer(0.001, 1), Timer(1.0)], "for ever: once in a cycle of the master"


def test_what_can_never_be_is_refused_with_the_reason(make_program: MakeProgram) -> None:
    uwsgi: Any = make_program(role=MASTER).module
    with pytest.raises(ValueError, match="unable to add cron: the minute is 99, and goes from 0 to 59"):
        uwsgi.add_cron(1, 99, -1, -1, -1, -1)
    with pytest.raises(ValueError, match=r"unable to add cron: .* there is no day 31 in month 2"):
        uwsgi.add_cron(1, 0, 0, 31, 2, -1)
    with pytest.raises(ValueError, match=r"^unable to add file monitor$"):
        uwsgi.add_file_monitor(1, "x" * 255)
    uwsgi.register_signal(1, "", handler)
    with pytest.raises(ValueError, match="unable to add timer: a timer's seconds must be a number from"):
        uwsgi.add_timer(1, 10**12)


def test_a_cron_is_in_the_zone_of_the_spooler(make_program: MakeProgram, spool_path: Path) -> None:
    program = make_program(Spooler(spool_path, tz="Asia/Tokyo"), role=MASTER)
    uwsgi: Any = program.module
    uwsgi.register_signal(1, "", handler)
    uwsgi.add_cron(1, 0, 9, -1, -1, -1)
    assert [trigger.tz for trigger in schedules(program).values()] == ["Asia/Tokyo"]
    begin(program)
    uwsgi.add_cron(1, 0, 10, -1, -1, -1)
    (name,) = published(spool_path)
    assert program.spooler.scheduled(name).sync.look().trigger == Cron("0 10 * * *", "Asia/Tokyo", day_and=True)


@pytest.mark.anyio
async def test_timers_and_file_monitors_fire(make_program: MakeProgram, tmp_path: Path) -> None:
    got: list[Any] = []
    program = make_program(role=MASTER)
    uwsgi: Any = program.module
    for number in range(4):
        uwsgi.register_signal(number, "", got.append)
    uwsgi.add_timer(0, 0.02)
    uwsgi.add_rb_timer(1, 0.02, 2)
    uwsgi.add_file_monitor(2, str(tmp_path / "watched"))
    begin(program)
    async with running(program.spooler, WorkerSettings()):
        uwsgi.add_timer(3, 0.02)  # later: it is known to the worker at once
        with fail_after(30):
            while not ({0, 1, 2, 3} <= set(got) and got.count(0) > 4):
                if 2 not in got:  # the first look at it only notes what it is like
                    (tmp_path / "watched").write_text(str(len(got)))
                await sleep(0.1)
    assert got.count(1) == 2


def test_an_iteration_begins_anew_with_each_master_and_not_with_each_worker(
    make_program: MakeProgram, spool_path: Path
) -> None:
    starts = []
    for role in (MASTER, MASTER, Role("spooler", 2, 1), Role("spooler", 1)):
        program = make_program(Spooler(spool_path), role=role)
        uwsgi: Any = program.module
        uwsgi.register_signal(1, "", handler)
        uwsgi.add_rb_timer(1, 60, 2)
        begin(program)
        starts.append(program.spooler.scheduled(f"uwsgi.rb_timer.{__name__}.handler").sync.look().since)
    assert starts[0] == starts[1] == starts[2] < starts[3]


# --- added while the program runs --------------------------------------------------------------------------------


def test_what_is_added_later_is_made_in_the_spool(uwsgi: Any, spool_path: Path, tmp_path: Path) -> None:
    uwsgi.register_signal(7, "", handler)
    uwsgi.add_timer(7, 30)
    uwsgi.add_timer(7, 30)
    uwsgi.add_timer(7, 60)
    uwsgi.add_rb_timer(7, 30, 2)
    uwsgi.add_ms_timer(7, 500)
    uwsgi.add_cron(7, 0, 3, -1, -1, -1)
    uwsgi.add_file_monitor(7, str(tmp_path))
    assert published(spool_path) == sorted(
        [
            "uwsgi.timer.7.30",
            "uwsgi.timer.7.60",
            "uwsgi.rb_timer.7.30x2",
            "uwsgi.ms_timer.7.0.5",
            "uwsgi.cron.7.0.3.-1.-1.-1",
            f"uwsgi.file_monitor.7.{tmp_path}",
        ]
    )


def test_a_timer_follows_its_signal(uwsgi: Any, program: Program) -> None:
    """It may be added before its signal is registered, or registered anew for others."""
    uwsgi.add_timer(7, 30)
    timer = program.spooler.scheduled("uwsgi.timer.7.30").sync
    before = timer.look()
    assert (before.schedule.options.target, before.schedule.arguments) == ("spooler", '{"number":7}')
    for target, aim in (("", "spooler"), ("workers", "workers"), ("workers", "workers")):
        uwsgi.register_signal(7, target, handler)
        schedule = timer.look().schedule
        assert schedule.options.target == aim
        assert f"{__name__}:handler" in schedule.arguments


def test_what_a_web_process_imports_is_left_to_the_workers_that_import_it(
    uwsgi: Any, program: Program, spool_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "jobs_of_web.py").write_text(DECLARES)
    __import__("jobs_of_web")
    del sys.modules["jobs_of_web"]
    assert list(schedules(program)) == ["uwsgi.timer.jobs_of_web.tick"]
    assert not spool_path.exists(), "an import writes nothing"
    uwsgi.add_timer(1, 60)
    assert published(spool_path) == ["uwsgi.timer.1.60"]


@pytest.mark.parametrize("kind", ["worker", "mule"])
def test_a_module_that_is_named_by_its_file_declares_too(
    make_program: MakeProgram, spool_path: Path, tmp_path: Path, kind: Any
) -> None:
    program = make_program(role=Role(kind, 1), mules=1)
    file = tmp_path / "by_file.py"
    file.write_text(DECLARES)
    name = module_of(str(file)).__name__
    del sys.modules[name]
    assert list(schedules(program)) == [f"uwsgi.timer.{name}.tick"[-200:]]
    assert not spool_path.exists()


def test_from_the_thread_of_an_event_loop(make_program: MakeProgram, spool_path: Path) -> None:
    program = make_program(role=MASTER, in_main_thread=True)
    begin(program)

    async def task() -> None:
        program.module.register_signal(7, "", handler)
        program.module.add_timer(7, 30)

    anyio.run(task)
    assert published(spool_path) == ["uwsgi.timer.7.30"]
