"""Idleness: whether a worker has nothing to do, since when, and until when. It looks; it does not poll."""

import time
from asyncio import sleep
from collections.abc import Sequence

from .. import clock
from .feed import Feed
from .feeding import Feeding
from .places import Places
from .ticker import Ticker

SOON = 1.0  # seconds until something that is due but cannot be claimed is looked at again


class Idleness:
    """What one worker has to do."""

    def __init__(self, places: Places, feeds: Sequence[Feed], ticker: Ticker, feeding: Feeding) -> None:
        self._places = places
        self._feeds = feeds
        self._ticker = ticker
        self._feeding = feeding

    @property
    def is_saturated(self) -> bool:
        """Whether another worker would help: all places are taken here, or all that one spool may take."""
        return self._places.free + self._feeding.claiming <= 0 or any(feed.is_full for feed in self._feeds)

    def next_moment(self) -> float | None:
        """When something is due next: a message, or a schedule. A UNIX timestamp, which may have passed."""
        moments = [self._ticker.next_moment(), *(feed.next_due for feed in self._feeds)]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def since(self) -> float | None:
        """Since when nothing runs or is due, of the monotonic clock; None while something does, or is."""
        if self._places.busy > self._feeding.claiming or self._is_due():
            return None
        return self._places.empty_since

    def _is_due(self) -> bool:
        moment = self.next_moment()
        return moment is not None and moment <= clock.now()

    async def wait(self, seconds: float) -> None:
        """Until that has been so for so many seconds."""
        while True:
            since = self.since
            if since is not None:
                rest = since + seconds - time.monotonic()
                if rest <= 0:
                    return
                await sleep(rest)
            elif self._places.busy > self._feeding.claiming:
                await self._places.wait_empty()
            else:
                await sleep(min(SOON, seconds))
