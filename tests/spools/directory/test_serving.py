"""Several workers on one directory: each takes its own share first, and what another leaves."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool
from aspool.ids import new_id
from aspool.message import Message
from aspool.outcomes import Done, HandedBack
from aspool.protocol import Claim, WorkerSide
from aspool.spools.directory import ranks
from aspool.spools.directory.claim import FileClaim
from aspool.spools.directory.locks import HAVE_OFD
from aspool.spools.directory.ranks import Share
from aspool.spools.directory.sight import HESITATION

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not HAVE_OFD, reason="ranks need OFD locks")]


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "OLDEST", -1.0)


def messages(count: int, due: float, priority: int | None = None) -> list[Message]:
    return [Message(id=new_id(), task="t", spooled=due, due=due, priority=priority) for _ in range(count)]


@asynccontextmanager
async def served(path: Path, count: int) -> AsyncIterator[list[DirectorySpool]]:
    """So many workers on the directory, which know of each other."""
    async with AsyncExitStack() as stack:
        spools = [DirectorySpool(path) for _ in range(count)]
        for spool in spools:
            await stack.enter_async_context(spool.serving(WorkerSide(lambda: 30.0)))
        for spool in spools:
            assert await spool.claim(1, time.time()) == []
            await looked(spool)
        yield spools


async def looked(spool: DirectorySpool) -> None:
    with anyio.fail_after(10):
        while not spool.has_looked:
            await spool.wait(0.01)


async def claimed(spool: DirectorySpool, count: int) -> Sequence[Claim]:
    """So many claims, as soon as they can be had."""
    claims: list[Claim] = []
    with anyio.fail_after(10):
        while len(claims) < count:
            claims += await spool.claim(count - len(claims), time.time())
            await spool.wait(0.001)
    return claims


def belongs(claim: Claim, share: Share) -> bool:
    assert isinstance(claim, FileClaim)
    return share.has(claim.name)


async def test_each_worker_takes_its_own_share_at_once(tmp_path: Path) -> None:
    async with served(tmp_path / "spool", 3) as spools:
        due = time.time() + 60
        await spools[0].put(messages(60, due))
        found = [await spool.claim(100, due + HESITATION / 2) for spool in spools]
        assert [len(claims) for claims in found if claims] == [pytest.approx(20, abs=19)] * 3
        for rank, claims in enumerate(found):
            assert all(belongs(claim, Share(rank, 3)) for claim in claims)
        assert sum(map(len, found)) == 60


async def test_a_worker_takes_what_the_others_leave(tmp_path: Path) -> None:
    async with served(tmp_path / "spool", 3) as spools:
        await spools[0].put(messages(60, time.time()))
        found = await claimed(spools[1], 60)
        assert not all(belongs(claim, Share(1, 3)) for claim in found)
        await spools[1].finish([(claim, Done()) for claim in found])
        with anyio.fail_after(10):
            for spool in (spools[0], spools[2]):
                while not spool.has_looked or spool.next_due() is not None:
                    assert await spool.claim(10, time.time()) == []
                    await spool.wait(0.01)


async def test_urgent_names_of_another_come_before_own_ones(tmp_path: Path) -> None:
    async with served(tmp_path / "spool", 2) as (one, other):
        due = time.time() + 60
        await other.put([*messages(50, due), *messages(50, due, priority=0)])
        with anyio.fail_after(10):
            while one._served()._look.places()[0].path != "0" or not one.has_looked:
                await one.wait(0.01)
        found = [*await one.claim(1, due + HESITATION), *await one.claim(49, due + HESITATION)]
        assert {claim.message.priority for claim in found} == {0}


async def test_when_a_worker_leaves_the_others_divide_its_share(tmp_path: Path) -> None:
    async with served(tmp_path / "spool", 1) as (one,):
        async with DirectorySpool(tmp_path / "spool").serving(WorkerSide(lambda: 30.0)):
            assert await one.claim(1, time.time()) == []
            assert one._served()._look._share == Share(0, 2)
        await looked(one)
        assert await one.claim(1, time.time()) == []
        await looked(one)
        await one.put(messages(20, time.time()))
        assert len(await one.claim(20, time.time())) == 20


async def test_what_a_worker_hands_back_another_takes(tmp_path: Path) -> None:
    async with served(tmp_path / "spool", 2) as (one, other):
        await one.put(messages(20, time.time()))
        found = await claimed(one, 20)
        await other.wait(0.01)
        assert await other.claim(20, time.time()) == []  # all refused
        await one.finish([(claim, HandedBack("stopping")) for claim in found])
        assert len(await claimed(other, 20)) == 20
