"""Batches: many calls in one trip per spool."""

from collections.abc import Sequence
from typing import Any

from .errors import AspoolError, PartlySpooled, SpoolError
from .message import Message
from .protocol import Spool, Stored
from .spoolable import Call
from .ticket import Ticket


class Batch:
    """Many calls on their way to their spools, and what these answered."""

    def __init__(self, calls: Sequence[Call[Any]], spools: Sequence[Spool]) -> None:
        self._calls = calls
        self._spools = spools
        self._results: list[Ticket[Any] | Exception | None] = [None] * len(calls)

    def by_spool(self) -> list[tuple[Spool, list[int]]]:
        """Each spool with the positions of its calls."""
        groups: dict[int, tuple[Spool, list[int]]] = {}
        for position, spool in enumerate(self._spools):
            groups.setdefault(id(spool), (spool, []))[1].append(position)
        return list(groups.values())

    def messages(self, positions: Sequence[int]) -> list[Message]:
        """The messages at these positions."""
        return [self._calls[position].message for position in positions]

    def answered(self, spool: Spool, positions: Sequence[int], answers: Sequence[Stored | Exception]) -> None:
        """What a spool said to them."""
        for position, answer in zip(positions, answers, strict=True):
            call = self._calls[position]
            self._results[position] = answer if isinstance(answer, Exception) else call.ticket(answer, spool)

    def failed(self, positions: Sequence[int], error: AspoolError) -> None:
        """None of them was taken."""
        for position in positions:
            self._results[position] = error

    def tickets(self) -> list[Ticket[Any]]:
        """Their tickets, in order. Raises PartlySpooled when some are not in."""
        tickets = [result for result in self._results if isinstance(result, Ticket)]
        if len(tickets) < len(self._results):
            raise PartlySpooled(self._results)
        return tickets


async def put_together(calls: Sequence[Call[Any]], spools: Sequence[Spool]) -> list[Ticket[Any]]:
    """Spool each call to the spool at its position, in one trip per spool; see `Spooler.spool_many`."""
    batch = Batch(calls, spools)
    for spool, positions in batch.by_spool():
        try:
            batch.answered(spool, positions, await spool.put(batch.messages(positions)))
        except SpoolError as error:  # the others may be in
            batch.failed(positions, error)
    return batch.tickets()
