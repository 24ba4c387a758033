"""A process that takes turns of a schedule: `python turning_process.py SPOOL count TIMES`, or `… die MOMENT`."""

import os
import signal
import sys

from aspool import DirectorySpool
from aspool.spools.directory import schedules
from aspool.testing.conformance_schedules import firing
from aspool.turn import Decide, Lives, Taken, Turn


def take(spool: DirectorySpool, name: str, decide: Decide) -> Taken:
    """A turn, as soon as nobody else has it."""
    while True:
        taken = spool._schedules.turn(name, decide)
        if taken is not None:
            return taken


def count(data: bytes | None, lives: Lives) -> Turn:
    number = int(data or b"0") + 1
    return Turn([firing(f"s.{number}")], b"%d" % number)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    directory = DirectorySpool(sys.argv[1], durability="process")
    if sys.argv[2] == "count":
        for _ in range(int(sys.argv[3])):
            take(directory, "s", count)
    else:
        schedules.name_note = die  # type: ignore[attr-defined]  # between the message and the record
        take(directory, "s", lambda _data, _lives: Turn([firing(sys.argv[3])], b"kept"))
