"""Addresses of spools -> spools, by URL scheme; every engine registers in the entry-point group `aspool.spools`."""

import os
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from inspect import signature
from typing import cast

from .errors import CallError, UnknownSpool
from .protocol import Spool

Address = str | os.PathLike[str] | Spool
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")
GROUP = "aspool.spools"  # of entry points
_SOCKET = re.compile(r"(\[[0-9a-f:.]+\]|[^/:]+):\d{1,5}")  # HOST:PORT


def is_path(address: str) -> bool:
    """Whether an address is a path, and not a URL."""
    return _SCHEME.match(address) is None


def spool_at(address: Address, **options: bool) -> Spool:
    """The spool of an address: a path, a URL, or a spool that somebody made. Opens nothing.

    A relative path is resolved now. `options` are the engine's, as `external=True` and `ordered=True`.
    Raises UnknownSpool when no installed engine knows the scheme, CallError for options that it does not have.
    """
    if not isinstance(address, str | os.PathLike):
        if options:
            raise CallError(f"{address.address} is made already: give its options where it is made")
        return address
    text = os.fspath(address)
    match = _SCHEME.match(text)
    if _SOCKET.fullmatch(text) and (match is None or not entry_points(group=GROUP, name=match[1])):
        raise UnknownSpool(f"{text} is no path: a uWSGI or an aspool that listens there is uwsgi://{text}")
    if match is None:
        return _engine("file")(os.path.abspath(text), **options)
    engine = _engine(match[1])
    try:
        signature(engine).bind(text, **options)
    except TypeError:
        raise CallError(f"spools at {match[1]}: addresses have no option {' and '.join(options)}") from None
    return engine(text, **options)


def _engine(scheme: str) -> Callable[..., Spool]:
    for entry in entry_points(group=GROUP, name=scheme):
        return cast("Callable[..., Spool]", entry.load())
    known = ", ".join(sorted(entry_points(group=GROUP).names)) or "none: is aspool installed?"
    raise UnknownSpool(f"no spool engine is installed for {scheme}: addresses (installed: {known})")
