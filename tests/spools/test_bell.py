"""The bell: nothing that happened is missed, and a storm does not wake its follower for every drop."""

import time
from asyncio import get_running_loop

import anyio
import pytest

from aspool.spools.bell import BURST, Bell

pytestmark = pytest.mark.anyio


async def test_what_rang_before_is_heard() -> None:
    bell = Bell()
    bell.ring()
    with anyio.move_on_after(5) as scope:
        await bell.heard(1000)
    assert not scope.cancelled_caught


async def test_silence_has_an_end() -> None:
    begun = get_running_loop().time()
    with anyio.move_on_after(5) as scope:
        await Bell().heard(0.01)
    assert not scope.cancelled_caught
    assert get_running_loop().time() - begun >= 0.009


async def test_it_wakes_who_waits() -> None:
    bell = Bell()
    get_running_loop().call_later(0.01, bell.ring)
    with anyio.fail_after(5):
        await bell.heard(1000)
    with anyio.move_on_after(0.02) as scope:
        await bell.heard(1000)
    assert scope.cancelled_caught, "once each"
    bell.ring()
    await bell.heard(1000)


async def test_a_storm_is_heard_now_and_then() -> None:
    bell = Bell()
    heard = 0
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        bell.ring()
        await bell.heard(1000)
        heard += 1
    assert BURST < heard <= BURST + 21
