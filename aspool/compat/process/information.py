"""What the module `uwsgi` tells of itself and of this process, and the small things that a process may do."""

import grp
import logging
import os
import pwd
import socket
import time
from collections.abc import Mapping
from typing import Any

from ...job import current_job
from ...outcomes import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY
from ...spooler import DEFAULT
from ...wire import LARGEST_VARIABLES
from ..loops import shown_loop
from ..program import Program
from ..shared.numbers import number_of

logger = logging.getLogger("aspool.uwsgi")
VERSION = (2, 0, 30, 0, b"")  # of the uWSGI whose contract this is
_OPTIONAL = ("mode", "pidfile")  # attributes that are there if the option is


class Options(dict[str, bytes | bool]):
    """The options of a program by str keys, as there. Those who ask with bytes, as uwsgiconf does, are answered too."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(_text(key))

    def __getitem__(self, key: Any) -> bytes | bool:
        return super().__getitem__(_text(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of an option, or the default."""
        return super().get(_text(key), default)


def _text(key: Any) -> Any:
    return key.decode(errors="surrogateescape") if isinstance(key, bytes) else key


def options_of(program: Program) -> dict[str, bytes | bool]:
    """What `uwsgi.opt` is. That there are a master and a spooler is true of every program here."""
    found: dict[str, bytes | bool] = {} if program.strict else Options()
    address = program.spooler.spools[DEFAULT].address
    found |= {"master": True, "spooler": os.fsencode(address)}
    if program.mules and not program.options.keys() & {"mule", "mules"}:
        found["mules"] = b"%d" % program.mules
    found |= {key: _option(value) for key, value in program.options.items()}
    return found


def _option(value: Any) -> bytes | bool:
    return value if isinstance(value, bytes | bool) else str(value).encode(errors="surrogateescape")


class Information:
    """Of one Program."""

    SPOOL_OK = SPOOL_OK.value
    SPOOL_RETRY = SPOOL_RETRY.value
    SPOOL_IGNORE = SPOOL_IGNORE.value
    version = b"%d.%d.%d" % VERSION[:3]
    version_info = VERSION
    has_threads = 1
    cores = 1
    loop = None
    unbit = None
    applications = None
    is_a_reload = False

    def __init__(self, program: Program) -> None:
        self._program = program
        self.opt = options_of(program)
        self.hostname = os.fsencode(socket.gethostname())
        self.numproc = self._number("processes", self._number("workers", 1))
        self.buffer_size = self._number("buffer-size", LARGEST_VARIABLES)
        self.started_on = int(time.time())
        self.sockets: list[int] = []
        self.magic_table = _magic_table(self.hostname, self.started_on)
        for name in _OPTIONAL:
            if name in self.opt:
                setattr(self, name, self.opt[name])

    def _number(self, option: str, default: int) -> int:
        try:
            return int(self.opt.get(option, default))
        except ValueError:
            return default

    # --- which process this is -------------------------------------------------------------------------------

    def worker_id(self) -> int:
        """The number of a worker, from 1; 0 in a spooler and a mule. Raises SpoolUnusable."""
        return number_of(self._program) if self._program.role.kind == "worker" else 0

    def mule_id(self) -> int:
        """The number of a mule, from 1; 0 elsewhere."""
        return self._program.role.number if self._program.role.kind == "mule" else 0

    def i_am_the_spooler(self) -> bool | None:
        """True in a spooler, None elsewhere."""
        return True if self._program.role.kind == "spooler" else None

    # --- what it does ----------------------------------------------------------------------------------------

    def log(self, text: str) -> bool:
        """Write a line to the log."""
        if not isinstance(text, str) and not (isinstance(text, bytes) and not self._program.strict):
            raise TypeError(f"log() argument 1 must be str, not {type(text).__name__}")
        logger.info("%s", _text(text))
        return True

    def logsize(self) -> int:
        """0: the log is no file of ours."""
        return 0

    def alarm(self, name: str, text: str) -> None:
        """Write a warning to the log: there are no other alarms."""
        logger.warning("alarm %s: %s", _text(name), _text(text))

    def mem(self) -> tuple[int, int]:
        """The memory of this process in bytes: what it uses, and its address space; 0 where that cannot be told."""
        try:
            with open("/proc/self/statm", "rb") as file:
                size, resident = file.read().split()[:2]
        except OSError:
            return 0, 0
        page = os.sysconf("SC_PAGESIZE")
        return int(resident) * page, int(size) * page

    def micros(self) -> int:
        """The clock, in microseconds."""
        return time.time_ns() // 1000

    def setprocname(self, name: str) -> None:
        """What `ps` shows of this process."""
        from setproctitle import setproctitle  # few programs use it

        setproctitle(str(_text(name)))

    def set_user_harakiri(self, seconds: int) -> None:
        """Stop the task that runs now unless it ends within so many seconds; 0: do not. Outside of a task: nothing.

        What does not stop ends the worker's process, as in uWSGI, and is counted as a failure.
        """
        try:
            job = current_job()
        except LookupError:
            logger.warning("uwsgi.set_user_harakiri: no task runs here, so nothing is stopped")
            return
        with shown_loop():
            job.set_harakiri(float(seconds) or None)

    # --- what is of the web ----------------------------------------------------------------------------------

    def ready(self) -> None:
        """Nothing: this is for processes that serve requests, which aspool has none of. So are all below."""

    def accepting(self, accepting: bool = True) -> None:
        """Nothing."""

    def disconnect(self) -> None:
        """Nothing."""

    def total_requests(self) -> int:
        """0."""
        return 0

    def request_id(self) -> int:
        """0."""
        return 0

    def listen_queue(self, number: int = 0) -> int:  # noqa: ARG002 - as there
        """0."""
        return 0


def _magic_table(hostname: bytes, started_on: int) -> Mapping[bytes, bytes]:
    """The placeholders of configurations (uwsgi_setup): %v is the directory, %h the machine …"""
    uid, gid = os.getuid(), os.getgid()
    try:
        user, group = pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
    except KeyError:  # a container may know no names
        user, group = str(uid), str(gid)
    return {
        b"%": b"%", b"(": b"%(", b"[": b"\x1b", b"V": Information.version, b"h": hostname,
        b"v": os.fsencode(os.getcwd()), b"k": b"%d" % (os.cpu_count() or 1),
        b"u": b"%d" % uid, b"g": b"%d" % gid, b"U": user.encode(), b"G": group.encode(),
        b"t": b"%d" % started_on, b"T": b"%d" % (started_on * 1_000_000),
    }  # fmt: skip
