"""Firing: a signal was raised, and its handler is to run: by who waits for it, by a mule, or here, in a job.

The jobs of signals are those of schedules of the code, or of one task, for what was registered later.
"""

import logging
from collections.abc import Callable
from typing import Any

from ...body import Body
from ...job import current_job
from ...outcomes import Bury
from ...scheduled import ScheduledOptions
from ...schedules import Target as Aim
from ...task import Task
from .. import mule_jobs
from ..program import Program
from ..shared.numbers import number_of
from . import places
from .calling import call, in_its_way
from .registry import Signal, registry_of
from .targets import Target
from .waiting import Raised

logger = logging.getLogger("aspool.uwsgi")


def make_task(program: Program) -> Task[..., Any, Any]:
    """The task for what is registered while the program runs: it finds the signal when it runs.

    `name` is that of a handler of the code; `place` and `target` are those of another one, which the database of the
    program has forgotten if the machine was started since. Its Body is empty, and tells whose file it is.
    """

    def run(number: int, name: str = "", place: str = "", target: str = "", body: Body | None = None) -> None:
        signal = registry_of(program).find(number, name)
        if signal is None and place:
            if reason := places.refusal(program, body or Body(), number, place):
                raise Bury(f"the handler of signal {number} was not looked for: {reason}")
            signal = registry_of(program).remembered(number, place, target)
        if signal is not None:
            _fire(program, signal)
        else:  # uWSGI ignores those that nobody has registered, too
            logger.warning(
                "signal %d was raised, and nobody has registered it; what raises it ends with aspool schedules remove",
                number,
            )

    return program.spooler.task(name=places.TASK, retries=0)(in_its_way(program, run))


def function_of(program: Program, signal: Signal) -> Callable[[], Any]:
    """What the schedules of a declared signal run."""

    def run() -> None:
        _fire(program, signal)

    return in_its_way(program, run)


def options_of(signal: Signal, name: str) -> ScheduledOptions:
    """The options of a schedule that fires a signal of the code: as there, nothing is retried or made up for."""
    return {"name": name, "target": aim_of(signal.target), "retries": 0, "missed": "skip"}


def arguments_of(signal: Signal) -> tuple[int, str, str, str]:
    """The arguments of the task for a signal, whoever registered it."""
    if signal.is_declared:
        return signal.number, signal.name, "", ""
    return signal.number, "", signal.place, signal.target.word


def aim_of(target: Target) -> Aim:
    """Whether a schedule is for one worker, as a message in the spool, or for all of them."""
    return "workers" if target.is_for_workers else "spooler"


def _fire(program: Program, signal: Signal) -> None:
    """Let it run where its target says (uwsgi_route_signal)."""
    target, role = signal.target, program.role
    if target.kind == "nobody":
        logger.warning("UNSUPPORTED SIGNAL TARGET: %s of signal %d, which is dropped", target.word, signal.number)
        return
    if registry_of(program).waiting.tell(target, _raised(signal)) and not target.everyone:
        return
    if target.is_for_mule:
        mule_jobs.post_signal(program, signal)
    elif target.everyone or target.kind == "spooler" or target.suits(role.kind, number_of(program)):
        call(signal)


def _raised(signal: Signal) -> Raised:
    """For a process that waits; all workers that run this raise say the same."""
    job = current_job()
    moment = job.id if job.scheduled_for is None else job.scheduled_for.isoformat()
    if not signal.is_declared:
        return Raised(signal.number, moment=moment)
    return Raised(signal.number, signal.name, moment, signal.place)
