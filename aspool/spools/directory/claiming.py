"""Claiming: take names from the look and claim them, on the event loop while the disk is quick, else in a thread."""

import time
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, sleep
from anyio.lowlevel import checkpoint

from .claim import BUSY, Candidate, Claimer, FileClaim, Skip
from .limits.gate import Gate
from .limits.slots import Slot
from .look import Look
from .pace import Pace
from .publish import GROUP
from .trips import trip

QUICK_GROUP = 16  # files that are claimed on the event loop in one go
PATIENCE = 0.01  # seconds for which the head of an ordered spool may be busy before the next one is taken
MOMENT = 0.001


class Claiming:
    """How one worker claims: many in any order, or one after another. `read_events` tells whether there were any."""

    def __init__(
        self,
        look: Look,
        claimer: Claimer,
        gate: Gate,
        pace: Pace,
        disk: CapacityLimiter,
        read_events: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._look = look
        self._claimer = claimer
        self._gate = gate
        self._pace = pace
        self._disk = disk
        self._read_events = read_events
        self._report = report

    async def many(self, limit: int, now: float) -> list[FileClaim]:
        """Up to `limit` due messages; fewer where many in a row may not begin."""
        claims: list[FileClaim] = []
        while len(claims) < limit:
            self._let_in()
            quick = self._pace.is_quick
            wanted = min(limit - len(claims), QUICK_GROUP if quick else GROUP)
            candidates = self._look.take(wanted, now)
            claimed = await self._claim_all(candidates, now, quick) if candidates else []
            if claims and not claimed:
                break
            claims += claimed
            if candidates and not claims:
                await checkpoint()  # there may be very many of them
            elif len(candidates) < wanted and (claims or not self._read_events()):  # the loop reads them too, later
                break
        return claims

    def _let_in(self) -> None:
        """What was parked, and may begin now."""
        if self._look.stirred:
            self._look.let_in({reason: self._gate.room(reason) for reason in self._look.stirred})

    async def _claim_all(self, candidates: Sequence[Candidate], now: float, quick: bool) -> list[FileClaim]:
        claims = []
        answers = await self._answers(candidates, now, quick)
        for candidate, answer in zip(candidates, answers, strict=False):
            if isinstance(answer, Skip):
                self._skip(candidate, answer, now)
            else:
                self._hold(candidate, answer)
                claims.append(answer)
        if len(answers) < len(candidates):
            self._look.put_back(candidates[len(answers) :], now)
        return claims

    async def _answers(self, candidates: Sequence[Candidate], now: float, quick: bool) -> list[FileClaim | Skip]:
        if not quick:
            return await trip(self._disk, self._claimer.claim_all, candidates, now)
        answers = self._pace.measured(len(candidates), self._claimer.claim_all, candidates, now)
        await self._pace.pause()
        return answers

    def _skip(self, candidate: Candidate, skip: Skip, now: float) -> None:
        if skip.text:
            self._report(skip.text)
        self._look.skipped(candidate, skip, now)

    def _hold(self, candidate: Candidate, claim: FileClaim) -> None:
        claim.held = claim.name
        self._look.hold(candidate, claim.name)

    # --- strict order ----------------------------------------------------------------------------------------

    async def next_in_order(self, now: float) -> list[FileClaim]:
        """The first of the due messages, if nobody has the turn; it goes with the claim, to be freed with it."""
        self._read_events()  # of all that was put until now
        due = self._look.next_due()
        if due is None or due > now or self._gate.waits_for_turn or not self._look.has_looked:
            return []
        turn = self._take_turn()
        if turn is None:
            return []
        claim = None
        try:
            self._read_events()  # whoever had the turn before may have put something
            claim = await self._head(now)
        finally:
            if claim is None:
                turn.free()
        if claim is None:
            return []
        claim.have(turn)
        return [claim]

    def _take_turn(self) -> Slot | None:
        try:
            return self._gate.take_turn()
        except OSError as error:
            self._report(f"nothing can be claimed in order: {error}")
            return None

    async def _head(self, now: float) -> FileClaim | None:
        """The first message that can be had; one that is busy for a moment is waited for."""
        tried: Candidate | None = None
        patience = 0.0
        while True:
            self._let_in()
            candidates = self._look.take(1, now)
            if not candidates:
                return None
            head = candidates[0]
            if tried != head:
                tried, patience = head, time.monotonic() + PATIENCE
            (answer,) = await self._answers(candidates, now, self._pace.is_quick)
            if isinstance(answer, FileClaim):
                self._hold(head, answer)
                return answer
            if answer.why == BUSY and time.monotonic() < patience:
                self._look.put_back(candidates, now)
                await sleep(MOMENT)
                self._read_events()
            else:
                self._skip(head, answer, now)
