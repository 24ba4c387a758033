"""Mules as jobs: each message to a mule is one of a task of aspool that runs in a process of its own.

That process lives on for the next job, and so do the globals of the program in it. See mules.py for the functions.
"""

import logging
from collections.abc import Callable
from functools import partial
from random import choice
from typing import Any

from ..body import Body
from ..collection import Tasks
from ..job import current_job
from ..outcomes import SPOOL_OK, SPOOL_RETRY, Bury, SpoolReturn
from .blocking import anywhere
from .children import ended_children
from .program import Program
from .signals import handlers, places
from .signals.calling import call
from .signals.registry import Signal, registry_of
from .signals.targets import farm_of
from .tasks.current import Current, entered
from .tasks.pickles import may_unpickle

ANY = 0  # the number of no mule: whichever is free
logger = logging.getLogger("aspool.uwsgi")

IN_CHILD = Tasks()  # where the process of a job finds the tasks of its program, by their names
_programs: list[Program] = []  # the last one of this process


def name_of(mule: int) -> str:
    """The name of the task of a mule."""
    return f"uwsgi.mule{mule}"


def make_tasks(program: Program) -> None:
    """The tasks of a program's mules. One mule runs one message at a time, and as many run as there are mules."""
    _programs[:] = [program]
    for mule in range(program.mules + 1):
        concurrency = program.mules if mule == ANY else 1
        decorator = program.spooler.task(name=name_of(mule), executor="process", retries=0, concurrency=concurrency)
        IN_CHILD.tasks[name_of(mule)] = decorator(run_in_mule)


def post(program: Program, message: bytes, *, mule: int = ANY, farm: str = "") -> None:
    """Spool a message for a mule. Raises NotSpooled, SpoolUnusable."""
    anywhere(program.spooler.tasks[name_of(mule)].spool_sync, Body(message), farm)


def post_signal(program: Program, signal: Signal) -> None:
    """Let a mule run the handler of a signal. Raises NotSpooled, SpoolUnusable."""
    mule = _mule_for(signal, program)
    if mule is None:
        logger.warning("there is no %s for signal %d, which is dropped", signal.target.word, signal.number)
        return
    name = signal.name if signal.is_declared else ""
    anywhere(program.spooler.tasks[name_of(mule)].spool_sync, Body(b""), "", signal.number, name, signal.place)


def _mule_for(signal: Signal, program: Program) -> int | None:
    """Which mule is to run a signal; None if there is none."""
    target = signal.target
    if target.kind == "farm":
        farm = farm_of(target, program)
        return None if farm is None else choice(farm[1])  # noqa: S311 - no secret
    return target.number if 0 < program.mules >= target.number else None


@ended_children()
def run_in_mule(body: Body, farm: str = "", signal: int = -1, name: str = "", place: str = "") -> SpoolReturn:
    """What a job of a mule does, in its process. `place` is where a handler is that is not registered there."""
    program = _programs[0]
    if reason := may_unpickle(current_job(), body, program):  # which most hooks do
        raise Bury(reason)
    if signal >= 0:
        found = registry_of(program).find(signal, name)
        if found is not None:
            call(found)
        elif place:
            if reason := places.refusal(program, body, signal, place):
                raise Bury(f"the handler of signal {signal} was not looked for: {reason}")
            handlers.read(handlers.at(place))(signal)
        return SPOOL_OK
    with entered(Current(current_job(), body, "")):  # for hooks that ask
        return _give(program, body.file.read(), farm)


def _give(program: Program, message: bytes, farm: str) -> SpoolReturn:
    """To the program's hook; or to a process of the mule that has begun since, else it waits for one."""
    mule = int(current_job().task.removeprefix(name_of(ANY)[:-1]))
    mules = program.farms.get(farm, ()) if farm else (mule,) if mule else range(1, program.mules + 1)
    if registry_of(program).waiting.send(message, mules, mule=mule, farm=farm):
        return SPOOL_OK
    hook = program.hook("mule_msg_hook")
    if hook is None:
        logger.warning("a message to a mule waits: uwsgi.mule_msg_hook is not set, and no program of the mule runs")
        return SPOOL_RETRY
    for left in iter(partial(_left, program, max(1, mule)), None):
        _log_failure(hook, left)
    hook(message)
    return SPOOL_OK


def _left(program: Program, number: int) -> bytes | None:
    """A message that the process of a mule has left when it ended."""
    farms = [name for name, mules in program.farms.items() if number in mules]
    return registry_of(program).waiting.take(number, farms)


def _log_failure(hook: Callable[[bytes], Any], message: bytes) -> None:
    try:
        hook(message)
    except Exception:
        logger.exception("uwsgi.mule_msg_hook failed")
