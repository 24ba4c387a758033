"""The first process of a container reaps those whose parent has ended, and no others."""

import ctypes
import os
import subprocess
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aspool.supervisor import orphans
from aspool.supervisor.orphans import keep_reaping

pytestmark = pytest.mark.anyio
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def as_the_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Orphans become children of this process, as in a container those of the first."""
    monkeypatch.setattr(orphans, "INTERVAL", 0.02)
    prctl = ctypes.CDLL(None).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@asynccontextmanager
async def reaping(own: Collection[int] = (), first: int | None = None) -> AsyncIterator[None]:
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(keep_reaping, lambda: own, os.getpid() if first is None else first)
            yield
            group.cancel_scope.cancel()


def orphan(ends: str = "exec sleep 0.05") -> int:
    """A process whose parent ends at once."""
    command = ["sh", "-c", f"({ends}) >/dev/null 2>&1 & echo $!"]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def state(pid: int) -> str:
    """As ps has it; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def until(pid: int, wanted: str) -> None:
    while state(pid) != wanted:
        await anyio.sleep(0.005)


async def test_orphans_are_reaped() -> None:
    async with reaping():
        pids = [orphan() for _ in range(5)]
        for pid in pids:
            await until(pid, "")
        assert [state(pid) for pid in pids] == [""] * 5


async def test_the_end_of_an_own_process_is_for_who_waits_for_it() -> None:
    own = subprocess.Popen(["sh", "-c", "exit 7"])
    async with reaping([own.pid]):
        await until(own.pid, "Z")
        for _ in range(2):
            await until(orphan("exit 1"), "")  # each goes after two looks at all
        assert state(own.pid) == "Z"
    assert own.wait() == 7


async def test_one_that_is_not_known_yet_is_left_alone() -> None:
    own = subprocess.Popen(["sh", "-c", "exit 7"])
    with anyio.fail_after(30):
        await until(own.pid, "Z")
        looks = 0

        def known() -> list[int]:
            nonlocal looks
            looks += 1
            return [own.pid] if looks > 1 else []

        async with anyio.create_task_group() as group:
            group.start_soon(keep_reaping, known, os.getpid())
            while looks < 5:
                await anyio.sleep(0.005)
            group.cancel_scope.cancel()
    assert own.wait() == 7


async def test_one_that_lives_is_left_alone() -> None:
    pid = orphan("exec sleep 600")
    async with reaping():
        await until(orphan(), "")
        assert state(pid) in ("S", "R", "D")
    os.kill(pid, 9)
    os.waitpid(pid, 0)


async def test_others_than_the_first_reap_nobody() -> None:
    pid = orphan()
    with anyio.fail_after(30):
        await keep_reaping(lambda: (), first=os.getpid() + 1)
        await keep_reaping(lambda: ())
        await until(pid, "Z")
    assert os.waitpid(pid, 0) == (pid, 0)


async def test_a_name_cannot_hide_it(tmp_path: Path) -> None:
    """Of the file, which is in its line."""
    name = tmp_path / ") Z 1 ("
    name.symlink_to("/bin/sleep")
    async with reaping():
        pid = orphan(f"exec '{name}' 0.05")
        await until(pid, "")
        assert state(pid) == ""
