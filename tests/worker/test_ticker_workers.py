"""`target="workers"` and signals: who runs what, with two workers on one spool."""

from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from aspool import DirectorySpool, MemorySpool, Spooler
from aspool.errors import ScheduleRefused
from aspool.message import Message
from aspool.outcomes import Buried, Cancelled, Done, Outcome, PutOff
from aspool.testing.clock import Clock
from aspool.testing.conformance import claimed, served, settle

from ..start import START
from .tickers import Node, drive, moments, node

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooler(memory: MemorySpool) -> Spooler:
    return Spooler(memory)


def each(seconds: float, first: int, last: int) -> list[float]:
    return [START + number * seconds for number in range(first, last + 1)]


def here(one: Node) -> list[Message]:
    return one.here.messages()


# --- every worker ----------------------------------------------------------------------------------------------------


async def test_every_worker_runs_each_moment_and_nothing_is_spooled(
    clock: Clock, spooler: Spooler, memory: MemorySpool
) -> None:
    @spooler.timer(10, target="workers")
    def tick() -> None: ...

    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START + 60)
        assert one.ran_here() == two.ran_here() == each(10, 1, 6)
    assert memory.messages() == []
    record = await tick.scheduled.look()
    assert (record.fired, record.last) == (6, START + 60)


async def test_iterations_end_for_all_and_a_late_worker_runs_only_what_is_left(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(10, iterations=3, target="workers", missed="all")
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 15)
        async with node(spooler) as late:
            assert await drive(clock, [one, late], START + 100) == 4, "at once, at two moments, and at the end"
            assert (one.ran_here(), late.ran_here()) == (each(10, 1, 3), each(10, 2, 3))
        async with node(spooler) as later:
            await drive(clock, [later], START + 200)
            assert later.ran_here() == []


async def test_what_still_runs_in_a_worker_leaves_out_the_next_there(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(10, overlap="skip", target="workers")
    def tick() -> None: ...

    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START + 10)
        (running,) = here(one)
        two.ticker.fired(two.here, here(two)[0], Done(), START)
        await drive(clock, [one, two], START + 20)
        assert (len(here(one)), len(here(two))) == (1, 2)
        one.ticker.fired(one.here, running, PutOff(START + 25, 1, 0), START)
        await drive(clock, [one, two], START + 30)
        assert len(here(one)) == 1, "it is retried"
        one.ticker.fired(one.here, running, Buried("no"), START)
        await drive(clock, [one, two], START + 40)
        assert len(here(one)) == 2
        assert (await tick.scheduled.look()).end is not None, "a failure is noted"


async def test_a_pause_and_a_start_reach_every_worker(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(10, target="workers", missed="all")
    def tick() -> None: ...

    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START + 10)
        await tick.pause()
        await drive(clock, [one, two], START + 35)
        await tick.resume()
        await drive(clock, [one, two], START + 40)
        assert one.ran_here() == two.ran_here() == [START + 10, START + 40]
        await tick.start(seconds=100)
        await drive(clock, [one, two], START + 140)
        assert one.ran_here() == two.ran_here() == [START + 10, START + 40, START + 140]


async def test_the_clock_set_back_reaches_every_worker(clock: Clock, spooler: Spooler) -> None:
    @spooler.timer(60, target="workers")
    def tick() -> None: ...

    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START + 120)
        clock.move(-3600)
        await drive(clock, [one, two], START - 3600 + 120 + 125)
        assert one.ran_here() == two.ran_here()
        assert len(set(one.ran_here())) == 4


