"""Feed: one spool of a worker, and the lanes in which its jobs run."""

import math

from ..protocol import Scoreboard, Spool
from .lanes import Lanes


class Feed:
    """One spool, as one worker serves it."""

    lanes: Lanes | None = None  # once it runs

    def __init__(self, spool: Spool, *, is_spooled: bool = True) -> None:
        self.spool = spool
        self.is_spooled = is_spooled  # else its messages are only in this worker's memory
        self.board: Scoreboard | None = None
        self.idle_at = -1  # how many jobs had ended before the last look, if that found nothing

    @property
    def places(self) -> float:
        """How many more of its jobs may run."""
        if self.spool.concurrency is None or self.lanes is None:
            return math.inf
        return self.spool.concurrency - self.lanes.taken

    @property
    def next_due(self) -> float | None:
        """When its next known message is due, a UNIX timestamp; None: when none is known, or it is not served."""
        return None if self.lanes is None else self.spool.next_due()

    @property
    def is_full(self) -> bool:
        """Whether another worker could run what this one has no place for."""
        return self.places <= 0 and not getattr(self.spool, "ordered", False)

    def cancel(self, id: str) -> bool:
        """Stop the job of a message; whether it is here."""
        return self.lanes is not None and self.lanes.cancel(id)
