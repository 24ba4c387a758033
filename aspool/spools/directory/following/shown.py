"""Shown: what the workers' boards show of running jobs, read once for all followers of an event loop."""

from asyncio import Future, get_running_loop, shield
from pathlib import Path

from ....protocol import Entry
from ...bell import STEP, Bell
from ..scoreboard import boards
from ..tree import PRIVATE, Tree
from .wake import Ringer

SHARE = 5  # times its own duration that a reading waits for the next


class Shown:
    """The entries of all boards. As long as somebody subscribes they are read again whenever a board changes."""

    def __init__(self, tree: Tree, ringer: Ringer) -> None:
        self._tree = tree
        self._directory = f"{tree.path}/{PRIVATE}/workers"
        self._ringer = ringer
        self._bells: dict[str, set[Bell]] = {}
        self._watch: int | None = None
        self._entries: dict[str, Entry] = {}
        self._is_fresh = False
        self._is_expected = False  # that a reading begins
        self._reading: Future[dict[str, Entry]] | None = None
        self._began = 0.0  # by the loop's clock
        self._not_before = 0.0

    def subscribe(self, id: str, bell: Bell) -> bool:
        """Ring the bell when the entry of a message changes; False where it must be asked for now and then."""
        if self._watch is None:
            self._watch = self._ringer.watch_writes(self._tree.area("workers"), self._changed)
            self._is_fresh = False
        if self._watch is None:
            return False
        self._bells.setdefault(id, set()).add(bell)
        return True

    def unsubscribe(self, id: str, bell: Bell) -> None:
        """No longer."""
        bells = self._bells.get(id, set())
        bells.discard(bell)
        if not bells:
            self._bells.pop(id, None)
        if not self._bells and self._watch is not None:
            self._ringer.unwatch(self._watch, self._changed)
            self._watch = None

    async def entry(self, id: str) -> Entry | None:
        """What is shown of a message."""
        self._ringer.read()
        if self._watch is None or not self._is_fresh:
            if self._reading is not None:
                await shield(self._reading)  # it may have passed the board before it changed
            await shield(self._read())
        return self._entries.get(id)

    def _read(self) -> "Future[dict[str, Entry]]":
        if self._reading is None:
            self._is_fresh = True  # a change from here on is seen by the next reading
            self._began = get_running_loop().time()
            self._reading = get_running_loop().run_in_executor(None, _entries, self._directory)
            self._reading.add_done_callback(self._install)
        return self._reading

    def _install(self, reading: "Future[dict[str, Entry]]") -> None:
        self._reading = None
        ended = get_running_loop().time()
        self._not_before = ended + max(STEP, SHARE * (ended - self._began))
        if reading.cancelled() or reading.exception() is not None:
            return
        before, self._entries = self._entries, reading.result()
        for id, bells in self._bells.items():
            if before.get(id) != self._entries.get(id):
                for bell in bells:
                    bell.ring()

    def _changed(self, name: str, closed: bool) -> None:  # noqa: ARG002 - a Listener
        self._is_fresh = False
        if not self._is_expected:
            self._is_expected = True
            get_running_loop().call_at(self._not_before, self._refresh)

    def _refresh(self) -> None:
        self._is_expected = False
        if self._watch is None or self._is_fresh:
            return
        if self._reading is None:
            self._read()
        else:
            self._changed("", False)


def _entries(directory: str) -> dict[str, Entry]:
    return {entry.id: entry for board in boards(Path(directory)) for entry in board.entries}
