"""Each row of the table of timers, crons, file monitors and signals for people who come from uWSGI, run."""

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anyio import Condition, fail_after

from aspool import Job, Spooler, WorkerSettings, worker
from aspool.errors import ScheduleRefused
from aspool.testing import SpoolUnderTest, drain_sync

from .firing import NOON, fires, times
from .pages import ROOT
from .tables import Tables

TABLES = Tables(ROOT / "docs" / "coming-from-uwsgi.md", "uWSGI", ("Timers, crons, file monitors and signals",))
row = TABLES.row


def test_every_row_has_a_test() -> None:
    TABLES.check(at_least=25)


@row("add_timer(num, secs), @timer(secs)")
def test_a_timer(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(30)
    def f() -> None: ...

    fires(spooler, spool)
    assert times(spooler, spool, 10, 7) == ["12:00:32", "12:01:02"], "each drain is a worker that starts"


@row("add_rb_timer(num, secs, n), @rbtimer(secs)", "add_ms_timer(num, ms), @mstimer(ms)")
def test_iterations_and_milliseconds(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(250 / 1000, iterations=2)
    def f() -> None: ...

    fires(spooler, spool)
    assert times(spooler, spool, 0.125, 10, "%S.%f") == ["02.250000", "02.500000"]
    with pytest.raises(ScheduleRefused, match=r"from 0\.001 to"):
        spooler.timer(0.0009)(f.function)


# --- crons ---------------------------------------------------------------------------------------------------


@row("add_cron(num, 30, 2, -1, -1, -1), @cron(30, 2, -1, -1, -1)")
def test_a_cron(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron("30 2 * * *", tz="Europe/Paris", name="words")
    @spooler.cron(minute=30, hour=2, tz="Europe/Paris", name="numbers")
    def f() -> None: ...

    spool.clock.set(datetime(2026, 11, 22, 1, 29, tzinfo=UTC))
    assert fires(spooler, spool) == []
    assert sorted(fires(spooler, spool, 60)) == ["numbers", "words"]


@row("-1, -5")
def test_negative_numbers(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=-5, name="fives")
    @spooler.cron(minute=-1, name="every")
    @spooler.cron(minute=0, hour=0, day=1, month=-2, name="months")
    def f() -> None: ...

    fires(spooler, spool)
    counts = Counter(task for _ in range(60) for task in fires(spooler, spool, 60))
    assert counts == {"every": 60, "fives": 12}
    found = [
        datetime.fromtimestamp(moment, UTC).month
        for moment in spooler.scheduled("months").sync.look().upcoming(NOON.timestamp(), 6)
    ]
    assert found == [12, 2, 4, 6, 8, 10]


@row("week days 0 to 7", "a day and a week day")
def test_days(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron(minute=0, hour=0, weekday=0, name="zero")
    @spooler.cron(minute=0, hour=1, weekday=7, name="seven")
    @spooler.cron(minute=0, hour=2, day=25, weekday=4, name="either")
    @spooler.cron(minute=0, hour=3, day=-5, weekday=3, name="both")
    def f() -> None: ...

    fires(spooler, spool)
    days: dict[str, list[str]] = {}
    for _ in range(12):
        for hours in (12, 1, 1, 1, 1, 8):  # from noon to noon, by the hour where something may fire
            for task in fires(spooler, spool, hours * 3600):
                days.setdefault(task, []).append(spool.clock.now.strftime("%a %d"))
    assert days["zero"] == days["seven"] == ["Sun 22", "Sun 29"]
    assert days["either"] == ["Wed 25", "Thu 26", "Thu 03"]
    assert days["both"] == ["Wed 25"]


@row("a cron at the start")
def test_a_cron_fires_on_the_minute(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron("* * * * *")
    def f() -> None: ...

    assert fires(spooler, spool) == []
    assert times(spooler, spool, 2, 60) == ["12:01:00", "12:02:00"]


@row("minutes that were missed")
def test_missed_minutes(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.cron("*/10 * * * *", name="latest")
    @spooler.cron("*/10 * * * *", name="gone", missed="skip")
    def f() -> None: ...

    fires(spooler, spool)
    assert fires(spooler, spool, 7200 + 60) == ["latest"]


# --- files and signals ---------------------------------------------------------------------------------------


@row("add_file_monitor(num, path), @filemon(path)")
def test_a_file_monitor(spooler: Spooler, spool: SpoolUnderTest, tmp_path: Path) -> None:
    path, other = tmp_path / "prices", tmp_path / "other"

    @spooler.filemon(path)
    def f() -> None: ...

    def changed() -> bool:
        return fires(spooler, spool, 1) != []

    assert not changed()
    path.write_text("a")
    assert changed(), "no worker ran meanwhile"
    assert not changed()
    other.write_text("b")
    other.rename(path)
    assert changed(), "it was replaced"
    path.unlink()
    (path / "below").mkdir(parents=True)
    assert changed()
    (path / "below" / "deeper").write_text("c")
    assert not changed(), "it is not recursive"
    (path / "entry").write_text("d")
    assert changed()


@row("signal(num)", "register_signal(num, target, handler), @signal(num)", "signal_registered(num)")
def test_a_signal(spooler: Spooler, spool: SpoolUnderTest) -> None:
    got: list[datetime | None] = []

    @spooler.signal("reload")
    def f(job: Job) -> None:
        got.append(job.scheduled_for)

    with pytest.raises(ScheduleRefused, match="nobody has a handler of the signal '17'"):
        spooler.sync.raise_signal("17")
    assert spooler.sync.raise_signal("reload") == 1
    drain_sync(spooler)
    assert [moment and moment.replace(microsecond=0) for moment in got] == [NOON]
    end = f.scheduled.sync.look().end
    assert end is not None
    assert end.state == "done"


@row("signal(num, addr)")
def test_a_signal_for_another_program(tmp_path: Path) -> None:
    ran: list[int] = []
    theirs, ours = Spooler(tmp_path / "theirs"), Spooler(tmp_path / "ours")

    @theirs.signal("reload")
    def f() -> None:
        ran.append(1)

    drain_sync(theirs, schedules=True)
    assert ours.sync.raise_signal("reload", spool=tmp_path / "theirs") == 1
    drain_sync(theirs)
    assert ran == [1]
    with pytest.raises(ScheduleRefused):
        ours.sync.raise_signal("reload")


@row("signal_wait(), signal_received()")
def test_to_wait_is_to_ask_a_ticket(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.task(keep_result=60)
    def work() -> str:
        return "done"

    ticket = work.spool_sync()
    drain_sync(spooler)
    assert ticket.sync.result() == "done"
    assert [name for name in dir(Spooler) if "wait" in name or "received" in name] == []


@row("handler(num)", "signum=")
def test_a_handler_is_a_task(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.timer(10, iterations=1, name="timer", retries=1, backoff=lambda _: 0)
    def f() -> None:
        raise ConnectionError

    @spooler.signal("reload", name="signal")
    def g(job: Job) -> None:
        assert job.scheduled_for

    fires(spooler, spool)
    spooler.sync.raise_signal("reload")
    assert sorted(fires(spooler, spool, 10)) == ["signal", "timer", "timer"]
    assert [dead.task for dead in spool.dead] == ["timer"]


@row("the queue of signals is full", "at most 64 timers, crons, file monitors")
def test_there_is_room(spooler: Spooler, spool: SpoolUnderTest) -> None:
    for number in range(100):
        spooler.timer(60, name=f"timer-{number}")(lambda: None)

    @spooler.signal("reload")
    def f() -> None: ...

    fires(spooler, spool)
    for _ in range(100):
        spooler.sync.raise_signal("reload")
    assert len(spool.waiting) == 100
    assert len(fires(spooler, spool, 60)) == 200


@row("nothing can be removed")
def test_a_schedule_can_go(spooler: Spooler, spool: SpoolUnderTest) -> None:
    @spooler.task
    def work() -> None: ...

    @spooler.timer(10)
    def f() -> None: ...

    made = spooler.sync.schedule(work, timer=10)
    fires(spooler, spool)
    assert len(fires(spooler, spool, 10)) == 2
    made.sync.remove()
    f.sync.stop()
    assert fires(spooler, spool, 10) == []
    f.sync.start(seconds=7)
    assert len(fires(spooler, spool, 7)) == 1


# --- targets -------------------------------------------------------------------------------------------------


class Fleet:
    """Workers of several Spoolers on one directory, each as a process of its own would be, and what ran in which."""

    def __init__(self, path: Path, count: int) -> None:
        self.spoolers = [Spooler(path) for _ in range(count)]
        self.ran: Counter[tuple[str, int]] = Counter()
        self._news = Condition()
        for number, spooler in enumerate(self.spoolers):
            for name, target in (("one", "spooler"), ("every", "workers")):
                spooler.signal("reload", name=name, target=target)(self._handler(name, number))  # type: ignore[arg-type]

    def _handler(self, name: str, number: int) -> Any:
        async def handler() -> None:
            self.ran[name, number] += 1
            async with self._news:
                self._news.notify_all()

        return handler

    async def until(self, count: int) -> None:
        """Wait until so many runs have been."""
        with fail_after(10):
            async with self._news:
                while self.ran.total() < count:
                    await self._news.wait()


@pytest.mark.anyio
@row("target '', worker, spooler", "target workers, active-workers", "target mules, farm_NAME")
async def test_one_worker_and_every_worker(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "spool", 3)
    async with AsyncExitStack() as stack:
        for spooler in fleet.spoolers:
            await stack.enter_async_context(worker.running(spooler))
        assert await fleet.spoolers[0].raise_signal("reload") == 2
        await fleet.until(4)
    by_name = Counter(name for name, _ in fleet.ran.elements())
    assert by_name == {"one": 1, "every": 3}
    assert {number for name, number in fleet.ran if name == "every"} == {0, 1, 2}


def in_a_process() -> None:
    """What a process of its own can import."""


@row("target worker1", "target mule, mule1", "another target")
def test_a_certain_worker(spooler: Spooler, spool: SpoolUnderTest) -> None:
    task = spooler.timer(10, iterations=1, name="mail", spool="mail", executor="process")(in_a_process)
    assert (task.options.spool, task.options.executor) == ("mail", "process")
    fires(spooler, spool)
    assert fires(spooler, spool, 10) == ["mail"]
    assert [message.spool for message in spool.spooled] == ["mail"]
    for target in ("worker1", "mule", "topic"):
        with pytest.raises(ScheduleRefused, match=f'target must be "spooler" or "workers", not \'{target}\''):
            spooler.timer(10, target=target)(in_a_process)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.anyio
@row("spooler-signal-as-task")
@pytest.mark.parametrize("counts", [True, False])
async def test_signals_as_tasks(tmp_path: Path, counts: bool) -> None:
    spooler = Spooler(tmp_path / "spool")
    assert WorkerSettings().signal_as_task

    @spooler.task
    async def work() -> None: ...

    @spooler.signal("reload")
    async def handler() -> None: ...

    await spooler.raise_signal("reload")
    await work.spool()
    settings = WorkerSettings(max_tasks=1, concurrency=1, signal_as_task=counts, burst=True)
    await worker.Worker(spooler, settings).run()
    left = spooler.spools["default"].browse()  # type: ignore[attr-defined]  # a directory
    assert len(left) == (1 if counts else 0)
