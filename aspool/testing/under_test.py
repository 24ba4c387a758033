"""`with use(spooler) as spool:` memory spools stand in for those of the application's own Spooler."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import CallError
from ..message import Message
from ..protocol import Spool
from ..spooler import Spooler
from ..spools.memory import MemorySpool
from ..task import Task
from .clock import Clock, virtual_clock
from .spooled import Dead, Spooled, dead, spooled


class StandIn(MemorySpool):
    """A spool in memory in place of one of the application's, which it keeps the settings of."""

    def __init__(self, original: Spool, name: str, under_test: "SpoolUnderTest") -> None:
        super().__init__(original.address, concurrency=original.concurrency, external=original.external)
        self.original = original  # kept, so that its id is nobody else's
        self.name = name
        self.under_test = under_test

    def note_put(self, message: Message) -> None:
        """Remember what was spooled."""
        self.under_test.puts.append((self, message))


class SpoolUnderTest:
    """What a test sees of the spools under its Spooler; also after the block has ended.

    `clock` is the wall clock of the block: see Clock.
    """

    def __init__(self, spooler: Spooler[Any], clock: Clock) -> None:
        self.clock = clock
        self.puts: list[tuple[StandIn, Message]] = []
        self._spooler = spooler
        self._lock = threading.Lock()
        self._stand_ins: dict[str | int, StandIn] = {}
        for name, spool in spooler.spools.items():
            self.stand_in(spool, name)

    @property
    def spooled(self) -> list[Spooled]:
        """All that was spooled since the block began, in order, whatever became of it."""
        return [self.seen(stand_in, message) for stand_in, message in list(self.puts)]

    @property
    def waiting(self) -> list[Spooled]:
        """What waits, due or not, spool by spool in the order of work."""
        return [self.seen(stand_in, message) for stand_in in self._all() for message in stand_in.messages()]

    @property
    def dead(self) -> list[Dead]:
        """What failed for good, with the reasons."""
        return [
            dead(message, buried, self._task(message), stand_in.name)
            for stand_in in self._all()
            for message, buried in stand_in.dead
        ]

    def stand_in(self, spool: Spool, name: str | None = None) -> StandIn:
        """What stands in for a spool; two of one address are one, as they are on a disk."""
        if isinstance(spool, StandIn):
            return spool
        key = id(spool) if isinstance(spool, MemorySpool) else spool.address
        with self._lock:
            if key not in self._stand_ins:
                self._stand_ins[key] = StandIn(spool, name or spool.address, self)
            return self._stand_ins[key]

    def seen(self, stand_in: StandIn, message: Message) -> Spooled:
        """A message as a test looks at it."""
        return spooled(message, self._task(message), stand_in.name)

    def _all(self) -> list[StandIn]:
        with self._lock:
            return list(self._stand_ins.values())

    def _task(self, message: Message) -> Task[..., Any, Any] | None:
        return None if message.task is None else self._spooler.tasks.get(message.task)


@contextmanager
def use(spooler: Spooler[Any]) -> Iterator[SpoolUnderTest]:
    """Put an empty spool in memory under each spool of a Spooler, as long as the block lasts.

    That is each of its named spools, external ones too, and any address that is spooled to meanwhile: the real ones
    are neither opened nor written to. `spooler.is_under_test` is True, `aspool.asgi.lifespan` starts no worker, and
    no job gets a process of its own, in which the application would not be under test.
    Raises CallError inside another such block of the same Spooler; different ones may be under test together, and
    share one clock.
    """
    if spooler.is_under_test:
        raise CallError("this Spooler is under test already: take the spool that the outer block, or fixture, gave")
    with virtual_clock() as clock:
        spool = SpoolUnderTest(spooler, clock)
        with spooler.stood_in_for(spool.stand_in):
            yield spool


def under_test(spool: Spool) -> SpoolUnderTest:
    """What a test sees of a spool. Raises CallError for one that is not under test."""
    if not isinstance(spool, StandIn):
        raise CallError(
            f"{spool.address} is not under test, so nobody knows what was spooled: "
            "write `with aspool.testing.use(spooler)`, or take the fixture `spooler`"
        )
    return spool.under_test
