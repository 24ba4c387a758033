"""Waiting: processes that wait for signals or for messages to mules, and how others tell them. Each has a named pipe.

The kernel closes a pipe with its reader: so nobody is told who lives no more. Messages lie in the database.
"""

import json
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import shuffle

from ...job import current_job
from ..program import Program
from ..shared.database import Shared
from ..shared.numbers import number_of
from .targets import Target, farm_of

LOOK = 10.0  # seconds between two looks at the database, should nobody have told
REMEMBERED = 256  # raises of which a waiting process knows that it had them
_INBOX = """CREATE TABLE IF NOT EXISTS mule_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, mule INTEGER NOT NULL, farm TEXT NOT NULL, message BLOB NOT NULL
)"""
_NEWS = b"\n"  # there is a message
_counter = count(1)


@dataclass(frozen=True, slots=True)
class Raised:
    """A signal that was raised: its number, the handler's name if it is declared, and which raise it is.

    `handler` is where the handler is (`module:function`), for a process that has not imported it.
    """

    number: int
    name: str = ""
    moment: str = ""
    handler: str = ""

    def written(self) -> bytes:
        """As one line, which a pipe takes whole or not at all."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Ear:
    """The pipe of one waiting thread. `kind` and `number` are those of its process."""

    def __init__(self, directory: Path, kind: str, number: int, heard: deque[str]) -> None:
        self._heard = heard
        name = f"{kind}.{number}.{os.getpid()}.{next(_counter)}"
        self._path, unseen = directory / name, directory / f".{name}"
        os.mkfifo(unseen, 0o600)
        # For both: a pipe that nobody writes to is at its end otherwise, and a poll returns at once.
        self._fd = os.open(unseen, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        unseen.rename(self._path)  # whoever sees one without a reader takes it for that of a dead process
        self._rest = b""
        self._found: deque[Raised] = deque()

    def wait(self, seconds: float | None) -> Raised | None:
        """What was raised, once something is told; None after so many seconds (None: never), or for a message."""
        if not self._found:
            select.select([self._fd], (), (), seconds)
            self._read()
        return self._found.popleft() if self._found else None

    def _read(self) -> None:
        with suppress(BlockingIOError):
            self._rest += os.read(self._fd, 65536)
        *lines, self._rest = self._rest.split(b"\n")
        told = [raised for line in lines if (raised := _read(line)) is not None]
        self._found += filter(self._is_new, told)

    def _is_new(self, raised: Raised) -> bool:
        """For all of a kind each worker tells the same."""
        key = f"{raised.number} {raised.name} {raised.moment}"
        if key in self._heard:
            return False
        self._heard.append(key)
        return True

    def close(self) -> Sequence[Raised]:
        """Wait no more; what was told meanwhile."""
        self._path.unlink(missing_ok=True)
        self._read()
        os.close(self._fd)
        return self._found


def _read(line: bytes) -> Raised | None:
    try:
        return Raised(**json.loads(line))
    except (ValueError, TypeError):
        return None


class Waiting:
    """Those who wait, of a program; and the messages to its mules."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._shared = Shared(program, _INBOX)
        self._own: dict[int, Ear] = {}  # a mule hears as long as it lives: by its process, as one may fork
        self._lock = threading.Lock()
        self._heard: deque[str] = deque(maxlen=REMEMBERED)

    # --- this process waits ----------------------------------------------------------------------------------

    def ear(self) -> Ear:
        """A new one, for this thread; it is to be closed. Raises SpoolUnusable."""
        directory = self._shared.directory() / "waiting"
        directory.mkdir(0o700, exist_ok=True)
        return Ear(directory, self._program.role.kind, number_of(self._program), self._heard)

    @contextmanager
    def ear_of_mule(self) -> Iterator[Ear]:
        """That of this process, a mule's; a job of a mule hears only as long as it waits, as it soon is another's."""
        if not _is_job():
            yield self.own_ear()
            return
        ear = self.ear()
        try:
            yield ear
        finally:
            ear.close()

    def own_ear(self) -> Ear:
        """That of this process, a mule's, which stays: signals wait in it while the mule does something else."""
        with self._lock:
            return self._own.get(os.getpid()) or self._own.setdefault(os.getpid(), self.ear())

    def close(self) -> None:
        """Close what this process has left open."""
        with self._lock:
            while self._own:
                self._own.popitem()[1].close()

    # --- telling others --------------------------------------------------------------------------------------

    def tell(self, target: Target, raised: Raised) -> int:
        """Tell those who wait and are meant, or the first of them if one is to run it; how many were told."""
        told = 0
        ears = list(self._ears())
        shuffle(ears)  # one of several that wait has not all to do
        for path, kind, number in ears:
            if self._is_meant(target, kind, number) and _tell(path, raised.written()):
                told += 1
                if not target.everyone:
                    break
        return told

    def _is_meant(self, target: Target, kind: str, number: int) -> bool:
        if target.kind != "farm":
            return target.suits(kind, number)
        farm = farm_of(target, self._program)
        return farm is not None and kind == "mule" and number in farm[1]

    def _ears(self) -> Iterator[tuple[Path, str, int]]:
        directory = self._program.shared / "waiting"
        with suppress(FileNotFoundError):
            for name in os.listdir(directory):
                kind, _, rest = name.partition(".")
                number = rest.partition(".")[0]
                if kind and number.isdecimal():
                    yield directory / name, kind, int(number)

    # --- messages to mules -----------------------------------------------------------------------------------

    def send(self, message: bytes, mules: Sequence[int], *, mule: int = 0, farm: str = "") -> bool:
        """Give a message to the processes of mules, if one of these lives and takes any. Raises SpoolError."""
        ears = [path for path, kind, number in self._ears() if kind == "mule" and number in mules]
        if not any(_tell(path, b"") for path in ears):
            return False
        with self._shared.connection() as connection:
            connection.execute("INSERT INTO mule_messages VALUES (NULL, ?, ?, ?)", (mule, farm, message))
        for path in ears:
            _tell(path, _NEWS)
        return True

    def take(self, number: int, farms: Sequence[str], *, own: bool = True) -> bytes | None:
        """The oldest message to a mule; `own`: also those to itself or to any, not only those to its farms."""
        marks = ",".join("?" * len(farms))
        wanted = f"farm IN ({marks})" + (" OR (farm = '' AND mule IN (0, ?))" if own else "")
        with self._shared.connection() as connection:
            found = connection.execute(
                f"DELETE FROM mule_messages WHERE id = (SELECT min(id) FROM mule_messages WHERE {wanted}) "  # noqa: S608 - question marks
                "RETURNING message",
                (*farms, *([number] if own else [])),
            ).fetchone()
        return None if found is None else bytes(found[0])


def _is_job() -> bool:
    try:
        current_job()
    except LookupError:
        return False
    return True


def _tell(path: Path, line: bytes) -> bool:
    """Whether somebody reads there, and has room."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:  # ENXIO: its process is gone
        path.unlink(missing_ok=True)
        return False
    try:
        return os.write(fd, line) == len(line)
    except OSError:  # full: it has not looked for long
        return False
    finally:
        os.close(fd)


def until(seconds: float | None) -> Iterator[float]:
    """How long to wait each time, until so many seconds are over (None: for ever)."""
    end = math.inf if seconds is None else time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        yield min(LOOK, rest)
