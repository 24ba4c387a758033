"""Trips to the disk: blocking work in a thread that is not given up half-way."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import CancelScope, CapacityLimiter, to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def trip(limiter: CapacityLimiter, work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do the work in a thread of the limiter; a caller who is cancelled meanwhile waits for its end."""
    with CancelScope(shield=True):
        return await to_thread.run_sync(work, *args, limiter=limiter)
    raise AssertionError("a scope that nobody cancels swallows nothing")
