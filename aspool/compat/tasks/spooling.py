"""The functions of the module `uwsgi` that spool, and that look at the spools. What a call means is in `calls`."""

import os
from dataclasses import replace
from operator import index
from typing import Any

from ...addresses import is_path
from ...errors import AspoolError
from ...message import Message
from ...protocol import KeepsScoreboards, Spool, Stored
from ...spooler import DEFAULT
from ..blocking import anywhere, wait_for
from ..program import Program
from . import calls, files


class Spooling:
    """Of one Program. All functions work in any thread, also in that of an event loop."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._frequency = program.spooler.frequency
        self._addresses = {name: spool.address for name, spool in program.spooler.spools.items()}

    def spool(self, *args: Any, **keywords: Any) -> bytes:
        """Write a task down; the path of its file, or what names it in a spool that has none.

        Blocks until it is safe. Raises ValueError for whatever goes wrong.
        """
        strict = self._program.strict
        asked = calls.wanted(args, keywords, strict=strict)
        message = calls.message_of(asked, strict=strict)
        name = calls.spool_named(asked.variables.get(b"spooler", b""), self._addresses, strict=strict)
        if name is not None and name not in self._addresses:  # a remote one has others by its own names
            message = replace(message, raw={key: value for key, value in message.raw.items() if key != b"spooler"})
        try:
            spool = self._program.spooler.spool_of(name)
            stored = _put(spool, message)
        except (AspoolError, OSError) as error:
            raise calls.refusal(str(error), strict=strict) from error
        return os.fsencode(stored.path or f"{spool.address}/{stored.id}")

    def send_to_spooler(self, *args: Any, **keywords: Any) -> bytes:
        """As `spool`, under its older name."""
        return self.spool(*args, **keywords)

    def set_spooler_frequency(self, seconds: float) -> bool:
        """How often the spools are looked at, in seconds, by this process; 0 is as it was set up. Raises ValueError."""
        wanted = calls.frequency(index(seconds) if self._program.strict else float(seconds))  # type: ignore[arg-type]  # index raises TypeError
        self._program.spooler.frequency = self._frequency if wanted is None else wanted
        return True

    # --- looking ---------------------------------------------------------------------------------------------

    @property
    def spoolers(self) -> tuple[bytes, ...]:
        """The addresses of all spools, the default one first."""
        return tuple(map(os.fsencode, self._addresses.values()))

    def spooler_dir(self) -> bytes:
        """The directory of the spooler that this process is. Raises ValueError in any other process."""
        if self._program.role.kind != "spooler":
            raise ValueError("only a spooler has a directory: this process is none")
        return os.fsencode(self._addresses[DEFAULT])

    def spooler_jobs(self) -> list[bytes]:
        """The paths of the files that wait or run in the first spool, without those in its priority directories."""
        address = self._addresses[DEFAULT]
        return [os.fsencode(path) for path in files.tasks_in(address)] if is_path(address) else []

    def spooler_get_task(self, path: str) -> dict[str | bytes, bytes] | None:
        """What a handler gets of a task; None if it is gone, cut short, or runs (but for that which asks).

        A relative path may also be one below a spool. Nothing loses a lock by it, unlike there.
        """
        self._check_path(path)
        above = [address for address in self._addresses.values() if is_path(address)]
        return files.task_at(os.fsdecode(path), () if self._program.strict else above)

    def parsefile(self, path: str) -> dict[bytes, bytes] | None:
        """The variables of a file that begins with a uwsgi packet; None if it is none."""
        self._check_path(path)
        return files.variables_at(os.fsdecode(path))

    def _check_path(self, path: object) -> None:
        if not isinstance(path, str) and not (isinstance(path, bytes) and not self._program.strict):
            raise TypeError(f"argument 1 must be str, not {type(path).__name__}")

    def spooler_pid(self) -> int:
        """The process of the first spool; 0 if none works on it that is known here."""
        return self.spooler_pids()[0]

    def spooler_pids(self) -> list[int]:
        """The processes that work on the spools, one after another; 0 for a spool without one."""
        return [pid for spool in self._program.spooler.spools.values() for pid in _pids(spool)]


def _put(spool: Spool, message: Message) -> Stored:
    """Write it to a directory here; what is farther away may need an event loop of its own."""
    put = getattr(spool, "put_blocking", None)  # isinstance with a protocol would cost as much as the write
    if put is None:
        answer = wait_for(spool.put, [message])[0]
    else:
        answer = (put([message]) if is_path(spool.address) else anywhere(put, [message]))[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


def _pids(spool: Spool) -> list[int]:
    if spool.external or not isinstance(spool, KeepsScoreboards):
        return [0]
    try:
        return sorted(board.pid for board in spool.boards()) or [0]
    except (AspoolError, OSError):  # it is not there yet
        return [0]
