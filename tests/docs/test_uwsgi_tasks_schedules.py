"""Each row of the table of timers and crons for people who come from uwsgi_tasks, run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from anyio import Event, fail_after

from aspool import ArgumentsRefused, Job, Spooler, worker
from aspool.errors import ScheduleRefused
from aspool.scheduled import Scheduled
from aspool.testing import SpoolUnderTest, drain_sync

from .firing import NOON, fires, times
from .pages import ROOT
from .tables import Tables

TABLES = Tables(ROOT / "docs" / "coming-from-uwsgi-tasks.md", "uwsgi_tasks", sections=("Timers and crons",))
row = TABLES.row


def test_every_row_has_a_test() -> None:
    TABLES.check(at_least=20)


@pytest.fixture
def noon() -> datetime:
    return NOON.replace(second=30)


def moments(spooler: Spooler, spool: SpoolUnderTest, step: float, count: int) -> list[str]:
    """The days and times at which something runs."""
    return times(spooler, spool, step, count, "%a %H:%M:%S")


@row("@timer(seconds=5)")
def test_a_timer(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(5)
    def f() -> None: ...

    assert moments(spooler, spool, 0, 1) == []
    assert moments(spooler, spool, 2.5, 4) == ["Sat 12:00:35", "Sat 12:00:40"]


@row("@timer(seconds=5, iterations=3)")
def test_iterations(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(5, iterations=3)
    def f() -> None: ...

    fires(spooler, spool)
    assert len(moments(spooler, spool, 5, 10)) == 3, "each drain is a worker that starts"
    f.sync.start()
    assert len(moments(spooler, spool, 5, 10)) == 3


@row("@timer_lazy(seconds=5), then f()", "f() of a timer")
def test_a_lazy_timer(spooler: Spooler, spool: SpoolUnderTest) -> None:
    called = []

    @spooler.timer(5, lazy=True, name="f")
    def f() -> None:
        called.append(1)

    f()
    assert called == [1]
    assert fires(spooler, spool, 5) == []
    f.sync.start()
    f.sync.start()
    assert fires(spooler, spool, 5) == ["f"]
    f.sync.pause()
    assert fires(spooler, spool, 5) == []
    f.sync.resume()
    assert fires(spooler, spool, 5) == ["f"]
    f.sync.stop()
    assert fires(spooler, spool, 5) == []
    f.spool_sync()
    assert fires(spooler, spool) == ["f"]


@row("add_setup(seconds=10, iterations=2), then f()")
def test_another_interval(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(lazy=True)
    def f() -> None: ...

    @spooler.cron(lazy=True)
    def g() -> None: ...

    with pytest.raises(ScheduleRefused, match="without seconds"):
        f.sync.start()
    f.sync.start(seconds=10, iterations=2)
    assert moments(spooler, spool, 5, 8) == ["Sat 12:00:40", "Sat 12:00:50"]
    g.sync.start(expression="0 14 * * *", tz="Europe/Paris")
    assert moments(spooler, spool, 1770, 3) == ["Sat 13:00:10"]
    g.sync.start(minute=-10)
    assert len(moments(spooler, spool, 600, 3)) == 3


@row("@cron(minute=59, hour=23)")
def test_a_cron(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=59, hour=23, tz="Europe/Paris", missed="skip")
    def f() -> None: ...

    @spooler.cron("59 23 * * *", tz="Europe/Paris", missed="skip")
    def g() -> None: ...

    spool.clock.set(datetime(2026, 11, 21, 22, 59, 30, tzinfo=UTC))
    assert fires(spooler, spool) == [], "it is a minute that fits, but nothing says that it was missed"
    spool.clock.move(86_400 - 30 - 60)
    assert moments(spooler, spool, 20, 9) == ["Sun 22:59:00"]


@row("@cron(minute=-2)", "@cron(hour=-1)")
def test_negative_numbers(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=-2, name="even")
    def even() -> None: ...

    @spooler.cron(hour=-1, name="minutes")
    def minutes() -> None: ...

    @spooler.cron(minute=0, name="hours")
    def hours() -> None: ...

    fires(spooler, spool)
    ran = [task for _ in range(120) for task in fires(spooler, spool, 30)]
    assert [ran.count(name) for name in ("even", "minutes", "hours")] == [30, 60, 1]


@row("@cron(dayweek=1)")
def test_the_day_of_the_week(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=0, hour=9, weekday=1)
    def monday() -> None: ...

    @spooler.cron(minute=0, hour=10, weekday=0)
    @spooler.cron(minute=0, hour=11, weekday=7, name="seven")
    def sunday() -> None: ...

    spool.clock.set(datetime(2026, 11, 21, tzinfo=UTC))
    fires(spooler, spool)
    assert moments(spooler, spool, 3600, 7 * 24) == ["Sun 10:00:00", "Sun 11:00:00", "Mon 09:00:00"]


@row("@cron_lazy(minute=-2), then f()")
def test_a_lazy_cron(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=-2, lazy=True)
    def f() -> None: ...

    assert moments(spooler, spool, 30, 4) == []
    f.sync.start()
    assert moments(spooler, spool, 30, 8) == ["Sat 12:04:00", "Sat 12:06:00"]


@row("def f(signal_number)")
def test_what_the_function_gets(spooler: Spooler, spool: SpoolUnderTest) -> None:
    got: list[datetime | None] = []

    @spooler.cron("0 13 * * *", tz="Europe/Paris")
    def f(job: Job) -> None:
        got.append(job.scheduled_for)

    spool.clock.set(datetime(2026, 11, 21, 11, tzinfo=UTC))
    fires(spooler, spool)
    fires(spooler, spool, 3600)
    assert [str(moment) for moment in got] == ["2026-11-21 13:00:00+01:00"]


@row("no arguments")
def test_a_schedule_with_arguments(spooler: Spooler, spool: SpoolUnderTest) -> None:
    got: list[tuple[int, str]] = []

    @spooler.task
    def remind(person: int, text: str = "hello") -> None:
        got.append((person, text))

    @spooler.timer(5, iterations=1)
    def f(text: str = "by itself") -> None:
        got.append((0, text))

    spooler.sync.schedule(remind, timer=5, iterations=1, args=(7,))
    with pytest.raises(ArgumentsRefused):
        spooler.sync.schedule(remind, timer=5)
    fires(spooler, spool)
    fires(spooler, spool, 5)
    assert sorted(got) == [(0, "by itself"), (7, "hello")]


@row("a timer that fails")
def test_a_timer_that_fails(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(5, iterations=1, retries=3, backoff=lambda _: 0)
    def f() -> None:
        raise ConnectionError

    fires(spooler, spool)
    assert len(fires(spooler, spool, 5)) == 4
    assert [dead.reason for dead in spool.dead] == ["ConnectionError"]


def in_a_process() -> None:
    """What a process of its own can import."""


@row("the default target", 'target="spooler"', 'target="mule", target="mule1"')
def test_a_firing_is_a_message(spooler: Spooler, spool: SpoolUnderTest) -> None:
    f = spooler.timer(5, iterations=1, executor="process", spool="mail", name="f")(in_a_process)

    @spooler.timer(5, iterations=1, target="spooler", name="g")
    def g() -> None: ...

    assert f.options.executor == "process"
    fires(spooler, spool)
    assert sorted(fires(spooler, spool, 5)) == ["f", "g"]
    assert sorted((message.task, message.spool) for message in spool.spooled) == [("f", "mail"), ("g", "default")]
    assert {message.id for message in spool.spooled} == {"f.20261121T120035Z", "g.20261121T120035Z"}


@pytest.mark.anyio
@row('target="workers"', "SignalTask, .register_signal()", "SignalTask, then f()")
async def test_every_worker(spooler: Spooler, tmp_path: Path) -> None:
    other = Spooler(tmp_path / "spool")  # another process, as far as the spool knows
    ran, everywhere = {"one": 0, "all": 0}, Event()

    def note(name: str) -> None:
        ran[name] += 1
        if ran == {"one": 1, "all": 2}:
            everywhere.set()

    for each in (spooler, other):

        @each.signal("reload", name="one")
        async def one() -> None:
            note("one")

        @each.signal("reload", name="all", target="workers")
        async def all_of_them() -> None:
            note("all")

    async with worker.running(spooler), worker.running(other):
        assert await spooler.raise_signal("reload") == 2
        with fail_after(10):
            await everywhere.wait()
    with pytest.raises(ScheduleRefused, match="nobody"):
        await spooler.raise_signal("7")


@row("TimerTask, CronTask", ".free_signal()", ".signal_id, signal=7")
def test_the_schedule_itself(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(5, name="f")
    def f() -> None: ...

    fires(spooler, spool)
    assert (f.name, f.scheduled.name) == ("f", "f")
    assert not [name for name in ("start", "stop", "pause", "resume", "run", "remove") if not hasattr(Scheduled, name)]
    f.scheduled.sync.run()
    assert fires(spooler, spool) == ["f"]
    f.sync.stop()
    assert f.scheduled.sync.look().state == "off"
    assert fires(spooler, spool, 100) == []
    f.scheduled.sync.remove()
    fires(spooler, spool)
    assert f.scheduled.sync.look().state == "on", "it is in the code, and begins anew"


@row("without uWSGI")
def test_the_clock_of_a_test(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron("@daily", name="daily")
    def daily() -> None: ...

    fires(spooler, spool)
    spool.clock.move(timedelta(days=1))
    assert [ran.state for ran in drain_sync(spooler)] == []
    assert [ran.state for ran in drain_sync(spooler, schedules=True)] == ["done"]
