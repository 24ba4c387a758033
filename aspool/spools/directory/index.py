"""The earliest names of one place, in memory, bounded. No I/O.

It is complete up to its horizon: what sorts before it is in the index, the rest only a scan would find. A name stands
in it as a key, a string that sorts by due moment: a name of ours as it is, since it begins with that moment.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

from .names import PREFIX, glance

Run = list[str]  # keys, the last one first, so that the earliest is popped from the end
LIMIT = 250_000  # names, about 120 bytes each
LATER = 10_000  # of them, names that are not due yet
RUN = 4096  # keys that are sorted at once: a sort holds up all threads, and this one for a millisecond
NEVER = "~"  # after all keys
_LATEST = 10**16 - 1
_SAMPLES = 100  # at least, of what is kept, to find where to cut
_COARSEST = 256


def moment(due: int) -> str:
    """What sorts after all keys due until then, and before the later ones; in microseconds."""
    return f"{PREFIX}{min(max(0, due), _LATEST):016d}~"


def key_of(name: str, due: int) -> str:
    """A name due at a moment that it does not say itself (one of uWSGI's; one to be tried again) stands after it."""
    return name if glance(name) == due else f"{PREFIX}{min(max(0, due), _LATEST):016d}/{name}"


def name_of(key: str) -> str:
    """The name of the file."""
    return key.rpartition("/")[2]


def due_of(key: str) -> int:
    """When it is due, in microseconds."""
    return int(key[len(PREFIX) : len(PREFIX) + 16])


def cut(runs: Sequence[Run], limit: int, later: int, until: str) -> str:
    """Shorten runs to about `limit` keys, of which about `later` sort after `until`; the horizon, or NEVER.

    By samples: to sort all keys would hold up the event loop, whichever thread does it.
    """
    if sum(map(len, runs)) <= min(limit, later):
        return NEVER
    step = max(1, min(limit // _SAMPLES, later // _SAMPLES, _COARSEST))
    samples = sorted(key for run in runs for key in run[step // 2 :: step])
    kept = min(limit // step, bisect_right(samples, until) + later // step)
    if kept >= len(samples):
        return NEVER
    horizon = samples[kept]
    for run in runs:
        del run[: bisect_left(run, True, key=horizon.__gt__)]
    return horizon


class Index:
    """Keys by due moment: sorted runs, merged as they are taken, and a heap of those that came one by one."""

    __slots__ = ("_fresh", "_heads", "_size", "_until", "horizon", "later", "limit")

    def __init__(self, limit: int = LIMIT, later: int = LATER) -> None:
        self.limit = limit
        self.later = later
        self.horizon = NEVER
        self._heads: list[tuple[str, Run]] = []  # the earliest key of each run, and the run
        self._fresh: list[str] = []
        self._size = 0
        self._until = ""  # what was due when somebody took of it

    def __len__(self) -> int:
        return self._size

    def add(self, key: str) -> None:
        """A name that turned up; beyond the horizon it is left to the next scan."""
        if key < self.horizon:
            self.insert(key)

    def insert(self, key: str) -> None:
        """A name that must be tried, wherever the horizon is."""
        heappush(self._fresh, key)
        self._size += 1
        if len(self._fresh) >= min(RUN, self.limit):
            self._bound()

    def _bound(self) -> None:
        runs = [run for _, run in self._heads]
        runs.append(sorted(self._fresh, reverse=True))
        horizon = cut(runs, self.limit, self.later, self._until)
        self.replace(runs, min(horizon, self.horizon))

    def replace(self, runs: Sequence[Run], horizon: str) -> None:
        """What a scan found, and its horizon."""
        self._heads = [(run[-1], run) for run in runs if run]
        heapify(self._heads)
        self._fresh = []
        self._size = sum(map(len, runs))
        self.horizon = horizon

    def keys(self) -> list[str]:
        """All keys, in no order."""
        return [*self._fresh, *(key for _, run in self._heads for key in run)]

    def first(self) -> str:
        """The earliest key, or NEVER."""
        return min(self._heads[0][0] if self._heads else NEVER, self._fresh[0] if self._fresh else NEVER)

    def take(self, count: int, until: str) -> list[str]:
        """Remove and return up to so many keys, the earliest first, none that sorts after `until`."""
        self._until = until
        heads, fresh = self._heads, self._fresh
        taken: list[str] = []
        while len(taken) < count:
            if heads and not (fresh and fresh[0] < heads[0][0]):
                if heads[0][0] > until:
                    break
                taken.append(_pop(heads))
            elif fresh and fresh[0] <= until:
                taken.append(heappop(fresh))
            else:
                break
        self._size -= len(taken)
        return taken


def _pop(heads: list[tuple[str, Run]]) -> str:
    run = heads[0][1]
    key = run.pop()
    if run:
        heapreplace(heads, (run[-1], run))
    else:
        heappop(heads)
    return key
