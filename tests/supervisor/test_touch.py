"""Files that make a supervisor reload."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aspool.errors import CallError
from aspool.supervisor import touch
from aspool.worker.file_monitor import FileMonitors

pytestmark = pytest.mark.anyio


class Reloads:
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self._news = anyio.Event()

    def __call__(self, reason: str) -> None:
        self.reasons.append(reason)
        self._news.set()

    async def next(self) -> str:
        while not self.reasons:
            await self._news.wait()
            self._news = anyio.Event()
        return self.reasons.pop(0)


@asynccontextmanager
async def watched(*paths: str, frequency: float = 1000.0) -> AsyncIterator[Reloads]:
    reloads = Reloads()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(touch.keep_watching_touched, paths, frequency, reloads)
            for _ in range(5):
                await anyio.wait_all_tasks_blocked()  # it looks, in a thread, before it watches
                await anyio.sleep(0.02)
            yield reloads
            group.cancel_scope.cancel()


async def test_a_touched_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one").touch()
    async with watched("one", "two") as reloads:
        os.utime("one", (1, 1))
        assert await reloads.next() == f"{tmp_path}/one was touched"
        Path("two").touch()
        assert await reloads.next() == f"{tmp_path}/two was touched"
        os.unlink("two")
        os.utime("one", (2, 2))
        assert await reloads.next() == f"{tmp_path}/one was touched"


async def test_where_the_system_tells_nothing_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileMonitors, "watch", lambda *_: None)
    async with watched(str(tmp_path / "one"), frequency=0.01) as reloads:
        (tmp_path / "one").touch()
        assert "was touched" in await reloads.next()


async def test_code_needs_watchfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touch, "find_spec", lambda _: None)
    with pytest.raises(CallError, match=r"pip install 'aspool\[reload\]'"):
        touch.check_code_watcher()
