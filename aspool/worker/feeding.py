"""Feeding: claim into free places, as fairly as the spools want it; and wait when there is nothing to be had."""

from asyncio import sleep
from collections.abc import Callable, Sequence

from anyio import create_task_group

from .. import clock
from ..protocol import Claim
from ..settings import WorkerSettings
from .feed import Feed
from .lanes import BATCH
from .places import Places
from .recycling import Recycling

LONGEST_WAIT = 3600.0  # seconds
SHORTEST_WAIT = 0.005  # of a burst, whose clock may stand still: that of a test does


class Feeding:
    """How one worker claims from its spools. `over` is called when a burst is over."""

    def __init__(
        self,
        settings: WorkerSettings,
        places: Places,
        feeds: Sequence[Feed],
        recycling: Recycling,
        over: Callable[[], None],
    ) -> None:
        self.runs = 0
        self.is_over = False  # then nothing more is claimed
        self.claiming = 0  # places that are promised to claims on their way
        self._settings = settings
        self._places = places
        self._feeds = feeds
        self._recycling = recycling
        self._over = over

    async def keep_feeding(self, feed: Feed) -> None:
        """Claim from one spool, until it is over."""
        assert feed.lanes is not None
        while not self.is_over:
            limit = self._take_places(feed)
            if not limit:
                await (self._places.wait() if feed.places > 0 else self._places.changed())
                continue
            # Reserved, so that two spools do not claim into the same places.
            claims: Sequence[Claim] = ()
            ended = self._places.ended
            self.claiming += limit
            try:
                claims = await feed.spool.claim(limit, clock.now())
            finally:
                self.claiming -= limit
                self.runs += self._counted(claims)
                self._places.leave(limit - len(claims))
            feed.lanes.begin(claims)
            feed.idle_at = ended if not claims and feed.spool.has_looked else -1
            if claims:
                await sleep(0)  # they begin before more are looked for
            else:
                await self._wait_for_work(feed)

    def _counted(self, claims: Sequence[Claim]) -> int:
        """How many of them count toward max_tasks."""
        if self._settings.signal_as_task:
            return len(claims)
        return sum(claim.message.firing is None for claim in claims)

    def _take_places(self, feed: Feed) -> int:
        """Places for so many messages as may be claimed now."""
        most = min(BATCH, feed.places)
        if self._settings.max_tasks is not None:
            most = min(most, self._settings.max_tasks - self.runs - self.claiming)
            self._recycling.counted(self.runs)
        return self._places.take(int(most))

    async def _wait_for_work(self, feed: Feed) -> None:
        due = feed.spool.next_due()
        wait = LONGEST_WAIT if due is None else min(LONGEST_WAIT, max(0.0, due - clock.now()))
        if not self._settings.burst or wait == 0:
            await feed.spool.wait(wait)
        elif self._places.busy or not all(other.idle_at == self._places.ended for other in self._feeds):
            await self._wait_for_work_or_place(feed, max(SHORTEST_WAIT, wait))
        else:  # nothing is due anywhere, and nothing runs that could spool more
            self._over()

    async def _wait_for_work_or_place(self, feed: Feed, wait: float) -> None:
        async with create_task_group() as group:

            async def wait_for_place() -> None:
                if feed.idle_at in (-1, self._places.ended):  # otherwise a job has ended, which may have spooled here
                    await self._places.changed()
                group.cancel_scope.cancel()

            group.start_soon(wait_for_place)
            await feed.spool.wait(wait)
            group.cancel_scope.cancel()
