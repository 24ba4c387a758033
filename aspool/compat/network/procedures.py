"""The rpc functions of the module `uwsgi`: procedures of this process, called by name. Nobody else can call them."""

import logging
from collections.abc import Callable
from typing import Any

from ..program import Program

logger = logging.getLogger("aspool.uwsgi")


class Procedures:
    """Of one Program."""

    def __init__(self, program: Program) -> None:
        self._strict = program.strict
        self._known: dict[bytes, Callable[..., Any]] = {}

    def register_rpc(self, name: str, function: Callable[..., Any], count: int = 0) -> bool:  # noqa: ARG002 - as there
        """Let a function be called by a name. It gets bytes and returns bytes."""
        self._known[_text(name)] = function
        return True

    def rpc_list(self) -> tuple[bytes, ...]:
        """The names of all of them."""
        return tuple(self._known)

    def call(self, name: bytes | str, *args: bytes | str) -> bytes | None:
        """Call one; None when there is none of that name, it fails, or it returns nothing: the log says which."""
        if self._strict and not all(isinstance(one, bytes) for one in (name, *args)):
            raise ValueError("unable to call rpc function")
        function = self._known.get(_text(name))
        if function is None:
            logger.warning("no rpc function is called %r in this process", name)
            return None
        try:
            value = function(*map(_text, args))
        except Exception:
            logger.exception("the rpc function %r failed", name)
            return None
        if isinstance(value, bytes) or (isinstance(value, str) and not self._strict):
            return _text(value) or None
        logger.warning("the rpc function %r returned %r and not bytes", name, value)
        return None

    def rpc(self, address: bytes | str | None, name: bytes | str, *args: bytes | str) -> bytes | None:
        """Call one of this process. Raises NotImplementedError for any other address than none."""
        if address:
            raise NotImplementedError(
                f"uwsgi.rpc: aspool calls no function of {address!r}: spool a task there, spooler=b'HOST:PORT'"
            )
        return self.call(name, *args)


def _text(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
