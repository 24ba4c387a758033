"""Registry: the signals of a program: those that its modules declare in this process, and those that all share.

A module that is imported declares; what is registered later is published, in the database of the program.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..program import Program
from ..shared.database import Shared
from . import handlers
from .handlers import Handler
from .targets import Target, target_of
from .waiting import Waiting

SIGNALS = 256
_HERE = "__aspool_registry__"  # where a module `uwsgi` keeps the one of its program
_TABLE = """CREATE TABLE IF NOT EXISTS signals (
    number INTEGER NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, handler BLOB, owner TEXT NOT NULL,
    is_declared INTEGER NOT NULL, schedule TEXT NOT NULL, PRIMARY KEY (number, is_declared)
)"""
_SELECT = "SELECT * FROM signals WHERE number = ?"
_Row = tuple[int, str, str, bytes | None, str, int, str]  # its columns
_TIMERS = "CREATE TABLE IF NOT EXISTS signal_timers (schedule TEXT PRIMARY KEY, number INTEGER NOT NULL)"
_STARTS = "CREATE TABLE IF NOT EXISTS signal_starts (schedule TEXT PRIMARY KEY, master TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Signal:
    """A registered signal. `name` is that of its handler, `schedule` that of the schedule which runs it when raised.

    `place` is where the handler is (`module:function`), "" for one that has none.
    """

    number: int
    target: Target
    name: str
    schedule: str
    place: str
    handler: Callable[[], Handler]
    is_declared: bool


class Registry:
    """The signals of one program. `declaring`: a module is being imported, or was not, but is before the fork."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.declared: dict[int, Signal] = {}
        self.waits_for_start: list[tuple[str, Callable[[], None]]] = []  # what begins anew with each master
        self.waiting = Waiting(program)
        self._then: dict[int, list[Callable[[Signal], None]]] = {}
        self._names: dict[str, int] = {}
        self._has_begun = False
        self._shared = Shared(program, _TABLE, _TIMERS, _STARTS)

    # --- declaring -------------------------------------------------------------------------------------------

    @property
    def declaring(self) -> bool:
        """Whether what is registered now belongs to the code, which every process of the program has."""
        if self.program.role.kind == "spooler":  # what it imports later comes too late for its schedules
            return not self._has_begun
        return _is_importing()

    def free_name(self, stem: str) -> str:
        """A name of a schedule of the code, the same in all processes that import the same modules in one order."""
        count = self._names[stem] = self._names.get(stem, 0) + 1
        return stem if count == 1 else f"{stem}.{count}"

    def declare(self, number: int, target: Target, handler: Handler) -> Signal:
        """Know a signal of the code."""
        name = handlers.name_of(handler)
        schedule = self.free_name(f"uwsgi.signal.{name}")
        signal = Signal(number, target, name, schedule, handlers.place_of(handler), lambda: handler, is_declared=True)
        self.declared[number] = signal
        for then in self._then.pop(number, []):
            then(signal)
        return signal

    def once_declared(self, number: int, then: Callable[[Signal], None]) -> None:
        """Do something with a signal of the code, which may be registered only after its timer was added."""
        if number in self.declared:
            then(self.declared[number])
        else:
            self._then.setdefault(number, []).append(then)

    def imported(self) -> None:
        """The modules are imported: what is registered from now on is published."""
        self._has_begun = True

    def begin(self) -> None:
        """The modules are imported: let the other processes know the signals that they declare, and no older ones."""
        self.imported()
        declared = self.declared.values()
        modules = ",".join(self.program.modules)
        owner = f"{process_key(self.program.role.master)} {modules}"
        rows = [
            (signal.number, signal.target.word, signal.name,
             handlers.at(signal.place) if signal.place else None, owner, signal.schedule)
            for signal in declared
        ]  # fmt: skip
        with self._shared.transaction() as connection:
            for (known,) in connection.execute("SELECT DISTINCT owner FROM signals WHERE is_declared").fetchall():
                if known.split(" ", 2)[2] == modules or not is_alive(known):
                    connection.execute("DELETE FROM signals WHERE is_declared AND owner = ?", (known,))
            connection.executemany("INSERT OR REPLACE INTO signals VALUES (?, ?, ?, ?, ?, 1, ?)", rows)
        for schedule, start in self.waits_for_start:
            if self._is_first_of_master(schedule):
                start()

    def _is_first_of_master(self, schedule: str) -> bool:
        master = process_key(self.program.role.master)
        with self._shared.connection() as connection:
            done = connection.execute(
                "INSERT INTO signal_starts VALUES (?, ?) ON CONFLICT (schedule) DO UPDATE SET master = excluded.master "
                "WHERE master != excluded.master",
                (schedule, master),
            )
            return done.rowcount > 0

    # --- what all processes know -----------------------------------------------------------------------------

    def publish(self, number: int, target: Target, handler: Handler) -> tuple[Signal, list[str]]:
        """Let all processes know a signal; also the names of schedules that are over with it.

        These are what a process that lives no more had registered for the same handler: whoever registers it again at
        each start has it once. Raises ValueError for a handler that cannot be found elsewhere, and for a number that
        the code of the program has for another.
        """
        data, name = handlers.written(handler), handlers.name_of(handler)
        with self._shared.transaction() as connection:
            known = connection.execute(f"{_SELECT} AND is_declared", (number,)).fetchone()
            if known is not None:
                if known[2] == name:
                    return _signal(known), []
                raise ValueError(
                    f"unable to register signal {number} for {name}: the modules of the program have it for "
                    f"{known[2]}; take a number for which signal_registered() says None"
                )
            over = [row for row in self._of_handler(connection, target, data) if not is_alive(row[1])]
            schedules = [schedule for row in over if row[0] != number for schedule in _forget(connection, row[0])]
            row = (number, target.word, name, data, self._owner(), 0, f"uwsgi.signal.{number}")
            connection.execute("INSERT OR REPLACE INTO signals VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return _signal(row), schedules

    def _of_handler(self, connection: Any, target: Target, data: bytes) -> list[tuple[int, str]]:
        found = connection.execute(
            "SELECT number, owner FROM signals WHERE NOT is_declared AND handler = ? AND target = ?",
            (data, target.word),
        )
        return found.fetchall()  # type: ignore[no-any-return]  # of the columns above

    def _owner(self) -> str:
        """The process with whose end a registration may be taken over: workers come and go, their master stays."""
        role = self.program.role
        return process_key(role.master if role.kind == "spooler" else os.getpid())

    def note_timer(self, schedule: str, number: int) -> None:
        """A schedule fires a signal, and is over with it."""
        with self._shared.connection() as connection:
            connection.execute("INSERT OR REPLACE INTO signal_timers VALUES (?, ?)", (schedule, number))

    def timers_of(self, number: int) -> list[str]:
        """The schedules that fire a published signal."""
        with self._shared.connection() as connection:
            found = connection.execute("SELECT schedule FROM signal_timers WHERE number = ?", (number,))
            return [row[0] for row in found.fetchall()]

    # --- finding ---------------------------------------------------------------------------------------------

    def is_registered(self, number: int) -> bool:
        """Whether a signal is known. A module that is imported sees only what was declared before it.

        So all processes that import it give out the same numbers.
        """
        if number in self.declared:
            return True
        if self.declaring:
            return False
        return self._row("", number) is not None

    def find(self, number: int, name: str = "") -> Signal | None:
        """A signal: the declared one of a handler's name, if one is given; else the published one of that number."""
        if not name:
            return self._row("AND NOT is_declared", number)
        named = [signal for signal in self.declared.values() if signal.name == name]
        return next((signal for signal in named if signal.number == number), named[0] if named else None)

    def remembered(self, number: int, place: str, word: str) -> Signal:
        """A signal that was published before this machine was started, by where its handler is."""
        return _signal((number, word, place.replace(":", "."), handlers.at(place), "", 0, f"uwsgi.signal.{number}"))

    def knows(self, place: str) -> bool:
        """Whether the handler at a place is registered: for any signal, by this process or by another."""
        if any(signal.place == place for signal in self.declared.values()):
            return True
        with self._shared.connection() as connection:
            found = connection.execute("SELECT 1 FROM signals WHERE handler = ?", (handlers.at(place),))
            return found.fetchone() is not None

    def here(self, number: int) -> Signal | None:
        """What a number means in this process: what its modules declare, else what all processes know."""
        return self.declared.get(number) or self._row("ORDER BY is_declared", number)

    def _row(self, which: str, number: int) -> Signal | None:
        with self._shared.connection() as connection:
            found = connection.execute(f"{_SELECT} {which}", (number,)).fetchone()
        return None if found is None else _signal(found)


def _signal(row: _Row) -> Signal:
    number, word, name, data, _, is_declared, schedule = row
    target = target_of(word) or Target(word, "nobody")
    place = handlers.place_in(data or b"")
    return Signal(number, target, name, schedule, place, lambda: handlers.read(data or b""), bool(is_declared))


def registry_of(program: Program) -> Registry:
    """The one Registry of a program in this process."""
    return vars(program.module).setdefault(_HERE, None) or _made(program)


def _made(program: Program) -> Registry:
    registry = vars(program.module)[_HERE] = Registry(program)
    return registry


def _forget(connection: Any, number: int) -> list[str]:
    """Forget a signal; the schedules that are over with it."""
    timers = connection.execute("DELETE FROM signal_timers WHERE number = ? RETURNING schedule", (number,)).fetchall()
    connection.execute("DELETE FROM signals WHERE number = ? AND NOT is_declared", (number,))
    return [f"uwsgi.signal.{number}", *(row[0] for row in timers)]


def _is_importing() -> bool:
    """Whether the caller runs because some module is imported: `import` notes in its spec when that is over."""
    for frame in _frames():
        spec = frame.f_globals.get("__spec__")
        if frame.f_code.co_name == "<module>" and getattr(spec, "_initializing", False):
            return True
    return False


def _frames() -> Iterator[Any]:
    frame = sys._getframe(1)  # noqa: SLF001 - documented; who calls cannot be known otherwise
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]  # the outermost has none


# --- processes -----------------------------------------------------------------------------------------------------


def process_key(pid: int) -> str:
    """A process as no other one is named, not even a later one of the same pid."""
    return f"{pid} {_started(pid)}"


def is_alive(key: str) -> bool:
    """Whether the process lives whose key this is, or begins with."""
    pid, started = key.split(" ")[:2]
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """When it was started, in ticks of the kernel; "" where that cannot be known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
