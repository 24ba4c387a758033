"""Upkeep of the records of schedules: a sign of life for those that a worker knows, an end for those that none does."""

from collections.abc import Collection

from .. import clock, firing, schedule_record
from ..turn import KeepsSchedules, Kept

FORGOTTEN = 30 * 86_400.0  # seconds without a sign of life


async def keep_up(spool: KeepsSchedules, known: Collection[str]) -> list[str]:
    """Let others know that these live, and remove what has been unknown to all for long; what was removed.

    What a program made while it ran is kept until it is removed, or has nothing more to do. Raises SpoolUnusable.
    """
    await spool.keep_alive(known)
    records = await spool.records()
    removed = [name for name, kept in records.items() if name not in known and _is_over(kept)]
    for name in removed:
        await spool.turn(name, firing.forget)
    return removed


def _is_over(kept: Kept) -> bool:
    record = schedule_record.read(kept.record)
    if kept.known > clock.now() - FORGOTTEN:
        return False
    return record is None or not record.schedule.runtime or not record.iterations_left
