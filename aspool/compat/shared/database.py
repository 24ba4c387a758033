"""What the processes of one program share: a database in Program.shared. Who keeps what in it makes tables of its own.

Its content outlives every process, and ends with the machine's next start, as the memory ends that uWSGI shares.
"""

import atexit
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ...errors import SpoolError, SpoolUnusable
from ..program import Program

BUSY = 10.0  # seconds to wait for another process that writes; each takes far less than one
_BOOT = Path("/proc/sys/kernel/random/boot_id")
# What is not synced may be torn by a loss of power: after that comes another boot, and another file.
_PRAGMAS = ("journal_mode = WAL", "synchronous = OFF")
_END = ("-wal", "-shm", "")
_FILE = re.compile(r"shared-\w+\.db")


@dataclass(slots=True)
class _Opened:
    """The connection of this process to a file, and which definitions it has seen."""

    connection: sqlite3.Connection
    identity: tuple[int, int]  # device and inode: the file may have been removed since
    defined: set[str] = field(default_factory=set)


# One connection per process and file, used by one thread at a time: SQLite lets one write at a time anyway. None may
# cross a fork: the locks that it believes to have would not be those of the child.
_opened: dict[Path, _Opened] = {}
_turn = threading.RLock()


class Shared:
    """The database of a program. `definitions` are statements as CREATE TABLE IF NOT EXISTS; they run before all else.

    It is made when first used. In every thread and process, also after a fork.
    """

    def __init__(self, program: Program, *definitions: str) -> None:
        self._program = program
        self._definitions = definitions

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection of this process, for a few statements, each of which is committed at once.

        Other threads wait meanwhile. Raises SpoolUnusable when there can be no database, SpoolError when the disk is
        full or another process keeps it for too long.
        """
        with _turn:
            path = self._path()
            try:
                yield self._connected(path)
            except sqlite3.DatabaseError as error:
                explained = _explained(error, path)
                if explained is None:
                    raise
                raise explained from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The same, for statements of which all are done or none, with no other process between them.

        Raises as `connection`.
        """
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def directory(self) -> Path:
        """Program.shared, made if need be: 0700, and our own. Raises SpoolUnusable."""
        path = self._program.shared
        try:
            if path.parent.name.startswith("."):  # below a spool, which its first use makes; never its parents
                for above in (path.parent.parent, path.parent):
                    _make(above)
            _make(path)
            _check(path)
        except OSError as error:
            raise SpoolUnusable(f"{path}, which all processes share, cannot be made: {error.strerror}") from error
        return path

    def _path(self) -> Path:
        return self._program.shared / f"shared-{_boot()}.db"

    def _connected(self, path: Path) -> sqlite3.Connection:
        opened = _opened.get(path)
        if opened is None or opened.identity != _identity(path):
            if opened is not None:
                _opened.pop(path).connection.close()
            self.directory()
            _remove_older(path)
            opened = _opened[path] = _open(path)
        for definition in self._definitions:
            if definition not in opened.defined:
                opened.connection.execute(definition)
                opened.defined.add(definition)
        return opened.connection


def _remove_older(path: Path) -> None:
    """What this machine kept before its last start.

    By its note of that: others may have files here too. By no name in the file's own, as containers of one machine have
    names of their own, and one file.
    """
    note = path.with_name(f"last-{os.uname().nodename.replace('/', '_')}")
    try:
        older = os.path.basename(note.read_text(errors="replace"))
    except FileNotFoundError:
        older = ""
    if older == path.name:
        return
    if _FILE.fullmatch(older):
        for end in _END:
            path.with_name(f"{older}{end}").unlink(missing_ok=True)
    with open(note, "w", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
        file.write(path.name)


def _make(path: Path) -> None:
    try:
        path.mkdir(0o700)
        path.chmod(0o700)  # whatever the umask
    except FileExistsError:
        pass


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SpoolUnusable(
            f"{path}, which all processes of a program share, is no directory of this user: remove it, or let all "
            "processes run as its owner"
        )
    if found.st_mode & 0o077:
        path.chmod(0o700)


@cache
def _boot() -> str:
    """Which start of the machine this is."""
    try:
        return _BOOT.read_text()[:8]
    except OSError:  # no Linux
        return "0"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(path: Path) -> _Opened:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))  # SQLite has no mode
        connection = sqlite3.connect(path, BUSY, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.OperationalError) as error:
        raise SpoolUnusable(f"{path}, which all processes share, cannot be opened: {error}") from error
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return _Opened(connection, _identity(path) or (0, 0))


def _explained(error: sqlite3.DatabaseError, path: Path) -> SpoolError | None:
    """As a sentence; None for what is no matter of the disk, as an error in a statement."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return SpoolError(f"the disk of {path}, which all processes share, is full: nothing was kept")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SpoolError(f"{path}, which all processes share, was kept by another process for {BUSY:g} s")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return SpoolUnusable(f"{path}, which all processes share, is broken: stop them all, and remove it ({error})")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return SpoolUnusable(f"{path}, which all processes share, cannot be used: {error}")
    return None


def close_all() -> None:
    """Close what this process has open; it is opened again when it is used."""
    with _turn:
        while _opened:
            _opened.popitem()[1].connection.close()


def _before_fork() -> None:
    _turn.acquire()
    close_all()


os.register_at_fork(before=_before_fork, after_in_parent=_turn.release, after_in_child=_turn.release)
atexit.register(close_all)
