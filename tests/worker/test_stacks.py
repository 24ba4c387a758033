"""Where everything is: threads, coroutines that wait, the one that runs; and never more text than a file may take."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aspool.worker import stacks

pytestmark = pytest.mark.anyio


def here() -> int:
    return threading.get_ident()


async def deep(count: int) -> None:
    await (deeper(count - 1) if count else asyncio.sleep(100))


async def deeper(count: int) -> None:
    """Lines that are repeated at once would be told of in a word."""
    await (deep(count - 1) if count > 0 else asyncio.sleep(100))


@asynccontextmanager
async def started(*coroutines: object) -> AsyncIterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.ensure_future(one) for one in coroutines]  # type: ignore[call-overload]  # all are coroutines
    await asyncio.sleep(0.01)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_coroutine_that_waits_is_shown_to_its_end() -> None:
    async def innermost() -> None:
        await asyncio.sleep(100)

    async def generator() -> AsyncIterator[int]:
        await innermost()
        yield 1

    async def outermost() -> None:
        async for _ in generator():
            pass

    async with started(outermost()) as (task,):
        lines = [line for line in stacks.of_task(task, here()).splitlines() if line.startswith("  File")]
    names = [line.rpartition(" in ")[2] for line in lines]
    assert names == ["outermost", "generator", "innermost", "sleep"]


async def test_the_task_that_runs_and_one_that_has_ended() -> None:
    task = asyncio.current_task()
    assert task is not None
    assert "test_the_task_that_runs_and_one_that_has_ended" in stacks.of_task(task, here())
    async with started(asyncio.sleep(0)) as (ended,):
        assert stacks.of_task(ended, here()) == ""


async def test_a_thread_and_one_that_has_ended() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(30,))
    thread.start()
    assert thread.ident is not None
    assert "self._cond.wait" in stacks.of_thread(thread.ident)
    release.set()
    thread.join()
    assert stacks.of_thread(0) == ""


async def test_all_are_shown_the_culprit_first() -> None:
    async with started(deep(3)) as (task,):
        task.set_name("the one")
        text = stacks.of_all(asyncio.get_running_loop(), here(), "culprit\n")
    assert text.startswith("culprit\n\nThread")
    assert "Task the one" in text
    assert "Thread MainThread" in text


async def test_there_is_no_more_text_than_a_file_may_take() -> None:
    async with started(*(deep(200 + n) for n in range(50))):
        text = stacks.of_all(asyncio.get_running_loop(), here(), "x" * 1000)
        assert len(text) < stacks.LONGEST + 1000
        assert text.endswith("and more\n")
    async with started(deep(900)) as (task,):
        assert len(stacks.of_task(task, here())) <= stacks.LONGEST_OF_ONE
