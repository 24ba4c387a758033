"""How many connections there are, and which of them must go when there are too many. Decisions only, no I/O.

Who is beyond the share of its machine goes first, then who has not said what it wants, and of those the oldest;
who waits for a task to be stored never does.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, Protocol

SURPLUS = 0.1  # of all: so many more are heard, to be told that there are too many
QUIET = 1.0  # seconds after which a body that rests may have to go
Verdict = Literal["welcome", "beyond its share", "surplus", "closed"]  # the two in the middle are heard, see `admit`


class Admitted(Protocol):
    """A connection. `key` is what those of one machine are counted by, "" if they are not."""

    @property
    def key(self) -> str:
        """Of its peer."""
        ...

    @property
    def quiet_since(self) -> float | None:
        """The moment since when it is waited for its next bytes, on the clock of `Admission.admit`; None: it is not."""
        ...

    def evict(self) -> None:
        """Make it go, now or soon."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, in all and from one address of another machine."""

    most: int
    most_per_peer: int


class Admission:
    """All connections of a listener, the oldest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._beyond: dict[Admitted, None] = {}  # their share, and the secret was not shown
        self._half_open: dict[Admitted, None] = {}
        self._heard: dict[Admitted, None] = {}  # what they want is known
        self._going: set[Admitted] = set()  # they were told to
        self._counted: set[Admitted] = set()  # as some of one machine
        self._by_key: Counter[str] = Counter()

    @property
    def most(self) -> int:
        """So many may be there."""
        return self._limits.most

    def __len__(self) -> int:
        return self._staying + len(self._going)

    @property
    def _staying(self) -> int:
        return len(self._beyond) + len(self._half_open) + len(self._heard)

    def admit(self, one: Admitted, now: float) -> Verdict:
        """Let one in, if need be in the place of another. One that is closed is not counted.

        Surplus ones are heard to be told that there are too many. So are those beyond the share of their machine,
        unless they turn out to be `known`.
        """
        is_beyond = bool(one.key) and self._by_key[one.key] >= self._limits.most_per_peer
        verdict = self._verdict_beyond() if is_beyond else self._verdict(now)
        if verdict != "closed":
            (self._beyond if is_beyond else self._half_open)[one] = None
            if one.key:
                self._counted.add(one)
                self._by_key[one.key] += 1
        return verdict

    def _verdict(self, now: float) -> Verdict:
        if self._staying < self._limits.most or self.make_room(now):
            return "welcome"
        return self._surplus()

    def _verdict_beyond(self) -> Verdict:
        """Nobody goes for it."""
        return "beyond its share" if self._staying < self._limits.most else self._surplus()

    def _surplus(self) -> Verdict:
        return "surplus" if len(self) < self._limits.most * (1 + SURPLUS) + 1 else "closed"

    def make_room(self, now: float) -> bool:
        """Evict one; whether there was one to evict."""
        victim = next(iter(self._beyond or self._half_open), None) or self._resting(now)
        if victim is None:
            return False
        self._forget(victim)
        self._going.add(victim)
        victim.evict()
        return True

    def _resting(self, now: float) -> Admitted | None:
        """The one that has rested for the longest time."""
        since = {one: quiet for one in self._heard if (quiet := one.quiet_since) is not None}
        longest = min(since, key=lambda one: since[one], default=None)
        return longest if longest is not None and now - since[longest] > QUIET else None

    def heard(self, one: Admitted) -> None:
        """It has said what it wants. Who is beyond the share of its machine must be `known`, too, to stay."""
        if one in self._half_open:
            del self._half_open[one]
            self._heard[one] = None

    def known(self, one: Admitted) -> None:
        """It has said what it wants, and knows the secret: it is one of all, and no longer one of its machine's."""
        self._uncount(one)
        if one in self._beyond:
            del self._beyond[one]
            self._heard[one] = None

    def _uncount(self, one: Admitted) -> None:
        if one in self._counted:
            self._counted.remove(one)
            self._by_key[one.key] -= 1
            if not self._by_key[one.key]:
                del self._by_key[one.key]

    def evict_half_open(self) -> None:
        """All of them: nothing more is taken."""
        for one in [*self._beyond, *self._half_open]:
            self._forget(one)
            self._going.add(one)
            one.evict()

    def leave(self, one: Admitted) -> None:
        """It has gone."""
        self._forget(one)
        self._going.discard(one)
        self._uncount(one)

    def _forget(self, one: Admitted) -> None:
        self._beyond.pop(one, None)
        self._half_open.pop(one, None)
        self._heard.pop(one, None)
