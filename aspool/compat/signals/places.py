"""Places: whether a handler is looked for where a message says that it is, which imports a module and calls a function.

Whoever can write into the spool, or reaches a uWSGI that does, can say anything: so somebody else must say it too.
"""

import json
from os import geteuid, stat

from ...addresses import is_path
from ...body import Body
from ...errors import AspoolError
from ...job import current_job
from ...scheduled import Scheduled
from ..blocking import wait_for
from ..program import Program
from ..tasks.pickles import is_open_to_others, may_unpickle
from .registry import registry_of

TASK = "uwsgi.signal"  # the task of what was registered while the program runs


def refusal(program: Program, body: Body, number: int, place: str) -> str | None:
    """Why the handler of a signal is not looked for at a place that the current job was told; None if it is.

    It is where a module of the program, or a process of it, has registered one; or where the schedule says that was
    made when it was registered. Raises SpoolUnusable.
    """
    if reason := may_unpickle(current_job(), body, program):
        return reason
    if registry_of(program).knows(place) or _is_scheduled(program, number, place):
        return None
    return f"nobody has registered {place} for signal {number}"


def _is_scheduled(program: Program, number: int, place: str) -> bool:
    """Whether a schedule says the same, in a directory of our own into which nobody else can put one."""
    spool = program.spooler.spool_of(None)
    try:
        if is_path(spool.address) and (is_open_to_others(spool.address) or stat(spool.address).st_uid != geteuid()):
            return False
        schedule = wait_for(Scheduled(f"uwsgi.signal.{number}", spool).look).schedule
    except (AspoolError, OSError):  # there is none
        return False
    return schedule.task == TASK and _says(schedule.arguments, number, place)


def _says(arguments: str, number: int, place: str) -> bool:
    said = json.loads(arguments or "{}")
    return [said.get("number"), said.get("place")] == [number, place]
