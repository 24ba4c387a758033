"""Schedules in a real worker: what the job sees, what counts toward max_tasks, what is noted of its end."""

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import DirectorySpool, Job, MemorySpool, Spooler
from aspool.errors import Unsupported
from aspool.settings import WorkerSettings
from aspool.testing.clock import Clock, virtual_clock
from aspool.worker import Worker, running

from .bursts import burst
from .storm_workers import APPS

pytestmark = pytest.mark.anyio
EVENING = datetime(2026, 11, 21, 22, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with virtual_clock() as clock:
        clock.set(EVENING)
        yield clock


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """tests/apps/clocked.py; its children find it on sys.path and its directory in the environment."""
    monkeypatch.setenv("CLOCKED_ROOT", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    sys.modules.pop("clocked", None)
    return importlib.import_module("clocked")


async def test_the_job_sees_its_moment_wherever_it_runs(clock: Clock, app: Any, tmp_path: Path) -> None:
    await burst(app.spooler)
    clock.move(5 * 3600)
    await burst(app.spooler)
    paris, utc = "2026-11-22 02:30:00+01:00", "2026-11-22 02:30:00+00:00"
    found = {name: (tmp_path / name).read_text().splitlines() for name in ("coroutine", "thread", "process")}
    assert found == {
        "coroutine": [f"1 {paris}", f"2 {paris}"], "thread": [f"1 {utc}"], "process": [f"1 {paris}", f"2 {paris}"],
    }  # fmt: skip
    assert len((tmp_path / "second-schedule").read_text().splitlines()) == 2, "the same function, under its own name"
    end = (await app.process.scheduled.look()).end
    assert (end.state, end.moment) == ("done", datetime(2026, 11, 22, 1, 30, tzinfo=UTC).timestamp())
    app.note(Job("a", "direct"))
    assert (tmp_path / "direct").read_text() == "1 None\n", "nor has what is called or spooled by hand"
    await app.spooler.aclose()


@pytest.mark.parametrize(("signal_as_task", "others"), [(True, 0), (False, 3)])
@pytest.mark.parametrize("target", ["spooler", "workers"])
async def test_max_tasks_counts_what_it_is_told_to(signal_as_task: bool, others: int, target: Any) -> None:
    spooler = Spooler(MemorySpool())
    ran: list[str] = []

    @spooler.signal("reload", target=target, name="reload")
    async def reload() -> None:
        ran.append("reload")
        if len(ran) == 3:
            for _ in range(5):
                await other.spool()

    @spooler.task(name="other")
    async def other() -> None:
        ran.append("other")

    worker = Worker(spooler, WorkerSettings(max_tasks=3, signal_as_task=signal_as_task))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(worker.run)
            for _ in range(3):
                await spooler.raise_signal("reload")
    assert ran == ["reload"] * 3 + ["other"] * others
    assert worker.runs == 3


async def test_a_worker_without_schedules_fires_none_but_runs_and_notes_them() -> None:
    memory = MemorySpool()
    spooler = Spooler(memory)
    here: list[int] = []

    @spooler.timer(0.02)
    def tick() -> None: ...

    @spooler.signal("reload", target="workers")
    def reload() -> None:
        here.append(1)

    async with running(spooler, schedules=False):
        assert await memory.records() == {}
        await spooler.raise_signal("reload")
        await tick.scheduled.run()
        with anyio.fail_after(10):
            while (record := await tick.scheduled.look()).end is None:
                await anyio.sleep(0.01)
        assert (record.end.state, record.fired) == ("done", 0)
    assert here == []


async def test_what_was_only_in_memory_is_not_called_buried(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    spooler = Spooler(MemorySpool())

    @spooler.timer(10, target="workers", retries=0, name="here")
    def here() -> None:
        raise ValueError("boo\x1b")

    @spooler.timer(10, retries=0, name="spooled")
    def spooled() -> None:
        raise ValueError("boo")

    await burst(spooler)
    seen: dict[Any, Any] = {}
    for seconds in (0, 10):
        clock.move(seconds)
        with anyio.fail_after(10):
            await Worker(spooler, WorkerSettings(burst=True), seen=seen).run()
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    ends = sorted(line.splitlines()[0].partition("Z ")[2] for line in told)
    assert ends == ["buried: ValueError: boo", "failed for good: ValueError: boo\\x1b"]


async def test_timers_in_real_time(directory: DirectorySpool) -> None:
    spooler = Spooler(directory)
    late: list[float] = []
    moments: list[datetime] = []
    enough = anyio.Event()

    @spooler.timer(0.1)
    async def tick(job: Job) -> None:
        assert job.scheduled_for is not None
        late.append((datetime.now(UTC) - job.scheduled_for).total_seconds())
        moments.append(job.scheduled_for)
        if len(late) == 5:
            enough.set()

    async with running(spooler, frequency=30.0):
        with anyio.fail_after(10):
            await enough.wait()
    assert all(0 <= each < 2 for each in late), late
    assert len(set(moments)) == len(moments)


async def test_two_workers_and_a_change_from_a_third_place(tmp_path: Path) -> None:
    def place() -> Spooler:
        return Spooler(DirectorySpool(tmp_path / "spool", durability="process"))

    ran: list[tuple[int, datetime | None]] = []
    apps = [place(), place()]
    for number, app in enumerate(apps):

        @app.timer(lazy=True, name="tick", target="workers", iterations=2)
        async def tick(job: Job, number: int = number) -> None:
            ran.append((number, job.scheduled_for))

    outside = place()
    async with running(apps[0], frequency=30.0), running(apps[1], frequency=30.0):
        await outside.scheduled("tick").start(seconds=0.05)  # they sleep: it must wake them
        with anyio.fail_after(10):
            while len(ran) < 4:
                await anyio.sleep(0.01)
    assert sorted(number for number, _ in ran) == [0, 0, 1, 1]
    assert len({moment for _, moment in ran}) == 2
    for each in (*apps, outside):
        await each.aclose()


async def test_a_spool_without_schedules_is_refused_at_the_start() -> None:
    class Plain(MemorySpool):
        turn = None  # type: ignore[assignment]  # it keeps none

        def __getattribute__(self, name: str) -> Any:
            if name in ("turn", "records", "keep_alive"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    spooler = Spooler(Plain())

    @spooler.timer(10)
    def tick() -> None: ...

    with pytest.raises(Unsupported, match="keeps no schedules"):
        await Worker(spooler, WorkerSettings(burst=True)).run()
