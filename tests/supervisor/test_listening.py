"""The listener in the supervisor: whose spools it fills, and when it closes. The workers are fakes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import create_task_group

from aspool import DirectorySpool
from aspool.net import Listener
from aspool.supervisor.listening import keep_listening
from aspool.wire import encode

from ..net.clients import STORED, connected, rest_of, say
from .fake_processes import FakeProcess, Fakes, supervised

pytestmark = pytest.mark.anyio
MAIL = encode({b"job": b"mail"})


@asynccontextmanager
async def listening(directory: Path, *spools: str) -> AsyncIterator[tuple[Fakes, FakeProcess, Listener]]:
    """With a worker that has been started, and is not ready; it listens at "socket"."""
    async with supervised(processes=1, listen=(f"unix:{directory}/socket",), spools=spools) as fakes:
        listener = Listener(fakes.supervisor.settings)
        listener.open()
        async with create_task_group() as group:
            group.start_soon(keep_listening, listener, fakes.supervisor)
            await fakes.until(lambda: fakes.started)
            yield fakes, fakes.started[0], listener
            group.cancel_scope.cancel()


def waiting(path: Path) -> int:
    return DirectorySpool(path).counts()["waiting"]


async def test_after_a_reload_it_fills_the_spool_of_the_new_worker(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        await DirectorySpool(path).open()
    async with listening(tmp_path) as (fakes, old, listener):
        old.is_ready(str(first))
        assert await say(listener, MAIL) == STORED
        async with await connected(listener.addresses[0]) as under_way:
            await under_way.send(encode({b"REQUEST_METHOD": b"POST", b"CONTENT_LENGTH": b"5"}))
            await fakes.settle()
            fakes.supervisor.reload("the test")
            await fakes.until(lambda: len(fakes.started) == 2)
            new = fakes.started[1]
            assert await say(listener, MAIL) == STORED  # that one is not ready
            new.is_ready(str(second))
            await fakes.until(lambda: old.was_stopped)
            await fakes.settle()
            assert await say(listener, MAIL) == STORED
            await under_way.send(b"hello")
            assert b" 202 " in await rest_of(under_way)
        assert (waiting(first), waiting(second)) == (3, 1)
        old.drain()


async def test_spools_that_are_given_stay(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "given")
    await spool.open()
    async with listening(tmp_path, str(tmp_path / "given")) as (fakes, worker, listener):
        assert await say(listener, MAIL) == STORED  # nobody is ready
        worker.is_ready(str(tmp_path / "other"))
        await fakes.settle()
        assert await say(listener, MAIL) == STORED
    assert waiting(tmp_path / "given") == 2


@pytest.mark.parametrize("is_ready", [True, False])
async def test_it_closes_when_the_workers_are_stopped(tmp_path: Path, is_ready: bool) -> None:
    """Long before the last of them has drained."""
    async with listening(tmp_path) as (fakes, worker, listener):
        if is_ready:
            worker.is_ready(str(tmp_path / "spool"))
            await fakes.settle()
        fakes.supervisor.stop("the test")
        await fakes.until(lambda: not (tmp_path / "socket").exists())
        assert listener.addresses == []
        assert fakes.supervisor.processes == [worker]
