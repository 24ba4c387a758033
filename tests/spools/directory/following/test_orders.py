"""Orders to cancel: between the processes, as files."""

import os
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool, SpoolUnusable
from aspool.outcomes import Cancelled, Done
from aspool.protocol import Spool
from aspool.spools.directory.following import orders
from aspool.spools.directory.following.orders import AREA, Order, OrderBook
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import claimed, message, put, settle
from aspool.testing.conformance_following import Following, served

pytestmark = pytest.mark.anyio


def placed(directory: DirectorySpool) -> list[str]:
    return sorted(os.listdir(directory.path / PRIVATE / AREA))


async def other_has_read(spool: Spool, directory: DirectorySpool) -> None:
    """Until a worker's book is empty, or open: it has read its events."""
    assert isinstance(spool, DirectorySpool)
    while not spool._served()._orders.open:
        assert placed(directory)
        await anyio.sleep(0.001)


async def test_an_order_is_a_file_until_it_is_taken_or_withdrawn(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    first, second = Order(directory._tree, "abc"), Order(directory._tree, "abc")
    first.place()
    second.place()
    assert [name.partition("~")[0] for name in placed(directory)] == ["abc", "abc"]
    os.utime(directory.path / PRIVATE / AREA / placed(directory)[0], (1, 1))
    assert first.is_open()
    assert second.is_open()
    assert all((directory.path / PRIVATE / AREA / name).stat().st_mtime > 1 for name in placed(directory)), "young"
    assert second.withdraw()
    assert not second.withdraw()
    assert not second.is_open()
    assert first.is_open(), "each caller has its own"


async def test_an_order_that_cannot_be_placed_is_an_error(directory: DirectorySpool) -> None:
    await put(directory, message(id="abc"))
    async with served(directory) as here:
        claim = await here.claim()
        (directory.path / PRIVATE / AREA).rmdir()
        with pytest.raises(SpoolUnusable, match="an order to cancel a task cannot be left in"):
            await directory.cancel("abc", None)
        await settle(directory, [claim], Done())


async def test_the_worker_that_runs_it_takes_it_among_several(directory: DirectorySpool) -> None:
    other = DirectorySpool(directory.path)
    sent = message()
    await put(directory, sent)
    async with served(directory) as here, served(other) as there:
        claim = await there.claim()
        assert await DirectorySpool(directory.path).cancel(sent.id, None)
        assert (here.cancelled, there.cancelled) == ([], [sent.id])
        await settle(other, [claim], Cancelled())
    assert placed(directory) == []


async def test_an_order_that_was_there_before_the_worker(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    Order(directory._tree, sent.id).place()  # of a caller that was killed
    (directory.path / PRIVATE / AREA / "waits-for-ever").touch()
    async with served(directory) as here:
        await other_has_read(directory, directory)
        claim = await here.claim()
        with anyio.fail_after(5):
            while not here.cancelled:
                await anyio.sleep(0.001)
        await settle(directory, [claim], Cancelled())
    assert placed(directory) == ["waits-for-ever"]


async def test_an_order_left_by_hand_is_obeyed(directory: DirectorySpool) -> None:
    """`touch .aspool/orders/<id>`."""
    sent = message()
    await put(directory, sent)
    async with served(directory) as here:
        claim = await here.claim()
        (directory.path / PRIVATE / AREA / sent.id).touch()
        with anyio.fail_after(5):
            while placed(directory):
                await anyio.sleep(0.001)
        assert here.cancelled == [sent.id]
        await settle(directory, [claim], Cancelled())


async def test_a_withdrawn_order_is_not_remembered(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    asked: list[str] = []

    def cancel(id: str) -> bool:
        asked.append(id)
        return False

    book = OrderBook(directory._tree, cancel)
    order = Order(directory._tree, sent.id)
    order.place()
    book.install(book.listed())
    assert (asked, list(book.open)) == ([sent.id], [sent.id])
    assert order.withdraw()
    async with served(directory):
        claims = await claimed(directory, 1)
        book.claimed(claims)
        while book.open:
            await anyio.sleep(0.001)
        await settle(directory, claims, Done())
    assert asked == [sent.id], "only while it was there"


async def test_a_book_has_an_end(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "MOST", 3)
    directory.put_blocking([])
    for number in range(5):
        (directory.path / PRIVATE / AREA / f"id{number}~1").touch()
    book = OrderBook(directory._tree, Following(directory).cancel)
    assert len(book.listed()) == 3
    book.install([f"id{number}~1" for number in range(5)])
    assert len(book.open) == 3


async def test_a_spool_that_was_removed_has_no_orders(tmp_path: Path) -> None:
    directory = DirectorySpool(tmp_path / "spool")
    await directory.open()
    (directory.path / PRIVATE / AREA).rmdir()
    assert OrderBook(directory._tree, Following(directory).cancel).listed() == []


async def test_the_order_of_a_dead_caller_is_not_about_a_later_message(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    area = directory.path / PRIVATE / AREA
    for name in ("nightly~old", "nightly~young", "nightly2~old"):
        (area / name).touch()
    for name in ("nightly~old", "nightly2~old"):
        os.utime(area / name, (1, 1))
    await put(directory, message(id="nightly", unique=True))
    assert placed(directory) == ["nightly2~old", "nightly~young"]
