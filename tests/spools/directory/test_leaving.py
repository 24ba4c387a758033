"""A process that leaves: what becomes of its claims, and that nobody has them before it is gone."""

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from aspool import DirectorySpool
from aspool.outcomes import Buried, Done, HandedBack, PutOff
from aspool.protocol import Claim
from aspool.spools.directory import marks
from aspool.spools.directory.claim import FileClaim
from aspool.spools.directory.finish import Finisher
from aspool.testing.conformance import claimed, message, nothing, put, served

from ...worker.own_processes import die

pytestmark = pytest.mark.anyio


def by_id(claims: list[Claim]) -> dict[str, Claim]:
    return {claim.message.id: claim for claim in claims}


async def test_another_worker_has_them_once_the_process_is_gone(directory: DirectorySpool, spool_path: Path) -> None:
    await put(directory, *[message(id=name) for name in ("done", "dead", "later", "held", "unsaid")])
    other = DirectorySpool(spool_path, durability="process")
    async with served(directory):
        claims = by_id(await claimed(directory, 5))
        due = time.time() - 1
        directory.leave(
            [
                (claims["done"], Done()),
                (claims["dead"], Buried("it had enough", "Traceback", 1)),
                (claims["later"], PutOff(due, attempt=1, crashes=0)),
                (claims["held"], HandedBack()),
            ]
        )
        async with served(other):
            assert await nothing(other)
            die(directory)
            found = by_id(await claimed(other, 3))
            assert {id: one.message.attempt for id, one in found.items()} == {"later": 1, "held": 0, "unsaid": 0}
            assert not any(one.crashed or one.message.crashes for one in found.values())
            await other.finish([(one, Done()) for one in found.values()])
    assert [(item.id, item.reason) for item in other.browse(frozenset({"dead"}))] == [("dead", "it had enough")]
    assert other.counts().get("waiting", 0) == 0


async def test_an_error_of_one_does_not_stop_the_others(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await put(directory, *[message(id=name) for name in ("a", "b", "c")])
    settle = Finisher._settle

    def fail_for_b(self: Finisher, claim: FileClaim, outcome: Any) -> bool:
        if claim.message.id == "b":
            raise OSError(errno.EROFS, "Read-only file system")
        return settle(self, claim, outcome)

    async with served(directory):
        claims = await claimed(directory, 3)
        monkeypatch.setattr(Finisher, "_settle", fail_for_b)
        directory.leave([(claim, Done()) for claim in claims])
    (left,) = directory.path.glob("uwsgi_*")
    assert "_b_" in left.name
    assert "the end of" in caplog.text


async def test_what_the_disk_refused_before_is_told_again(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(directory, message())

    def refuse(*_: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with served(directory):
        claims = await claimed(directory, 1)
        with monkeypatch.context() as full:
            full.setattr(Finisher, "_settle", refuse)
            await directory.finish([(claims[0], Done())])
        directory.leave([])
    assert list(directory.path.glob("uwsgi_*")) == []


async def test_in_the_middle_of_a_finish_that_hangs(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(directory, message(id="a"), message(id="b"))
    settle, release = Finisher._settle, threading.Event()

    def hang_for_a(self: Finisher, claim: FileClaim, outcome: Any) -> bool:
        if claim.message.id == "a" and threading.current_thread() is not threading.main_thread():
            release.wait(30)
        return settle(self, claim, outcome)

    async with served(directory):
        claims = by_id(await claimed(directory, 2))
        a, b = claims["a"], claims["b"]
        assert isinstance(a, FileClaim)
        monkeypatch.setattr(Finisher, "_settle", hang_for_a)
        hanging = threading.Thread(target=directory._finisher.finish, args=(a, Done()))
        hanging.start()
        started = time.monotonic()
        directory.leave([(b, Done()), (a, Done())])
        assert time.monotonic() - started < 20
        release.set()
        await anyio.to_thread.run_sync(hanging.join)
    assert list(directory.path.glob("uwsgi_*")) == []


async def test_a_job_that_was_done_in_its_process_is_not_run_again(directory: DirectorySpool, spool_path: Path) -> None:
    """Its worker left before it heard of the end."""
    await put(directory, message(id="done"), message(id="not"))
    async with served(directory):
        claims = by_id(await claimed(directory, 2))
        done = claims["done"]
        assert isinstance(done, FileClaim)
        marks.note_done(done.fd)
        directory.leave([])
        die(directory)
    other = DirectorySpool(spool_path, durability="process")
    async with served(other):
        (claim,) = await claimed(other, 1)
        assert claim.message.id == "not"
        assert await nothing(other)
        await other.finish([(claim, Done())])
    assert list(spool_path.glob("uwsgi_*")) == []


async def test_a_job_whose_process_lives_on_is_waited_for(directory: DirectorySpool, spool_path: Path) -> None:
    """The kernel ends it a moment after its worker; until then it guards its message with the other kind of lock."""
    await put(directory, message())
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert isinstance(claim, FileClaim)
        with claim.body.reader.hold():
            directory.leave([])
            die(directory)
            other = DirectorySpool(spool_path, durability="process")
            async with served(other):
                assert await nothing(other)
        async with served(other):
            await other.finish([(one, Done()) for one in await claimed(other, 1)])


def test_what_is_let_go_of_is_forgotten(directory: DirectorySpool) -> None:
    """Otherwise each message would take memory for ever."""

    async def some() -> None:
        await put(directory, *[message() for _ in range(3)])
        async with served(directory):
            first, second, third = await claimed(directory, 3)
            assert len(directory._finisher.held.claims) == 3
            await directory.finish([(first, Done()), (second, HandedBack()), (third, Buried("no"))])
            assert directory._finisher.held.claims == set()

    anyio.run(some)
    assert os.path.exists(directory.path)
