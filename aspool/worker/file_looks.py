"""Looks at the files that schedules watch: when something was heard of one, and now and then in any case."""

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterable

from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from .. import clock, firing
from ..firing import deciding
from ..schedules import FileMonitor
from ..turn import Decide, Lives, Turn
from .entry import Entry
from .file_monitor import FileMonitors, signature

LOOKS = 4  # at the same time, in threads that no other work can take


class FileLooks:
    """The paths of a worker's file monitors. `news` is called when there is one to be looked at.

    `turn` takes a turn of a schedule. A file system that hangs holds up its own path, and no more than LOOKS.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        turn: Callable[[Entry, Decide, float], Awaitable[None]],
        news: Callable[[], None],
    ) -> None:
        self._entries = entries
        self._turn = turn
        self._news = news
        self._monitors = FileMonitors(self.touch)
        self._watched: set[str] = set()
        self._touched: set[str] = set()
        self._looking: set[str] = set()
        self._first: set[str] = set()  # paths that this worker has not looked at yet
        self._threads = CapacityLimiter(LOOKS)

    def begin(self, *, first: bool) -> None:
        """All paths are to be looked at; `first`: no worker was there until now, perhaps."""
        self.touch_all()
        self._first = set(self._touched) if first else set()

    def close(self) -> None:
        """Watch nothing any more."""
        self._monitors.close()

    def paths(self) -> set[str]:
        """What is watched."""
        records = [entry.record for entry in self._entries if entry.record.state == "on"]
        return {record.trigger.path for record in records if isinstance(record.trigger, FileMonitor)}

    def touch(self, path: str) -> None:
        """Look at it."""
        self._touched.add(path)
        self._news()

    def touch_all(self) -> None:
        """Look at all: events may be lost."""
        self._touched |= self.paths()

    def look(self, group: TaskGroup) -> None:
        """Begin to look at what was touched, and to watch what schedules have come to name."""
        if (watched := self.paths()) != self._watched:
            self._watched = watched
            self._monitors.watch(watched)
        paths = self._touched - self._looking
        self._touched -= paths
        self._looking |= paths
        for path in paths:
            group.start_soon(self._look, path)

    async def _look(self, path: str) -> None:
        try:
            seen = await to_thread.run_sync(signature, path, limiter=self._threads) or ""
            for entry in self._entries:
                trigger = entry.record.trigger
                if isinstance(trigger, FileMonitor) and trigger.path == path and seen != entry.record.seen:
                    await self._see(entry, path)
        finally:
            self._first.discard(path)
            self._looking.discard(path)
        if path in self._touched:
            self._news()

    async def _see(self, entry: Entry, path: str) -> None:
        first, now = path in self._first, clock.now()

        def decide(data: bytes | None, lives: Lives) -> Turn | None:
            # Looked at once more, while nobody else does: what an earlier look saw may be old by now.
            return deciding(firing.see(now, signature(path) or "", first=first))(data, lives)

        await self._turn(entry, decide, now)
        if rest := entry.rest(now):  # it could not be had
            get_running_loop().call_later(rest, self.touch, path)
