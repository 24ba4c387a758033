"""What fires while the clock of a test goes on: for the tables about schedules."""

from datetime import UTC, datetime

from aspool import Spooler
from aspool.testing import SpoolUnderTest, drain_sync

NOON = datetime(2026, 11, 21, 12, 0, 2, tzinfo=UTC)  # a Saturday


def fires(spooler: Spooler, spool: SpoolUnderTest, seconds: float = 0.0) -> list[str]:
    """What runs when so many seconds have gone by."""
    spool.clock.move(seconds)
    return [ran.task for ran in drain_sync(spooler, schedules=True)]


def times(spooler: Spooler, spool: SpoolUnderTest, step: float, count: int, form: str = "%H:%M:%S") -> list[str]:
    """The times at which something runs, when one looks so often."""
    return [spool.clock.now.strftime(form) for _ in range(count) if fires(spooler, spool, step)]
