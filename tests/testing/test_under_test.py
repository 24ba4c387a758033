"""`use`: memory spools stand in for an application's own, and go again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from aspool import Body, CallError, DirectorySpool, Job, MemorySpool, Spooler, SpoolFull, Tasks, UnknownSpool
from aspool.testing import assert_spooled, drain_sync, use


@pytest.fixture
def shop(tmp_path: Path) -> Spooler:
    mail = DirectorySpool(tmp_path / "mail", concurrency=3)
    other = DirectorySpool(tmp_path / "others", external=True)
    return Spooler(tmp_path / "spool", spools={"mail": mail, "others": other})


@pytest.mark.anyio
async def test_nothing_is_written_to_the_real_spools(shop: Spooler, tmp_path: Path) -> None:
    @shop.task
    def note(n: int) -> None: ...

    before = dict(shop.spools)
    with use(shop) as spool:
        assert shop.is_under_test
        await shop.open()
        await note.spool(1)
        note.using(spool="mail").spool_sync(2)
        await note.using(spool="others").spool(3)
        await note.using(spool=tmp_path / "elsewhere").spool(4)
        await note.using(spool=str(tmp_path / "mail")).spool(5)
        await note.using(spool=DirectorySpool(tmp_path / "object")).spool(6)
        await shop.spool_many([note.call(7)])
        await shop.aclose()
        elsewhere, made = str(tmp_path / "elsewhere"), str(tmp_path / "object")
        spools = ["default", "mail", "others", elsewhere, "mail", made, "default"]
        assert [(each.kwargs["n"], each.spool) for each in spool.spooled] == list(enumerate(spools, 1))
        with pytest.raises(UnknownSpool):
            note.using(spool="nowhere").spool_sync(8)
    assert not shop.is_under_test
    assert shop.spools == before
    assert list(tmp_path.iterdir()) == []
    assert len(spool.spooled) == 7, "it can be looked at after the block too"


def test_a_stand_in_is_as_its_original(shop: Spooler, tmp_path: Path) -> None:
    with use(shop):
        spools = shop.spools
        assert {name: spool.external for name, spool in spools.items()} == {
            "default": False, "mail": False, "others": True,
        }  # fmt: skip
        assert spools["mail"].concurrency == 3
        assert spools["mail"].address == str(tmp_path / "mail")
        assert all(isinstance(spool, MemorySpool) for spool in spools.values())
        assert shop.spool_of(spools["mail"]) is shop.spool_of("mail") is spools["mail"]


def test_two_memory_spools_stay_two() -> None:
    shop = Spooler("memory:", spools={"mail": "memory:"})
    with use(shop):
        assert shop.spool_of(None) is not shop.spool_of("mail")


def test_the_original_comes_back_after_an_error(shop: Spooler) -> None:
    before = dict(shop.spools)
    with pytest.raises(ZeroDivisionError), use(shop):
        1 / 0  # noqa: B018 - an error in the block
    assert (shop.spools, shop.is_under_test) == (before, False)


def test_a_block_in_a_block_has_spools_of_its_own_and_the_outer_one_goes_on(shop: Spooler) -> None:
    @shop.task(spool="mail")
    def note(n: int) -> None: ...

    with use(shop) as outer:
        note.spool_sync(1)
        with use(shop, max_waiting=2) as spool:
            assert spool.clock is outer.clock
            assert spool.spooled == [], "each block begins empty"
            assert shop.spools["mail"].concurrency == 3, "as the original"
            note.spool_sync(2)
            with use(shop) as innermost:
                note.spool_sync(3)
            drain_sync(shop)
            note.using(spool="/some/where").spool_sync(4)
            assert_spooled(note, 2)
        note.spool_sync(5)
        assert_spooled(note, 5)
        seen = [[each.kwargs["n"] for each in one.spooled] for one in (outer, spool, innermost)]
        assert seen == [[1, 5], [2, 4], [3]]
        with pytest.raises(ZeroDivisionError), use(shop):
            1 / 0  # noqa: B018 - an error in the block
        note.spool_sync(6)
        assert [each.kwargs["n"] for each in outer.waiting] == [1, 5, 6]
    assert not shop.is_under_test


def test_spools_may_be_bounded(shop: Spooler) -> None:
    with use(shop, max_waiting=1) as spool:
        shop.spool_sync({"n": "1"})
        shop.spool_sync({"n": "1"}, spool="mail")
        with pytest.raises(SpoolFull, match="max_waiting is 1"):
            shop.spool_sync({"n": "2"})
        shop.spool_sync({"n": "1"}, spool="/some/where")
        with pytest.raises(SpoolFull):
            shop.spool_sync({"n": "2"}, spool="/some/where")
        spool.max_waiting = None
        shop.spool_sync({"n": "2"})
        spool.max_waiting = 2
        with pytest.raises(SpoolFull, match="max_waiting is 2"):
            shop.spool_sync({"n": "3"})
        assert (spool.max_waiting, len(spool.spooled)) == (2, 4)
        with pytest.raises(CallError, match="max_waiting is a whole number from 1 on"):
            spool.max_waiting = 0
    with pytest.raises(CallError, match="max_waiting"), use(shop, max_waiting=0):
        pass
    assert not shop.is_under_test


def test_jobs_may_have_other_resources() -> None:
    @asynccontextmanager
    async def real() -> AsyncIterator[str]:
        yield "the real pool"

    @asynccontextmanager
    async def fake() -> AsyncIterator[str]:
        yield "a fake pool"

    pools = []
    shop = Spooler("./never-opened", resources=real)

    @shop.task
    def note(job: Job[str]) -> None:
        pools.append(job.resources)

    with pytest.raises(ZeroDivisionError), use(shop):
        with use(shop, resources=fake):
            note.spool_sync()
            drain_sync(shop)
        note.spool_sync()
        drain_sync(shop)
        1 / 0  # noqa: B018 - an error in the block
    assert pools == ["a fake pool", "the real pool"]
    assert shop.resources is real


def test_two_spoolers_under_test_share_a_clock(shop: Spooler) -> None:
    other = Spooler("memory:")
    with use(shop) as first, use(other) as second:
        assert first.clock is second.clock
        other.spool_sync({"n": "1"})
        assert (len(first.spooled), len(second.spooled)) == (0, 1)


def test_what_waits_is_read_with_the_help_of_its_task(shop: Spooler) -> None:
    tasks = Tasks(prefix="mail.")

    @tasks.task(name="send")
    def send(when: datetime, /, to: str, *, copies: int = 1, letter: Body) -> None: ...

    shop.include(tasks)
    day = datetime(2030, 5, 1, tzinfo=UTC)
    with use(shop) as spool:
        spool.clock.set(day)
        ticket = send.using(at=timedelta(hours=1), priority=4, id="welcome", expires=timedelta(days=1), retries=9,
                            buffer={"a": [1]}).spool_sync(day, "a@b.c", letter=Body(b"Dear Ada"))  # fmt: skip
        (seen,) = spool.waiting
        assert (seen.id, seen.task) == (ticket.id, "mail.send")
        assert (seen.args, seen.kwargs) == ((day,), {"to": "a@b.c"})
        assert (seen.body, seen.buffer, seen.options) == (b"Dear Ada", {"a": [1]}, {"retries": 9})
        assert (seen.at, seen.spooled_at) == (day + timedelta(hours=1), day)
        assert (seen.expires, seen.priority, seen.attempt) == (day + timedelta(days=1), 4, 0)
        assert str(seen).startswith("mail.send(datetime.datetime(2030, 5, 1")


def test_what_waits_is_in_the_order_of_work(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    with use(shop) as spool:
        note.using(at=timedelta(hours=1)).spool_sync(1)
        note.spool_sync(2)
        note.using(priority=1, at=timedelta(hours=2)).spool_sync(3)
        note.using(spool="mail").spool_sync(4)
        assert [each.kwargs["n"] for each in spool.waiting] == [3, 2, 1, 4]
        assert [each.kwargs["n"] for each in spool.spooled] == [1, 2, 3, 4]


def test_raw_messages_and_unknown_tasks_are_shown_as_they_are(shop: Spooler) -> None:
    with use(shop) as spool:
        shop.spool_sync({"ToGroup": "customers"}, body=b"text")
        shop.task_named("other.send").using(priority=2).spool_sync(1, "two", three=3)
        raw, unknown = spool.spooled
        assert (raw.task, raw.variables, raw.body) == (None, {"ToGroup": "customers"}, b"text")
        assert (unknown.task, unknown.args, unknown.kwargs) == ("other.send", (1, "two"), {"three": 3})
        assert [str(raw), str(unknown)] == ["a raw message {'ToGroup': 'customers'}", "other.send(1, 'two', three=3)"]


@pytest.mark.anyio
async def test_a_duplicate_and_a_broken_body_are_not_spooled(shop: Spooler) -> None:
    @shop.task
    def digest(content: Body) -> None: ...

    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise OSError("the upload was cut")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"some "
        yield b"more"

    with use(shop) as spool:
        with pytest.raises(OSError, match="cut"):
            await digest.spool(Body(broken()))
        await digest.using(id="one").spool(Body(pieces()))
        assert (await digest.using(id="one").spool(Body(b"again"))).duplicate
        assert [each.body for each in spool.spooled] == [b"some more"]


def test_threads_may_spool_at_the_same_time(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    with use(shop) as spool:
        threads = [Thread(target=lambda: [note.using(spool="mail").spool_sync(n) for n in range(200)]) for _ in "1234"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(spool.spooled) == len(spool.waiting) == 800
        assert {each.spool for each in spool.spooled} == {"mail"}


def test_what_blocks_leave_behind_is_let_go(shop: Spooler) -> None:
    @shop.task
    def note(n: int) -> None: ...

    for _ in range(100):
        with use(shop):
            note.spool_sync(1)
    assert len(note._origins) < 50
