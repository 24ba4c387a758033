"""`drain(schedules=True)`: what is due by the clock of the test is fired and run, as the policies say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aspool import Job, Spooler
from aspool.spools.memory import MemorySpool
from aspool.testing import assert_spooled, drain, drain_sync, use

pytestmark = pytest.mark.anyio
EVENING = datetime(2026, 11, 21, 22, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Spooler:
    return Spooler(tmp_path / "spool", spools={"mail": tmp_path / "mail", "others": MemorySpool(external=True)})


async def test_what_is_due_is_fired_and_run(shop: Spooler, tmp_path: Path) -> None:
    moments = []

    @shop.cron("30 2 * * *", tz="Europe/Paris", name="nightly")
    async def nightly(job: Job) -> None:
        moments.append(job.scheduled_for)

    with use(shop) as spool:
        spool.clock.set(EVENING)
        assert await drain(shop, schedules=True) == [], "it counts from here"
        spool.clock.move(timedelta(hours=3, minutes=29))
        assert await drain(shop, schedules=True) == []
        spool.clock.move(60)
        assert await drain(shop) == [], "nobody asked for schedules"
        assert [(each.task, each.state) for each in await drain(shop, schedules=True)] == [("nightly", "done")]
        assert [each.id for each in spool.spooled] == ["nightly.20261122T013000Z"]
        assert_spooled(nightly)
        assert await drain(shop, schedules=True) == [], "once"
    assert [str(moment) for moment in moments] == ["2026-11-22 02:30:00+01:00"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("missed", "count"), [("skip", 1), ("latest", 1), ("all", 2500)])
async def test_what_was_missed_goes_by_the_policy(shop: Spooler, missed: str, count: int) -> None:
    moments = []

    @shop.timer(10, missed=missed)  # type: ignore[arg-type]  # parametrised
    async def tick(job: Job) -> None:
        moments.append(job.scheduled_for)

    with use(shop) as spool:
        spool.clock.set(EVENING)
        await drain(shop, schedules=True)
        spool.clock.move(25_000)
        assert len(await drain(shop, schedules=True)) == count
        assert moments[-1] == EVENING + timedelta(seconds=25_000)
        assert sorted(set(moments)) == sorted(moments)  # type: ignore[type-var]
        spool.clock.move(7)
        assert await drain(shop, schedules=True) == []


async def test_what_was_skipped_is_over(shop: Spooler) -> None:
    @shop.timer(3600, missed="skip")
    async def tick() -> None: ...

    with use(shop) as spool:
        spool.clock.set(EVENING)
        await drain(shop, schedules=True)
        spool.clock.move(7000)
        assert await drain(shop, schedules=True) == []
        spool.clock.move(200)
        assert len(await drain(shop, schedules=True)) == 1


async def test_what_is_for_every_worker_runs_in_the_drain(shop: Spooler) -> None:
    ran = []

    @shop.timer(10, target="workers", missed="all", iterations=3)
    async def tick(job: Job) -> None:
        ran.append(job.scheduled_for)

    @shop.signal("reload", target="workers")
    def reload(job: Job) -> None:
        ran.append(job.scheduled_for)

    with use(shop) as spool:
        spool.clock.set(EVENING)
        assert await shop.raise_signal("reload") == 1
        assert len(await drain(shop, schedules=True)) == 1, "raised before the first drain"
        assert await drain(shop, schedules=True) == []
        await shop.raise_signal("reload")
        spool.clock.move(25)
        assert len(await drain(shop, schedules=True)) == 3, "two moments and a raise"
        spool.clock.move(100)
        assert len(await drain(shop, schedules=True)) == 1, "the last iteration"
        assert await drain(shop, schedules=True) == []
        assert spool.spooled == []
    assert len(ran) == 5
    with use(shop) as spool:
        assert await drain(shop, schedules=True) == [], "another block knows nothing of the first"


async def test_a_signal_raised_under_test_runs_in_the_next_drain(shop: Spooler) -> None:
    ran = []

    @shop.signal("reload", spool="mail")
    def reload() -> None:
        ran.append(1)

    with use(shop) as spool:
        spool.clock.stop()
        assert await shop.raise_signal("reload") == 1
        (waiting,) = spool.waiting
        assert waiting.spool == "mail"
        assert [each.state for each in await drain(shop)] == ["done"], "it was spooled, so it needs no schedules"
    assert ran == [1]


async def test_a_signal_that_a_task_raises_runs_in_the_same_drain(shop: Spooler) -> None:
    ran = []

    @shop.signal("reload", target="workers")
    async def here() -> None:
        ran.append("here")

    @shop.signal("reload")
    async def one() -> None:
        ran.append("one")

    @shop.task
    async def raises() -> None:
        await shop.raise_signal("reload")

    with use(shop):
        for times in range(1, 11):
            await raises.spool()
            assert len(await drain(shop, schedules=True)) == 3
            assert sorted(ran) == ["here"] * times + ["one"] * times


async def test_schedules_made_at_run_time(shop: Spooler) -> None:
    seen = []

    @shop.task
    def remind(number: int) -> None:
        seen.append(number)

    with use(shop) as spool:
        spool.clock.set(EVENING)
        scheduled = await shop.schedule(remind, cron="0 23 * * *", args=(7,))
        await shop.schedule(remind, timer=1800, iterations=1, args=(8,))
        spool.clock.move(3600)
        assert len(await drain(shop, schedules=True)) == 2
        await scheduled.remove()
        spool.clock.move(timedelta(days=1))
        assert await drain(shop, schedules=True) == []
    assert sorted(seen) == [7, 8]


async def test_a_lazy_schedule_is_started_and_ends(shop: Spooler) -> None:
    @shop.timer(lazy=True, name="poll", missed="all")
    async def poll() -> None: ...

    with use(shop) as spool:
        spool.clock.set(EVENING)
        await drain(shop, schedules=True)
        spool.clock.move(100)
        assert await drain(shop, schedules=True) == []
        await poll.start(seconds=10, iterations=2)
        spool.clock.move(100)
        assert len(await drain(shop, schedules=True)) == 2
        assert (await poll.scheduled.look()).iterations_left == 0


async def test_the_end_of_a_firing_is_noted(shop: Spooler) -> None:
    @shop.timer(10, retries=1, backoff=60)
    async def fails() -> None:
        raise ConnectionError("no")

    with use(shop) as spool:
        spool.clock.set(EVENING)
        await drain(shop, schedules=True)
        spool.clock.move(10)
        await drain(shop, schedules=True)
        end = (await fails.scheduled.look()).end
        assert end is not None
        assert (end.state, end.reason) == ("retrying", "ConnectionError: no")
        spool.clock.move(60)
        await drain(shop)
        end = (await fails.scheduled.look()).end
        assert end is not None
        assert (end.state, end.ended) == ("dead", spool.clock.timestamp())


async def test_a_file_monitor_fires_between_drains(shop: Spooler, tmp_path: Path) -> None:
    path = tmp_path / "config"

    @shop.filemon(path, missed="skip")
    def changed() -> None: ...

    with use(shop):
        assert await drain(shop, schedules=True) == []
        path.write_text("a")
        assert len(await drain(shop, schedules=True)) == 1
        assert await drain(shop, schedules=True) == []


def test_without_an_event_loop(shop: Spooler) -> None:
    @shop.timer(10)
    def tick() -> None: ...

    with use(shop) as spool:
        spool.clock.set(EVENING)
        drain_sync(shop, schedules=True)
        spool.clock.move(10)
        assert [each.state for each in drain_sync(shop, schedules=True)] == ["done"]
