"""What a benchmark is, as values: contenders that are measured in turn, in one run, and goals as their ratios."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Figures = Mapping[str, float]  # figure -> value: {"tasks/s": 14200.0} or {"p50 ms": 0.4, "p99 ms": 1.1}
Contender = Callable[[Path], Figures]  # gets an empty directory of its own; takes it away is the runner's affair


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What must hold for the medians of one run: a figure of `of`, alone or divided by the one of `to`."""

    figure: str
    of: str = "aspool"
    to: str | None = None  # another contender: the goal is then about the ratio
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, and who answers it. `rounds` interleaved runs of each contender; the medians count.

    `places`: the file systems on which it makes sense, "ext4" (with a journal) and "tmpfs".
    """

    group: str  # what can be asked for by name: enqueue, drain, latency, backlog, …
    name: str
    contenders: Mapping[str, Contender]  # "aspool", "uWSGI", "bare loop", …
    goals: tuple[Goal, ...] = ()
    rounds: int = 5
    places: tuple[str, ...] = ("ext4", "tmpfs")
    notes: str = ""  # what a reader must know to believe it
    needs: tuple[str, ...] = field(default=())  # modules without which it is left out: "pyuwsgi"
