"""Mules of the module `uwsgi`: messages to them, and what a mule's program asks (contract §4.3).

A mule is a process that `aspool run --mule` runs, or, while there is none, a job of aspool: see mule_jobs.py.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import choice
from typing import Any

from . import mule_jobs
from .blocking import anywhere
from .program import Program
from .signals.registry import registry_of
from .signals.signals import run_raised
from .signals.waiting import until

LARGEST = 65_536  # bytes: uWSGI's mule-msg-size; here messages may be larger
NO_MULE = "no mule configured"
logger = logging.getLogger("aspool.uwsgi")


class Mules:
    """mule_msg, farm_msg and what receives them."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._waiting = registry_of(program).waiting
        if program.mules:
            mule_jobs.make_tasks(program)

    # --- sending ---------------------------------------------------------------------------------------------

    def mule_msg(self, message: str | bytes, mule: Any = 0, /) -> bool:
        """Give a message to a mule, by its number (0: any), or to a farm, by its name. False: there is no such mule.

        Raises ValueError when there is no mule at all, or no such farm; TypeError; NotSpooled, SpoolUnusable.
        """
        data = _bytes(message)
        if not self._program.mules:
            raise ValueError(NO_MULE)
        if isinstance(mule, bytes) or (isinstance(mule, str) and not self._program.strict):
            farm = mule if isinstance(mule, str) else mule.decode(errors="surrogateescape")
            if farm not in self._program.farms:
                raise ValueError("unknown farm")
            self._send(data, self._program.farms[farm], farm=farm)
            return True
        if not isinstance(mule, int):
            raise ValueError("invalid mule")
        if not 0 <= mule <= self._program.mules:
            return False
        self._send(data, (mule,) if mule else range(1, self._program.mules + 1), mule=mule)
        return True

    def farm_msg(self, farm: str, message: str | bytes, /) -> None:
        """Give a message to a mule of a farm; one that is unknown does nothing, as there. Raises as mule_msg."""
        if not isinstance(farm, str):
            raise TypeError(f"farm_msg() argument 1 must be str, not {type(farm).__name__}")
        data = _bytes(message)
        if farm in self._program.farms:
            self._send(data, self._program.farms[farm], farm=farm)

    def _send(self, message: bytes, mules: Sequence[int], *, mule: int = 0, farm: str = "") -> None:
        if not self._waiting.send(message, mules, mule=mule, farm=farm):
            one = choice(mules) if farm else mule  # noqa: S311 - no secret
            mule_jobs.post(self._program, message, mule=one, farm=farm)

    # --- receiving -------------------------------------------------------------------------------------------

    def mule_get_msg(
        self, signals: bool = True, farms: bool = True, buffer_size: int = LARGEST, timeout: float = -1
    ) -> bytes | None:
        """The next message to this mule; it waits for one, `timeout` seconds if that is not negative, else for ever.

        Signals run their handlers meanwhile. A message is never cut, whatever the `buffer_size`.
        Raises ValueError in a process that is no mule.
        """
        del signals, buffer_size  # a mule that hears nothing else loses nothing by hearing signals
        self._check_mule("mule")
        own = self._farms() if farms else ()
        return anywhere(self._received, own, None if timeout < 0 else timeout)

    def farm_get_msg(self) -> bytes | None:
        """The next message to a farm of this mule. Raises ValueError in a process that is no mule."""
        self._check_mule("farm")
        return anywhere(self._received, self._farms(), None, False)

    def _check_mule(self, what: str) -> None:
        if self._program.role.kind != "mule":
            raise ValueError(f"you can receive {what} messages only in a mule !!!")

    def _received(self, farms: Sequence[str], timeout: float | None, own: bool = True) -> bytes | None:
        take = partial(self._waiting.take, self._program.role.number, farms, own=own)
        with self._waiting.ear_of_mule() as ear:
            for seconds in until(timeout):
                message = take()
                if message is not None:
                    return message
                raised = ear.wait(seconds)
                if raised is not None:
                    run_raised(self._program, raised)
        return take()

    # --- who this is -----------------------------------------------------------------------------------------

    def in_farm(self, name: str | None = None, /) -> bool | None:
        """True in a mule of that farm, or of any; else None."""
        farms = self._farms()
        return (bool(farms) if name is None else name in farms) or None

    def _farms(self) -> Sequence[str]:
        role = self._program.role
        if role.kind != "mule":
            return ()
        return [name for name, mules in self._program.farms.items() if role.number in mules]

    def install_mule_msg_hook(self, hook: Callable[[bytes], Any], /) -> None:
        """Let a function have the messages to mules (uWSGI 2.1); the same as setting `uwsgi.mule_msg_hook`."""
        vars(self._program.module)["mule_msg_hook"] = hook

    def mule_msg_recv_size(self) -> int:
        """How large a message may be there (uWSGI 2.1), in bytes; here it may be larger."""
        return LARGEST


def serve(program: Program) -> None:
    """Give each message to `uwsgi.mule_msg_hook`, for ever, as a mule does that has no program of its own.

    What that raises is logged. Returns at once if there is no hook. Raises SpoolUnusable, SpoolError.
    """
    mules = Mules(program)
    while (hook := program.hook("mule_msg_hook")) is not None:
        message = mules.mule_get_msg()
        try:
            hook(message)
        except Exception:
            logger.exception("uwsgi.mule_msg_hook failed")


def _bytes(message: object) -> bytes:
    if isinstance(message, str):
        return message.encode()
    if not isinstance(message, bytes):
        raise TypeError(f"a bytes-like object is required, not {type(message).__name__!r}")
    return message
