"""Follow: one message as one ticket sees it, from wherever it waits to its end."""

from asyncio import TimerHandle, get_running_loop, sleep
from collections.abc import Awaitable, Callable
from typing import cast

from .... import clock
from ....errors import SpoolUnusable
from ....protocol import Progress, Standing, State
from ....records import state_of
from ...bell import Bell
from ..marks import Mark
from .results import Results
from .search import Search
from .shown import Shown
from .standing import MessageFile
from .wake import Ringer

HEARTBEAT = 1.0  # seconds after which a follower looks in any case: events may be lost, and uWSGI makes few
SECOND_LOOK = 0.02  # seconds: the kernel tells of a close just before it frees the lock
POLL = 0.05  # seconds between two looks where there are no events
MOMENT = 0.002  # seconds: a worker that looks at a message and leaves it holds it for less

Find = Callable[[], Awaitable[MessageFile | None]]


class Eyes:
    """What all followers of an event loop and spool share."""

    def __init__(self, results: Results, ringer: Ringer, shown: Shown, search: Search) -> None:
        self.results = results
        self.ringer = ringer
        self.shown = shown
        self.search = search


class FileFollower:
    """Follows one message. What it opens is closed by `close`."""

    def __init__(self, id: str, eyes: Eyes, find: Find) -> None:
        self.id = id
        self.bell = Bell()
        self.file: MessageFile | None = None
        self._eyes = eyes
        self._find = find
        self._last = Standing("unknown")
        self._is_over = False  # it was seen to go
        self._watch: int | None = None
        self._is_subscribed = False
        self._again: TimerHandle | None = None

    async def look(self) -> Standing:
        """How it stands now. Raises SpoolUnusable."""
        if not self._is_over:
            try:
                self._last = await self._look()
            except OSError as error:
                raise SpoolUnusable(f"the message {self.id} cannot be looked at: {error.strerror}") from error
        return self._last

    async def _look(self) -> Standing:
        if self.file is None:
            ended = self._ended()
            if ended is None:
                self.file = await self._find()
            if self.file is None:
                return ended or self._ended() or Standing("unknown")
        standing = await self._standing(self.file)
        if standing is None:
            return self._gone(self.file)
        if standing.state == "running":
            return _with(standing, await self._progress())
        if standing.state == "dead":
            return _with(standing, record=self._eyes.results.read(self.id) or self.file.buried())
        return standing

    async def _standing(self, file: MessageFile) -> Standing | None:
        """Who locks a message without a mark is uWSGI, or a worker that leaves it again in the next moment."""
        standing = file.standing(clock.now())
        if standing is not None and standing.state == "running":
            if file.mark is not Mark.RUNNING:
                await sleep(MOMENT)
                standing = file.standing(clock.now())
            file.has_run |= standing is not None and standing.state == "running"
        return standing

    def _ended(self) -> Standing | None:
        record = self._eyes.results.read(self.id)
        return None if record is None else Standing(cast("State", state_of(record)), self._last.attempt, record=record)

    def _gone(self, file: MessageFile) -> Standing:
        standing = self._ended() or Standing(file.end(), self._last.attempt)
        self._is_over = True
        self._let_go()
        return standing

    async def _progress(self) -> Progress | None:
        """What the job has told, if anything."""
        entry = await self._eyes.shown.entry(self.id)
        return None if entry is None or entry.progress == Progress() else entry.progress

    async def changed(self) -> None:
        """Return when it may stand differently; the first time at once, as nobody watched before."""
        if self.file is not None and self._watch is None:
            self._watch = self._eyes.ringer.watch_file(self.file.fd, self._tell)
            await sleep(POLL if self._watch is None else 0)
        elif self._last.state == "running" and not self._is_subscribed and self._watch is not None:
            self._is_subscribed = self._eyes.shown.subscribe(self.id, self.bell)
            await sleep(0 if self._is_subscribed else POLL)
        else:
            await self.bell.heard(self._patience())

    def _tell(self, name: str, closed: bool) -> None:  # noqa: ARG002 - a Listener
        """The file changed. After a close it is worth a second look."""
        self.bell.ring()
        if closed and self._again is None:
            self._again = get_running_loop().call_later(SECOND_LOOK, self._ring_again)

    def _ring_again(self) -> None:
        self._again = None
        self.bell.ring()

    def _patience(self) -> float:
        """Time alone makes a scheduled message a waiting one."""
        if self._last.state == "scheduled" and self._last.due is not None:
            return min(HEARTBEAT, max(0.0, self._last.due - clock.now()) + 0.001)
        return HEARTBEAT

    def close(self) -> None:
        """Follow no longer."""
        self._let_go()
        if self._again is not None:
            self._again.cancel()

    def _let_go(self) -> None:
        if self._watch is not None:
            self._eyes.ringer.unwatch(self._watch, self._tell)
            self._watch = None
        if self._is_subscribed:
            self._eyes.shown.unsubscribe(self.id, self.bell)
            self._is_subscribed = False
        if self.file is not None:
            self.file.close()
            self.file = None


def _with(standing: Standing, progress: Progress | None = None, record: bytes | None = None) -> Standing:
    return Standing(standing.state, standing.attempt, standing.due, progress, record)
