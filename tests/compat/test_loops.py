"""A program that runs in the thread of an event loop: it sees none, and may run its own."""

import asyncio
import warnings
from typing import Any

import pytest

from aspool.compat import loops
from aspool.compat.loops import hidden_loop, shown_loop
from aspool.job import current_job
from aspool.testing import drain

from .conftest import MakeProgram

pytestmark = pytest.mark.anyio


def no_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


async def test_it_is_there_again_afterwards() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="of the program"), hidden_loop():
        assert no_loop()
        with shown_loop():
            assert asyncio.get_running_loop() is loop
            with shown_loop():
                assert asyncio.get_running_loop() is loop
        assert no_loop()
        raise ValueError("of the program")
    assert asyncio.get_running_loop() is loop
    await asyncio.sleep(0)


def current_loop() -> asyncio.AbstractEventLoop | None:
    """What a program gets of get_event_loop; it makes one with a warning from 3.12 on, and none from 3.14 on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None


def test_a_program_has_a_current_loop_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own is there again the next time, and that of the worker afterwards."""
    monkeypatch.setattr(loops, "_thread", loops._Thread())

    async def worker() -> None:
        running = asyncio.get_running_loop()
        asyncio.set_event_loop(running)
        with hidden_loop():
            made = current_loop()
            assert made is not running, "its run_until_complete would refuse"
            own = made or asyncio.new_event_loop()
            asyncio.set_event_loop(own)
        assert asyncio.get_event_loop() is running
        with hidden_loop():
            assert current_loop() is own
            assert own.run_until_complete(asyncio.sleep(0, "ran")) == "ran"
            own.close()
            asyncio.set_event_loop(None)
        asyncio.get_running_loop().call_soon(seen.append, "runs")
        await asyncio.sleep(0)

    seen: list[str] = []
    asyncio.run(worker())
    assert seen == ["runs"]


def test_where_there_is_none() -> None:
    with hidden_loop(), shown_loop():
        assert no_loop()
    assert no_loop()


@pytest.mark.parametrize("in_main_thread", [True, False])
async def test_a_task_may_use_what_refuses_to_work_beside_a_loop(
    make_program: MakeProgram, in_main_thread: bool
) -> None:
    program = make_program(in_main_thread=in_main_thread)
    uwsgi: Any = program.module
    seen: list[object] = []

    async def own() -> str:
        await asyncio.sleep(0)
        return "its own loop"

    def spooler(env: dict[Any, bytes]) -> int:
        seen.append(no_loop())
        if not env.get(b"last"):
            uwsgi.spool({b"last": b"yes"})
            uwsgi.set_user_harakiri(20)
            assert current_job().id
            other = asyncio.new_event_loop()
            seen.append(other.run_until_complete(own()))
            other.close()
            seen.append(no_loop())
        return -2

    uwsgi.spooler = spooler
    uwsgi.spool({b"a": b"b"})
    ran = [each.state for each in await drain(program.spooler, concurrency=1)]
    assert (ran, seen) == (["done", "done"], [True, "its own loop", True, True])
