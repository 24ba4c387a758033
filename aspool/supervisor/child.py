"""The process of one worker under a supervisor, which starts it with `main`."""

import ctypes
import faulthandler
import os
import signal
import sys
from typing import NoReturn

from anyio import create_task_group, sleep, wait_readable

from ..errors import FAILED, ApplicationUnusable, AspoolError, exit_code
from ..escape import safe
from ..observe.metrics import Counts
from ..settings import Settings
from ..worker import Worker
from ..worker.own_process import OwnProcess
from ..worker.process import SIGNALS, Hooks, run_worker
from .beginning import begin
from .link import Link
from .order import Counted, Deadline, Idle, Leaving, Load, Order, Ready, Word, read_order, written
from .titles import set_title

_PR_SET_PDEATHSIG = 1
ORPHANED = "the supervisor died"
OFTEN = 0.25  # seconds between two looks at how much a cheap worker has to do
COUNTED = 1.0  # seconds between two reports of what its jobs added up to


def main(link: int, stacks: int) -> int:
    """Run the worker; the exit code. Two descriptors: the end of the link, and a file for stacks or -1."""
    end = Link.inherited(link)
    told = end.receive_blocking()
    if not told:
        return FAILED  # the supervisor died already
    order = read_order(told)
    _die_with(order.parent)
    if stacks >= 0:
        faulthandler.register(signal.SIGUSR2, file=stacks, all_threads=True)
        os.set_inheritable(stacks, False)
    sys.path[:] = order.path
    set_title(f"worker {order.number} of {order.app}")
    try:
        return _Child(order, end).run()
    except (AspoolError, OSError) as error:
        if isinstance(error, ApplicationUnusable) and error.traceback:
            _tell(*error.traceback.rstrip().splitlines())
        _tell(f"aspool: {error}")
        return exit_code(error)


def _tell(*lines: str) -> None:
    sys.stderr.write("".join(f"{safe(line)}\n" for line in lines))


def _die_with(parent: int) -> None:
    """Let the kernel tell this process when its supervisor dies: it drains.

    By SIGHUP: a second SIGTERM, if it is stopping already, would let it hand back what runs.
    """
    _hear_signals()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel knew of us


def _hear_signals() -> None:
    """Whatever the supervisor was told to ignore, or the application ignores: they are its supervisor's words."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


class _Child:
    """The worker's side of the link."""

    def __init__(self, order: Order, link: Link) -> None:
        self._order = order
        self._link = link
        self._settings = Settings.from_record(order.settings)
        self._worker: Worker | None = None
        self._counts: Counts | None = None

    def run(self) -> int:
        begun = begin(self._order.app, self._settings, self._order.number)
        _hear_signals()
        if begun.settings.health is not None:
            self._counts = Counts(begun.spooler.tasks)
        process = OwnProcess(self._leave, lambda moment: self._say(Deadline(moment)))
        observers = () if self._counts is None else (self._counts,)
        hooks = Hooks(process, self._beside, observers, begun.logs, begun.prepare_child, ORPHANED)
        worker = run_worker(begun.spooler, begun.settings, hooks).worker
        self._say_counts()
        self._say(Leaving(worker.stop_reason, worker.wants_successor))
        self._end_orphaned_group()
        return 0

    def _say(self, word: Word) -> None:
        self._link.send(written(word))

    def _leave(self, reason: str, exit_code: int) -> NoReturn:
        self._say(Leaving(reason, wants_successor=self._worker is not None and self._worker.wants_successor))
        self._end_orphaned_group()
        os._exit(exit_code)

    def _end_orphaned_group(self) -> None:
        """What the jobs have started ends with the worker. A living supervisor sees to that itself."""
        if os.getppid() != self._order.parent:
            os.killpg(0, signal.SIGKILL)

    # --- beside the worker, in its loop ----------------------------------------------------------------------

    async def _beside(self, worker: Worker) -> None:
        self._worker = worker
        self._say(Ready(list(worker.addresses), worker.must_stay))
        async with create_task_group() as group:
            group.start_soon(self._stop_without_supervisor, worker)
            group.start_soon(self._say_when_stopping, worker)
            if self._counts is not None:
                group.start_soon(self._keep_counting)
            if self._settings.cheap:
                group.start_soon(self._keep_telling_load, worker)
                group.start_soon(self._keep_telling_idleness, worker)

    async def _stop_without_supervisor(self, worker: Worker) -> None:
        await wait_readable(self._link.fd)  # it sends nothing more: this is its end
        worker.stop(ORPHANED)

    async def _say_when_stopping(self, worker: Worker) -> None:
        await worker.until_stopping()
        self._say(Leaving(worker.stop_reason, worker.wants_successor))

    async def _keep_counting(self) -> None:
        assert self._counts is not None
        told = 0
        while True:
            await sleep(COUNTED)
            if self._counts.changes != told:
                told = self._counts.changes
                self._say_counts()

    def _say_counts(self) -> None:
        if self._counts is not None:
            self._say(Counted(dict(self._counts.record())))

    async def _keep_telling_load(self, worker: Worker) -> None:
        was_saturated = False
        while True:
            await sleep(OFTEN)
            if worker.saturated != was_saturated:
                was_saturated = not was_saturated
                self._say(Load(was_saturated))

    async def _keep_telling_idleness(self, worker: Worker) -> None:
        while True:
            await worker.wait_idle(self._settings.cheap_idle)
            self._say(Idle(worker.next_moment()))
            await sleep(self._settings.cheap_idle)
