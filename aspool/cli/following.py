"""Following messages until they end, several at once. How that looks is the affair of `bars` and `lines`."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from ..errors import AspoolError
from ..protocol import OVER, Board, KeepsScoreboards, Spool
from ..ticket import Ticket, Update
from .ending import Ending, ending_of

FRAME = 0.125  # seconds between two pictures of moving bars


@dataclass(slots=True, eq=False)
class Followed:
    """A message, and what is known of it. `since`: when its last run began, as a UNIX timestamp."""

    spool: Spool
    ticket: Ticket[object]
    task: str = ""
    update: Update = Update("waiting")  # noqa: RUF009 - frozen
    since: float | None = None
    note: str = ""  # for a person, while it waits
    ending: Ending | None = None

    @property
    def is_over(self) -> bool:
        """Whether its end was seen."""
        return self.ending is not None

    @property
    def went_well(self) -> bool:
        """Whether it ended, neither dead nor cancelled. Of most messages nothing is kept when they end: unknown."""
        return self.is_over and self.update.state in ("done", "unknown")

    @property
    def elapsed(self) -> float | None:
        """Seconds since its last run began."""
        return None if self.since is None else max(0.0, time.time() - self.since)


class Display(AbstractContextManager["Display"], Protocol):
    """Where the changes are told."""

    def __enter__(self) -> Self: ...

    def tell(self, message: Followed) -> None:
        """Something about it has changed."""
        ...

    def tick(self) -> None:
        """A moment has passed."""
        ...


def follow_all(messages: Sequence[Followed], display: Display, timeout: float | None) -> None:
    """Return when all are over, or after `timeout` seconds. Raises what a spool raises, and KeyboardInterrupt."""
    import anyio

    errors: list[AspoolError] = []
    with display:
        anyio.run(_follow_all, messages, display, timeout, errors)
    if errors:
        raise errors[0]


async def _follow_all(
    messages: Sequence[Followed], display: Display, timeout: float | None, errors: list[AspoolError]
) -> None:
    import anyio

    with anyio.move_on_after(timeout):
        async with anyio.create_task_group() as moving:
            moving.start_soon(_tick, display)
            async with anyio.create_task_group() as following:

                async def one(message: Followed) -> None:
                    try:
                        await _follow(message, display)
                    except AspoolError as error:
                        errors.append(error)
                        following.cancel_scope.cancel()

                for message in messages:
                    following.start_soon(one, message)
            moving.cancel_scope.cancel()


async def _tick(display: Display) -> None:
    import anyio

    while True:
        display.tick()
        await anyio.sleep(FRAME)


async def _follow(message: Followed, display: Display) -> None:
    is_first = True
    async for update in message.ticket.watch():
        before, message.update = message.update, update
        if update.state == "running" and (is_first or (before.state, before.attempt) != (update.state, update.attempt)):
            message.since = await _began(message) if is_first else time.time()
        elif is_first and update.state == "waiting" and await _boards(message) == ():
            message.note = "no worker lives here"
        is_first = False
        if update.state in OVER:
            message.ending = await ending_of(message.spool, message.ticket.id)
        display.tell(message)


async def _began(message: Followed) -> float | None:
    """When a run began that went on already: its worker's scoreboard knows."""
    boards = await _boards(message)
    if boards is None:
        return None
    since = [entry.since for board in boards for entry in board.entries if entry.id == message.ticket.id]
    return since[0] if since else time.time()


async def _boards(message: Followed) -> Sequence[Board] | None:
    """What the workers show; None where they show nothing at all."""
    from anyio import to_thread

    if not isinstance(message.spool, KeepsScoreboards):
        return None
    return tuple(await to_thread.run_sync(message.spool.boards))