async def test_run_and_signals_reach_every_worker(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.signal("reload", target="workers", name="reload")
    def reload() -> None: ...

    assert await spooler.raise_signal("reload") == 1, "lost: no worker runs"
    async with node(spooler) as one, node(spooler) as two:
        await drive(clock, [one, two], START)
        assert one.ran_here() == two.ran_here() == []
        await spooler.raise_signal("reload")
        await spooler.raise_signal("reload")
        await reload.scheduled.run()
        await drive(clock, [one, two], START)
        assert len(set(one.ran_here())) == len(set(two.ran_here())) == 3
        await drive(clock, [one, two], START + 100)
        assert len(one.ran_here()) == 3, "once"
        await reload.pause()
        await spooler.raise_signal("reload")
        await drive(clock, [one, two], START + 200)
        await reload.resume()
        await drive(clock, [one, two], START + 300)
        assert len(one.ran_here()) == 3, "a paused handler does not hear it"
    assert memory.messages() == []


async def test_what_still_waits_runs_or_is_retried_leaves_out_the_next(
    clock: Clock, spooler: Spooler, memory: MemorySpool
) -> None:
    @spooler.timer(10, overlap="skip")
    def tick() -> None: ...

    async def fired(one: Node, until: float) -> int:
        await drive(clock, [one], START + until)
        return (await tick.scheduled.look()).fired

    ends: tuple[Outcome, ...] = (Done(), Buried("no"), Cancelled("no"))
    async with node(spooler) as one, served(memory):
        assert await fired(one, 20) == 1, "it waits"
        for count, end in enumerate(ends, start=1):
            base = count * 100.0
            claims = await claimed(memory, 1, START + base)
            assert await fired(one, base) == count, "it runs"
            await settle(memory, claims, PutOff(START + base + 5, 1, 0))
            assert await fired(one, base + 20) == count, "it is retried"
            await settle(memory, await claimed(memory, 1, START + base + 20), end)
            assert await fired(one, base + 40) == count + 1, "it is over"


# --- signals to one worker -------------------------------------------------------------------------------------------


async def test_a_signal_reaches_all_its_handlers(clock: Clock, spooler: Spooler, memory: MemorySpool) -> None:
    @spooler.signal("reload", name="first")
    def first() -> None: ...

    @spooler.signal("reload", name="second", priority=3)
    def second() -> None: ...

    @spooler.signal("other", name="third")
    def third() -> None: ...

    async with node(spooler) as one:
        assert await spooler.raise_signal("reload") == 2
        assert [message.task for message in memory.messages()] == ["second", "first"]
        await drive(clock, [one], START + 100)
        assert len(memory.messages()) == 2


async def test_a_signal_from_a_process_that_has_only_the_directory(clock: Clock, tmp_path: Path) -> None:
    spooler = Spooler(DirectorySpool(tmp_path / "spool", durability="process"))

    @spooler.signal("reload", name="reload")
    def reload() -> None: ...

    directory = DirectorySpool(tmp_path / "spool", durability="process")
    elsewhere = Spooler(directory)
    with pytest.raises(ScheduleRefused, match=r"nobody has a handler of the signal 'reload': it is made with @spooler"):
        await elsewhere.raise_signal("reload")
    async with node(spooler):
        pass
    clock.move(1000)
    assert await elsewhere.raise_signal("reload") == 1
    assert len(directory.browse()) == 1, "no worker runs, and it is not lost"
    with pytest.raises(ScheduleRefused, match="nobody has a handler of the signal 'relaod'"):
        await elsewhere.raise_signal("relaod")
    with pytest.raises(ScheduleRefused, match="cannot be: its name is"):
        await elsewhere.raise_signal("a/b")
    assert (await elsewhere.scheduled("reload").look()).runs == 1
    await spooler.aclose()


async def test_a_signal_raised_without_an_event_loop(clock: Clock, tmp_path: Path) -> None:
    directory = DirectorySpool(tmp_path / "spool", durability="process")
    spooler = Spooler(directory)

    @spooler.signal("reload")
    def reload() -> None: ...

    assert await to_thread.run_sync(spooler.sync.raise_signal, "reload") == 1
    assert len(directory.browse()) == 1
    await spooler.aclose()


async def test_a_handler_in_another_spool(clock: Clock) -> None:
    mail, outside = MemorySpool(), MemorySpool(external=True)
    spooler = Spooler(MemorySpool(), spools={"mail": mail, "outside": outside})

    @spooler.signal("reload", spool="mail")
    def reload() -> None: ...

    @spooler.timer(10, spool="outside")
    def tick() -> None: ...

    async with node(spooler) as one:
        assert await spooler.raise_signal("reload") == 1
        with pytest.raises(ScheduleRefused, match="nobody"):
            await spooler.raise_signal("reload", spool="outside")
        assert await spooler.raise_signal("reload", spool="mail") == 1
        await drive(clock, [one], START + 10)
    assert len(mail.messages()) == 2
    assert moments(outside) == [START + 10], "it fires into a spool that others serve"


async def test_an_external_spool_without_schedules_of_the_code_is_left_alone(clock: Clock, tmp_path: Path) -> None:
    spooler = Spooler(MemorySpool(), spools={"outside": DirectorySpool(tmp_path / "outside", external=True)})

    @spooler.timer(10)
    def tick() -> None: ...

    async with node(spooler) as one:
        await drive(clock, [one], START + 10)
    assert list(tmp_path.iterdir()) == []


async def test_what_cannot_be_spooled_is_told_to_who_raises_it(clock: Clock) -> None:
    spooler: Spooler[Any] = Spooler(MemorySpool(max_waiting=1))

    @spooler.signal("reload")
    def reload() -> None: ...

    await spooler.raise_signal("reload")
    with pytest.raises(Exception, match="max_waiting is 1"):
        await spooler.raise_signal("reload")
    with pytest.raises(Exception, match="max_waiting is 1"):
        await reload.scheduled.run()
    assert (await reload.scheduled.look()).runs == 1
