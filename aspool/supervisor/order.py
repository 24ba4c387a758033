"""What a supervisor and its worker say to each other: an Order at its birth, then Words of the worker. Values."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker process is to do. `settings` are a record of Settings; `path` is the supervisor's sys.path."""

    app: str
    settings: dict[str, Any]
    number: int  # of the worker's place, from 1
    parent: int  # pid of the supervisor
    path: list[str] = field(default_factory=list)

    def written(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()


def read_order(data: bytes) -> Order:
    """The order that was written."""
    return Order(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Ready:
    """It claims. `must_stay`: it has schedules that need a living worker: file monitors, and those for every worker."""

    spools: list[str]
    must_stay: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """It claims no more. `wants_successor`: somebody else should work in its place."""

    reason: str
    wants_successor: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """It must have spoken again by this moment of the monotonic clock; None: nothing is expected of it."""

    moment: float | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """It has had nothing to do for as long as a cheap worker waits, and has nothing before `next_moment` (UNIX)."""

    next_moment: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Whether all its places are taken, so that one more worker would help."""

    saturated: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What its jobs added up to until now: a record of observe.metrics."""

    record: dict[str, Any]


Word = Ready | Leaving | Deadline | Idle | Load | Counted
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Ready, Leaving, Deadline, Idle, Load, Counted)}


def written(word: Word) -> bytes:
    """A word as JSON."""
    return json.dumps([type(word).__name__, asdict(word)]).encode()


def read_word(data: bytes) -> Word | None:
    """The word that was written; None for what is none."""
    try:
        kind, fields = json.loads(data)
        word: Word = _KINDS[kind](**fields)
    except (ValueError, KeyError, TypeError):
        return None
    return word
