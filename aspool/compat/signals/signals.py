"""Signals of the module `uwsgi`: registering and raising them, and waiting for them (contract §4.2)."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from operator import index

from ... import clock, firing
from ...errors import ScheduleRefused
from ...scheduled import Scheduled, ScheduledTask, changed_record, keeping
from ...schedules import Schedule, ScheduleOptions
from ...schedules import Signal as Trigger
from ..blocking import anywhere, wait_for
from ..network import remote
from ..program import Program
from . import handlers
from .calling import call
from .firing import aim_of, arguments_of, function_of, make_task, options_of
from .handlers import Handler
from .places import TASK
from .registry import SIGNALS, registry_of
from .targets import UNABLE, Target, checked_target
from .waiting import Raised

logger = logging.getLogger("aspool.uwsgi")


class Signals:
    """register_signal, signal, signal_registered, signal_wait, signal_received."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._registry = registry_of(program)
        self._task = make_task(program)
        self._received = 0

    # --- registering -----------------------------------------------------------------------------------------

    def register_signal(self, num: int, target: str, handler: Handler, /) -> None:
        """Let a handler run when a signal is raised; see targets.py for who runs it.

        Raises ValueError for a target that is not known, for a handler that the processes that run it could not find,
        and for a number that is another's; TypeError.
        """
        number, known = index(num) % SIGNALS, checked_target(target, self._program)
        if not callable(handler) and not self._program.strict:
            raise TypeError(f"the handler of a signal is a function that takes its number, not {handler!r}")
        if self._registry.declaring:
            self._declare(number, known, handler)
        elif self._program.strict and self._program.role.kind != "worker":  # uwsgi_register_signal
            raise ValueError(UNABLE)
        else:
            self._publish(number, known, handler)

    def _declare(self, number: int, target: Target, handler: Handler) -> None:
        known, name = self._registry.declared.get(number), handlers.name_of(handler)
        if known is not None:
            if self._program.strict:
                raise ValueError(UNABLE)
            if known.name != name:
                raise ValueError(f"{UNABLE} {number} for {name}: it is that of {known.name}, and cannot have both")
            return
        signal = self._registry.declare(number, target, handler)
        decorator = self._program.spooler.signal(str(number), **options_of(signal, signal.schedule))
        decorator(function_of(self._program, signal))

    def _publish(self, number: int, target: Target, handler: Handler) -> None:
        signal, over = self._registry.publish(number, target, handler)
        schedule = None
        if not signal.is_declared:
            schedule = Schedule(
                name=signal.schedule,
                task=TASK,
                trigger=Trigger(str(number)),
                options=ScheduleOptions(missed="skip", target=aim_of(target)),
                arguments=self._task.dump(arguments_of(signal), {})[0].decode(),
                message={"retries": 0},
                runtime=True,
            )
        wait_for(self._make, number, schedule, over)

    async def _make(self, number: int, schedule: Schedule | None, over: Sequence[str]) -> None:
        spool = self._program.spooler.spool_of(None)
        for name in over:
            await Scheduled(name, spool).remove()
        if schedule is None:
            return
        await Scheduled(schedule.name, spool).make(schedule)
        for name in self._registry.timers_of(number):  # of another handler, or for nobody, until now
            with suppress(ScheduleRefused):
                known = (await Scheduled(name, spool).look()).schedule
                options = replace(known.options, target=schedule.options.target)
                made = replace(known, options=options, arguments=schedule.arguments)
                await Scheduled(name, spool).make(made)

    def signal_registered(self, num: int, /) -> bool | None:
        """True if some process of the program has registered it, else None, as there."""
        return self._registry.is_registered(index(num) % SIGNALS) or None

    # --- raising ---------------------------------------------------------------------------------------------

    def signal(self, num: int, address: str | None = None, /) -> None:
        """Raise a signal, here or at another uWSGI or aspool (`host:port`, or the path of a socket).

        One that nobody has registered does nothing. Raises OSError when the other one cannot be reached, ValueError
        when it refuses, SpoolError when the raise cannot be written down.
        """
        number = index(num) % SIGNALS
        if address is None:
            wait_for(self._raise, number)
        elif isinstance(address, str):
            remote.raise_at(address, number)
        else:
            raise TypeError(f"signal() argument 2 must be str, not {type(address).__name__}")

    async def _raise(self, number: int) -> None:
        spooler, signal = self._program.spooler, self._registry.here(number)
        if signal is None:  # what another program has made for this number, or nobody
            with suppress(ScheduleRefused):
                await spooler.raise_signal(str(number))
            return
        task = spooler.tasks.get(signal.schedule)
        schedule = task.schedule if isinstance(task, ScheduledTask) else None
        change = firing.raise_signal(clock.now())
        await changed_record(keeping(spooler.spool_of(None)), signal.schedule, change, schedule)

    # --- waiting ---------------------------------------------------------------------------------------------

    def signal_wait(self, num: int | None = None, /) -> bytes:
        """Block until a signal comes for a process of this kind (that one, if it is given); handlers run meanwhile.

        A mule hears also what is raised between two waits. Raises SpoolUnusable.
        """
        wanted = None if num is None else index(num) % SIGNALS
        anywhere(self._wait_as_mule if self._program.role.kind == "mule" else self._wait, wanted)
        return b""

    def _wait(self, wanted: int | None) -> None:
        ear = self._registry.waiting.ear()
        try:
            while not self._was_wanted(ear.wait(None), wanted):
                pass
        finally:
            for raised in ear.close():
                self._run(raised)

    def _wait_as_mule(self, wanted: int | None) -> None:
        with self._registry.waiting.ear_of_mule() as ear:
            while not self._was_wanted(ear.wait(None), wanted):
                pass

    def _was_wanted(self, raised: Raised | None, wanted: int | None) -> bool:
        if raised is None:
            return False
        self._run(raised)
        self._received = raised.number
        return wanted in (None, raised.number)

    def _run(self, raised: Raised) -> None:
        run_raised(self._program, raised)

    def signal_received(self) -> int:
        """The number of the signal that ended the last wait; 0 before."""
        return self._received


def run_raised(program: Program, raised: Raised) -> None:
    """Run the handler of a signal that this process was told of. What it raises goes to the log."""
    try:
        signal = registry_of(program).find(raised.number, raised.name)
        if signal is not None:
            call(signal)
        elif raised.handler:  # this process has not imported it
            handlers.read(handlers.at(raised.handler))(raised.number)
    except Exception:
        logger.exception("the handler of signal %d failed", raised.number)
