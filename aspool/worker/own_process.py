"""OwnProcess: what a worker may do with its process, if that is its own. A worker inside somebody else's has none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn


def _nobody(moment: float | None) -> None:
    """Nobody needs to know."""


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """How a worker ends its process, and who is told when that must have happened. Both from any thread.

    `leave(reason, exit_code)` ends the process at once, without any cleaning up: 0 when the worker was asked to stop.
    `tell_deadline`: by this moment of the monotonic clock the worker must have spoken again (None: nothing is
    expected): otherwise not even its watchdog can run, and somebody else has to end the process.
    """

    leave: Callable[[str, int], NoReturn]
    tell_deadline: Callable[[float | None], None] = _nobody
