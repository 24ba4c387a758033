"""Pickles: which messages may be unpickled. Whoever can choose what is unpickled runs any code that he likes.

Who unpickles asks `may_unpickle` before. Handlers of other people do not, and so `refusal` says what they never see.
"""

import os
import stat
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast
from weakref import WeakSet

from ...body import Body
from ...exchange import NET
from ...job import Job
from ..program import Program

F = TypeVar("F", bound=Callable[..., Any])

_BINARY = tuple(b"\x80%c" % protocol for protocol in range(2, 6))  # how pickles begin; the text of 0 and 1 has no mark
# What the packages unpickle, whatever it looks like: uwsgi_tasks; uwsgidecorators, mulefunc too; uwsgiconf.
_KNOWN = ((b"function_name", (b"args", b"kwargs", b"setup")), (b"ud_spool_func", (b"args", b"kwargs")))
_UWSGICONF = b"ucfg_"
_checking: WeakSet[FunctionType] = WeakSet()  # the functions themselves: a mark on them would be copied by wraps()
_ALLOW = (
    "if what handles it unpickles nothing of it, say so: aspool worker --uwsgi-network, or "
    "aspool.compat.install(spooler, network=True)"
)


def may_unpickle(job: Job[Any], body: Body, program: Program) -> str | None:
    """Why nothing of a message may be unpickled; None if it may be.

    It must have come into the spool by a file of our own user, in a directory into which nobody else can put one.
    """
    return _from_others(job, body) or _open_to_others(body, program)


def checks_pickles(function: F) -> F:
    """Mark a handler that asks `may_unpickle` itself before it unpickles anything: it gets every message."""
    _checking.add(cast("FunctionType", function))
    return function


def _checks(handler: object) -> bool:
    """Whether it is such a handler, and not something around one."""
    function = handler.__func__ if isinstance(handler, MethodType) else handler
    return isinstance(function, FunctionType) and function in _checking


def refusal(handler: object, job: Job[Any], body: Body, env: Mapping[str | bytes, bytes], program: Program) -> str:
    """Why a handler does not get a message; "" if it does.

    What strangers have written is not for handlers that do not ask: among the text of an old pickle and any other
    text nothing can tell. In our own files, in a spool that is open to others, only what is known as a pickle counts.
    """
    if _checks(handler):
        return ""
    stranger = _from_others(job, body)
    if stranger is not None and not program.network:
        return f"it was not given to uwsgi.spooler, which may unpickle it: {stranger}; {_ALLOW}"
    if (reason := stranger or _open_to_others(body, program)) is None or not _holds_pickles(env):
        return ""
    return f"it was not given to uwsgi.spooler, as there are pickles in it: {reason}"


def _from_others(job: Job[Any], body: Body) -> str | None:
    if job.origin == NET:
        return "it came over the network, and pickles from there are never read"
    try:
        owner = body.reader.owner() if body.is_stored else None
    except OSError as error:
        return f"nobody knows whose file it is ({error})"
    if owner is None or owner == os.geteuid():  # None: it has never left this process
        return None
    return f"its file belongs to the user {owner}, not to ours ({os.geteuid()}), and pickles of others are never read"


def _open_to_others(body: Body, program: Program) -> str | None:
    """Of the directory of its file, and of the spool that this is in; that which has no file is in none."""
    own = body.reader.directory if body.is_stored else ""
    spools = {spool.address for spool in program.spooler.spools.values() if f"{own}/".startswith(f"{spool.address}/")}
    return next(filter(None, map(is_open_to_others, sorted({own, *spools} - {""}))), None)


def is_open_to_others(directory: str) -> str | None:
    """Why what lies in a directory may be somebody else's; None if it is not."""
    try:
        mode = os.stat(directory).st_mode
    except OSError as error:
        return f"nobody knows who may write into its directory ({error})"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write into {directory}, and so choose what is unpickled: chmod go-w {directory}"
    return None


def _holds_pickles(env: Mapping[str | bytes, bytes]) -> bool:
    if any(mark in env and any(key in env for key in keys) for mark, keys in _KNOWN):
        return True
    return any(map(is_pickle, env.values())) or env.get(b"msg", b"").startswith(_UWSGICONF)


def is_pickle(data: bytes) -> bool:
    """Whether some bytes begin as a pickle of protocol 2 or later does; older ones look like any other text."""
    return data.startswith(_BINARY)
