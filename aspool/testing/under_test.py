"""`with use(spooler) as spool:` memory spools stand in for those of the application's own Spooler."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

from ..errors import CallError
from ..message import Message
from ..protocol import Spool
from ..spooler import Spooler
from ..spools.memory import MemorySpool
from ..spools.options import checked_bound
from ..task import Task
from .clock import Clock, virtual_clock
from .spooled import Dead, Spooled, dead, spooled

if TYPE_CHECKING:
    from ..worker.entry import Seen


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

    def bound(self, max_waiting: int | None) -> None:
        """Take no more messages than these; None takes all."""
        self._max_waiting = inf if max_waiting is None else max_waiting


class SpoolUnderTest:
    """What a test sees of the spools under its Spooler; also after the block has ended.

    `clock` is the wall clock of the block: see Clock.
    """

    def __init__(self, spooler: Spooler[Any], clock: Clock, max_waiting: int | None = None) -> None:
        self.clock = clock
        self.inner: SpoolUnderTest | None = None  # of a block in the block
        self.puts: list[tuple[StandIn, Message]] = []
        self.schedules_seen: Seen = {}  # by one drain, for the next
        self._spooler = spooler
        self._lock = threading.Lock()
        self._stand_ins: dict[str | int, StandIn] = {}
        self.max_waiting = max_waiting
        for name, spool in spooler.spools.items():
            self._stand_in(spool.original if isinstance(spool, StandIn) else spool, name)

    @property
    def max_waiting(self) -> int | None:
        """How many messages each of its spools may hold, before it refuses more with SpoolFull; None: any number.

        It may be set in the middle of a test. Raises CallError for what is no whole number from 1 on.
        """
        return self._max_waiting

    @max_waiting.setter
    def max_waiting(self, count: int | None) -> None:
        self._max_waiting = None if count is None else checked_bound("max_waiting", count)
        for stand_in in self._all():
            stand_in.bound(count)

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

    def stand_in(self, spool: Spool) -> StandIn:
        """What stands in for a spool: in the innermost block."""
        if isinstance(spool, StandIn):
            return spool
        return self._stand_in(spool) if self.inner is None else self.inner.stand_in(spool)

    def _stand_in(self, spool: Spool, name: str | None = None) -> StandIn:
        """Two of one address are one, as they are on a disk."""
        key = id(spool) if isinstance(spool, MemorySpool) else spool.address
        with self._lock:
            if key not in self._stand_ins:
                self._stand_ins[key] = StandIn(spool, name or spool.address, self)
                self._stand_ins[key].bound(self._max_waiting)
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
def use(
    spooler: Spooler[Any],
    *,
    resources: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    max_waiting: int | None = None,
) -> Iterator[SpoolUnderTest]:
    """Put an empty spool in memory under each spool of a Spooler, as long as the block lasts.

    That is each of its named spools, external ones too, and any address that is spooled to meanwhile: the real ones
    are neither opened nor written to. `spooler.is_under_test` is True, `aspool.asgi.lifespan` starts no worker, and
    no job gets a process of its own, in which the application would not be under test.
    `resources` makes what jobs get in place of the Spooler's own (None: these); `max_waiting` is how many messages
    each spool may hold, see `SpoolUnderTest.max_waiting`.
    A block in a block has empty spools of its own until it ends. Different Spoolers may be under test together. All
    share one clock. Raises CallError for a max_waiting that cannot be.
    """
    before = spooler.resources
    with ExitStack() as stack:
        spool = SpoolUnderTest(spooler, stack.enter_context(virtual_clock()), max_waiting)
        if spooler.is_under_test:
            outer = under_test(spooler.spool_of(None))
            stack.callback(setattr, outer, "inner", None)
            outer.inner = spool
        else:
            stack.enter_context(spooler.stood_in_for(spool.stand_in))
        if resources is not None:
            stack.callback(setattr, spooler, "resources", before)
            spooler.resources = resources
        yield spool


def under_test(spool: Spool) -> SpoolUnderTest:
    """What a test sees of a spool. Raises CallError for one that is not under test."""
    if not isinstance(spool, StandIn):
        raise CallError(
            f"{spool.address} is not under test, so nobody knows what was spooled: "
            "write `with aspool.testing.use(spooler)`, or take the fixture `spooler`"
        )
    return spool.under_test
