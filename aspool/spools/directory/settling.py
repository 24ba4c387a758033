"""Settling: do what outcomes say, on the event loop while the disk is quick, else in a thread; and never give up."""

import errno
import logging
import time
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter

from ...errors import SpoolUnusable
from ...outcomes import Buried, Outcome
from ...protocol import Claim
from .claim import FileClaim
from .finish import Finisher
from .pace import Pace
from .publish import GROUP
from .trips import trip

logger = logging.getLogger("aspool.directory")
UNSETTLED_WAIT = 1.0  # seconds until a finish that the disk refused is tried again, doubled up to a minute
LONGEST_UNSETTLED_WAIT = 60.0

Settled = tuple[Claim, Outcome]
Answer = tuple[FileClaim, Outcome, OSError | None]
Refused = tuple[FileClaim, Outcome, OSError]


class _Unsettled:
    """A finished job whose end the disk refused to write: done, but not acknowledged."""

    def __init__(self, claim: FileClaim, outcome: Outcome) -> None:
        self.claim = claim
        self.outcome = outcome
        self._wait = UNSETTLED_WAIT
        self.again = time.monotonic() + self._wait

    def postpone(self) -> None:
        self._wait = min(LONGEST_UNSETTLED_WAIT, 2 * self._wait)
        self.again = time.monotonic() + self._wait


class Settling:
    """The ends of one worker's claims. `forget` is called with each claim that is settled."""

    def __init__(
        self,
        finisher: Finisher,
        pace: Pace,
        disk: CapacityLimiter,
        address: str,
        forget: Callable[[FileClaim, Outcome], None],
    ) -> None:
        self._finisher = finisher
        self._pace = pace
        self._disk = disk
        self._address = address
        self._forget = forget
        self.unsettled: list[_Unsettled] = []

    async def finish(self, settled: Sequence[Settled]) -> None:
        """Do what each outcome says; what the disk refuses is tried again later, and held until then."""
        for start in range(0, len(settled), GROUP):
            for claim, outcome, error in await self._settle(settled[start : start + GROUP]):
                text = f"the end of {claim.name} cannot be written ({error.strerror}): it is held, and not run again"
                logger.error("%s: %s", self._address, text)
                self.unsettled.append(_Unsettled(claim, outcome))

    async def again(self) -> None:
        """Try again what was refused a while ago."""
        now = time.monotonic()
        ready = [item for item in self.unsettled if item.again <= now]
        if not ready:
            return
        refused = [claim for claim, _, _ in await self._settle([(item.claim, item.outcome) for item in ready])]
        for item in ready:
            if item.claim in refused:
                item.postpone()
            else:
                self.unsettled.remove(item)

    async def _settle(self, group: Sequence[Settled]) -> list[Refused]:
        """Settle in one trip to the disk, or here while the disk is quick; what was refused."""
        if self._pace.is_quick and Buried not in [type(outcome) for _, outcome in group]:
            answers = self._pace.measured(len(group), _finish_all, self._finisher, group)
        else:
            answers = await trip(self._disk, _finish_all, self._finisher, group)
        refused = []
        for claim, outcome, error in answers:
            if error is None:
                self._forget(claim, outcome)
            else:
                refused.append((claim, outcome, error))
        return refused

    def moments(self) -> list[float]:
        """When something is tried again, as UNIX timestamps."""
        now, monotonic = time.time(), time.monotonic()
        return [now + max(0.0, item.again - monotonic) for item in self.unsettled]

    def let_go(self) -> None:
        """What was never settled runs again, as the disk could not be told that it is done."""
        for item in self.unsettled:
            self._finisher.let_go(item.claim)


def file_claim(claim: Claim) -> FileClaim:
    """A claim of this kind of spool."""
    assert isinstance(claim, FileClaim), "a claim of another spool"
    return claim


def _finish_all(finisher: Finisher, group: Sequence[Settled]) -> list[Answer]:
    return [_finish_one(finisher, file_claim(claim), outcome) for claim, outcome in group]


def _finish_one(finisher: Finisher, claim: FileClaim, outcome: Outcome) -> Answer:
    try:
        finisher.finish(claim, outcome)
    except OSError as error:
        return claim, outcome, error
    except SpoolUnusable as error:  # the directory is gone: hold it, in case it was only moved
        return claim, outcome, OSError(errno.ENOENT, str(error))
    return claim, outcome, None
