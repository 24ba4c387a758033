"""Several spools in one worker, and several workers and Spoolers on one spool: who runs what, and how many at once."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import CallError, DirectorySpool, MemorySpool, Spooler, WorkerSettings
from aspool.events import Event, JobEnded, JobStarted
from aspool.worker import Worker, running

from .bursts import burst

pytestmark = pytest.mark.anyio


class Crowd:
    """Counts how many jobs of each name run at the same time."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []

    async def job(self, name: str, seconds: float = 0.01) -> None:
        self.now[name] += 1
        self.order.append(name)
        self.most[name] = max(self.most[name], self.now[name])
        await anyio.sleep(seconds)
        self.now[name] -= 1


def spools(tmp_path: Path, kind: str, **options: Any) -> DirectorySpool | MemorySpool:
    if kind == "memory":
        return MemorySpool(**options)
    return DirectorySpool(tmp_path / "other", durability="process", **options)


@pytest.mark.parametrize("kind", ["directory", "memory"])
async def test_each_spool_has_its_own_concurrency(directory: DirectorySpool, tmp_path: Path, kind: str) -> None:
    crowd = Crowd()
    spooler = Spooler(directory, spools={"few": spools(tmp_path, kind, concurrency=2)})

    @spooler.task
    async def work(name: str) -> None:
        await crowd.job(name)

    few = work.using(spool="few")
    await spooler.spool_many([work.call("many") for _ in range(20)] + [few.call("few") for _ in range(8)])
    await burst(spooler, concurrency=20)
    assert crowd.most["few"] == 2
    assert crowd.most["many"] > 2


async def test_a_full_spool_does_not_starve_the_rest(directory: DirectorySpool) -> None:
    crowd = Crowd()
    spooler = Spooler(directory, spools={"small": MemorySpool(), "other": MemorySpool()})

    @spooler.task
    async def work(name: str) -> None:
        await crowd.job(name, 0.005)

    await spooler.spool_many([work.call("full") for _ in range(300)])
    for name in ("small", "other"):
        await spooler.spool_many([work.using(spool=name).call(name) for _ in range(10)])
    await burst(spooler, concurrency=4)
    assert Counter(crowd.order) == {"full": 300, "small": 10, "other": 10}
    last = max(len(crowd.order) - 1 - crowd.order[::-1].index(name) for name in ("small", "other"))
    assert last < 120, "they took turns"


async def test_an_external_spool_is_written_to_and_never_run(directory: DirectorySpool) -> None:
    crowd = Crowd()
    elsewhere = MemorySpool(external=True)
    spooler = Spooler(directory, spools={"elsewhere": elsewhere})

    @spooler.task(spool="elsewhere")
    async def work(name: str) -> None:
        await crowd.job(name)

    await work.spool("not here")
    await work.using(spool="default").spool("here")
    await burst(spooler)
    assert crowd.order == ["here"]
    with pytest.raises(CallError, match="all spools of this Spooler are external"):
        Worker(Spooler(MemorySpool(external=True)))


async def test_max_tasks_is_kept_over_several_spools(directory: DirectorySpool) -> None:
    crowd = Crowd()
    spooler = Spooler(directory, spools={"other": MemorySpool()})

    @spooler.task
    async def work(name: str) -> None:
        await crowd.job(name, 0)

    await spooler.spool_many([work.call("a") for _ in range(20)] + [work.using(spool="other").call("b")] * 20)
    with anyio.fail_after(30):
        await Worker(spooler, WorkerSettings(max_tasks=10)).run()
    assert len(crowd.order) == 10


async def test_a_limit_holds_over_the_workers_of_a_spool(spool_path: Path) -> None:
    crowd = Crowd()

    def application() -> tuple[Spooler, Any, Any]:
        spooler = Spooler(DirectorySpool(spool_path, durability="process"))

        @spooler.task(concurrency=1, name="one")
        async def one() -> None:
            await crowd.job("one", 0.002)

        @spooler.task(name="many")
        async def many() -> None:
            await crowd.job("many", 0.002)

        return spooler, one, many

    (first, one, many), (second, _, _) = application(), application()
    await first.spool_many([task.call() for _ in range(30) for task in (one, many)])
    async with anyio.create_task_group() as group:
        for spooler in (first, second):
            group.start_soon(burst, spooler)
    async with running(first):
        with anyio.fail_after(30):
            while crowd.now.total() or len(crowd.order) < 60:
                await anyio.sleep(0.01)
    assert Counter(crowd.order) == {"one": 30, "many": 30}
    assert crowd.most["one"] == 1
    assert crowd.most["many"] > 1


async def test_two_spoolers_with_different_tasks_share_a_directory(spool_path: Path) -> None:
    ran: list[str] = []
    here, there = (Spooler(DirectorySpool(spool_path, durability="process")) for _ in range(2))

    @here.task(name="here", keep_result=60)
    async def in_here() -> str:
        ran.append("here")
        return "here"

    @there.task(name="there", keep_result=60)
    async def in_there() -> str:
        ran.append("there")
        return "there"

    started = time.monotonic()
    async with running(here), running(there):
        tickets = [await task.spool() for _ in range(20) for task in (in_here, in_there)]
        with anyio.fail_after(25):  # an unknown task would be looked at again after 30 s
            assert [await ticket.result() for ticket in tickets] == ["here", "there"] * 20
    assert sorted(ran) == ["here"] * 20 + ["there"] * 20
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("kind", ["directory", "memory"])
async def test_a_paused_task_waits_and_the_others_do_not(tmp_path: Path, kind: str) -> None:
    spooler = Spooler(spools(tmp_path, kind))
    started: list[str] = []
    ended = anyio.Event()

    def observe(event: Event) -> None:
        if isinstance(event, JobStarted):
            started.append(event.task.rsplit(".", 1)[-1])
        if isinstance(event, JobEnded) and event.task.endswith("held"):
            ended.set()

    @spooler.task(priority=0)
    async def held() -> None: ...

    @spooler.task(keep_result=60)
    async def free() -> None: ...

    spooler.observers.append(observe)
    await spooler.pause(held)
    assert await spooler.paused() == {held.name}
    async with running(spooler):
        await held.spool()
        with anyio.fail_after(20):
            await (await free.spool()).result()
            assert started == ["free"]
            await spooler.resume(held)
            await ended.wait()
    assert started == ["free", "held"]
    assert await spooler.paused() == frozenset()


@pytest.mark.parametrize("kind", ["directory", "memory"])
async def test_a_paused_spool_begins_nothing_and_takes_messages(tmp_path: Path, kind: str) -> None:
    spooler = Spooler(spools(tmp_path, kind))
    ran: list[int] = []

    @spooler.task(keep_result=60)
    async def work(number: int) -> int:
        ran.append(number)
        return number

    async with running(spooler):
        await spooler.pause()
        ticket = await work.spool(1)
        with pytest.raises(TimeoutError):
            await ticket.result(timeout=0.3)
        assert (ran, await ticket.status()) == ([], "waiting")
        await spooler.resume()
        assert await ticket.result(timeout=20) == 1


async def test_a_spool_with_two_names_is_served_once(directory: DirectorySpool) -> None:
    spooler = Spooler(directory, spools={"also": directory})
    ran: list[str] = []

    @spooler.task
    async def note(name: str) -> None:
        ran.append(name)

    await note.spool("default")
    await note.using(spool="also").spool("also")
    await burst(spooler)
    assert sorted(ran) == ["also", "default"]
