"""One worker's process, as the supervisor sees it: started, listened to, watched, signalled, and ended."""

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import SIGINT, SIGKILL, SIGTERM, SIGUSR2, Signals

from anyio import CancelScope, Event, create_task_group, move_on_after, sleep, to_thread, wait_readable

from ..settings import Settings
from .link import pair
from .order import Counted, Deadline, Idle, Leaving, Load, Order, Ready, Word, read_word

logger = logging.getLogger("aspool.supervisor")
# Not -m: processes of jobs load the main module of their parent again, if it has a file.
BEGIN = "from aspool.supervisor.child import main; raise SystemExit(main({0}, {1}))"
LATE = 1.9  # seconds behind its deadline after which a worker is taken for blocked: its own watchdog acts before that
TARDY = 0.3  # seconds: if we ourselves look so much later than we wanted, the machine had no time for anybody
LAST_WAIT = 1.9  # seconds after its grace until a worker is killed: before that it ends by itself
DUMP_WAIT = 0.1  # seconds for it to say where it hangs
MOST_STACKS = 64 * 1024  # bytes


@dataclass(slots=True)
class State:
    """What is known of a worker process. Moments are of the monotonic clock, `next_moment` and `since` are UNIX."""

    ready: Ready | None = None
    leaving: Leaving | None = None
    idle: Idle | None = None
    saturated: bool = False
    counts: dict[str, object] = field(default_factory=dict)
    deadline: float | None = None
    was_asked: bool = False  # to stop, by the supervisor
    exit_code: int | None = None  # negative: the signal that killed it


class WorkerProcess:
    """A worker in a session of its own. `changed` is called whenever its state is another."""

    def __init__(self, order: Order, changed: Callable[["WorkerProcess"], None]) -> None:
        """Raises OSError when no process can be started."""
        self.number = order.number
        self.grace = Settings.from_record(order.settings).grace
        self.state = State()
        self.since = time.time()
        self.heard = Event()  # of something new; replaced each time
        self.hurried = Event()
        self._changed = changed
        self._born = time.monotonic()
        self._link, theirs = pair()
        self._stacks = _stacks_file()
        try:
            self._process = _start(theirs.fileno(), -1 if self._stacks is None else self._stacks)
        except OSError:
            self._close()
            raise
        finally:
            theirs.close()
        self._link.send(order.written())

    @property
    def pid(self) -> int:
        """Its process, which leads its group."""
        return self._process.pid

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._born

    @property
    def is_claiming(self) -> bool:
        """Whether it is ready, and not about to leave."""
        return self.state.ready is not None and not self.is_leaving

    @property
    def is_leaving(self) -> bool:
        """Whether it will end soon, or has."""
        return self.state.was_asked or self.state.leaving is not None or self.state.exit_code is not None

    # --- its life --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen to it until it has ended; what it has started ends with it."""
        async with create_task_group() as group:
            group.start_soon(self._listen)
            group.start_soon(self._watch)
            group.start_soon(self._see_off)
            await self._ended()
            group.cancel_scope.cancel()
        self._take_rest()
        self._kill_group()
        self.state.exit_code = await to_thread.run_sync(self._process.wait)
        self._close()
        self._tell()

    async def _listen(self) -> None:
        async for message in self._link.messages():
            self._take(read_word(message))

    def _take_rest(self) -> None:
        """What it has said, and nobody has listened to yet."""
        while message := self._link.receive_now():
            self._take(read_word(message))

    def _take(self, word: Word | None) -> None:
        state = self.state
        match word:
            case Ready():
                state.ready = word
            case Leaving():
                state.leaving = word
            case Deadline():
                state.deadline = word.moment
            case Idle():
                state.idle = word
            case Load():
                state.saturated = word.saturated
            case Counted():
                state.counts = word.record
        self._tell()

    def _tell(self) -> None:
        heard, self.heard = self.heard, Event()
        heard.set()
        self._changed(self)

    async def _ended(self) -> None:
        """Until it is dead, though not yet reaped: until then nobody else has its number."""
        try:
            fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # no such thing here
            await to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
            return
        try:
            await wait_readable(fd)
        finally:
            os.close(fd)

    # --- watching --------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """A worker that lets its deadline pass is blocked, and its own watchdog too: end it."""
        while True:
            deadline, heard = self.state.deadline, self.heard
            if deadline is None:
                await heard.wait()
            elif await self._misses(deadline):
                await self._end_blocked()
                return

    async def _misses(self, deadline: float) -> bool:
        """Whether it says nothing else for as long as it may. If we slept ourselves, it has that time once more."""
        end = deadline + LATE
        if await self._changes(deadline, end):
            return False
        return time.monotonic() < end + TARDY or not await self._changes(deadline, time.monotonic() + LATE)

    async def _changes(self, deadline: float, end: float) -> bool:
        """Whether it moves its deadline until then."""
        with move_on_after(max(0.0, end - time.monotonic())):
            while self.state.deadline == deadline:
                await self.heard.wait()
        self._take_rest()
        return self.state.deadline != deadline

    async def _see_off(self) -> None:
        """Once it leaves, it has its grace, and a moment; then it is killed."""
        while not self.is_leaving:
            await self.heard.wait()
        with move_on_after(self.grace + LAST_WAIT):
            await self.hurried.wait()
            await sleep(LAST_WAIT)
        logger.error("worker %d (process %d) does not end, and is killed", self.number, self.pid)
        self.kill()

    async def _end_blocked(self) -> None:
        reason = f"worker {self.number} (process {self.pid}) is blocked beyond all harakiri, and so ended"
        self.state.leaving = Leaving(reason, wants_successor=True)
        self.signal(SIGUSR2)
        with CancelScope(shield=True):  # one that has no way to tell where it hangs dies of the signal
            await sleep(DUMP_WAIT)
        logger.error("%s:\n%s", reason, self.stacks())
        self.kill()

    def stacks(self) -> str:
        """Where its threads were when it was asked by SIGUSR2; empty if it said nothing."""
        if self._stacks is None:
            return ""
        return os.pread(self._stacks, MOST_STACKS, 0).decode(errors="replace")

    # --- ending it -------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let it drain; once."""
        if not self.state.was_asked:
            self.state.was_asked = True
            self.signal(SIGTERM)
            self._tell()

    def stop_now(self) -> None:
        """Let it hand back what runs."""
        self.stop()
        self.signal(SIGINT)  # another one, as two of the same may come as one
        self.hurried.set()

    def kill(self) -> None:
        """End it, and all it has started."""
        self.signal(SIGKILL)
        self._kill_group()

    def signal(self, number: Signals) -> None:
        """Send it a signal, if it lives. Not by Popen, which would reap it: until we do, nobody else has its number."""
        if self._process.returncode is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, SIGKILL)
        except OSError as error:
            if error.errno not in (errno.ESRCH, errno.EPERM):
                raise

    def _close(self) -> None:
        self._link.close()
        if self._stacks is not None:
            os.close(self._stacks)
            self._stacks = None


def _start(link: int, stacks: int) -> "subprocess.Popen[bytes]":
    fds = [fd for fd in (link, stacks) if fd >= 0]
    command = [sys.executable, "-P", "-c", BEGIN.format(link, stacks)]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=fds
    )


def _stacks_file() -> int | None:
    """Where a worker writes its stacks, even if its interpreter is blocked; None where there is no such file."""
    try:
        return os.memfd_create("aspool-stacks")
    except (AttributeError, OSError):
        return None
