"""Addresses of spools -> spools, by URL scheme; every engine registers in the entry-point group `aspool.spools`."""

import os
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from .errors import UnknownSpool
from .protocol import Spool

Address = str | os.PathLike[str] | Spool
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")


def spool_at(address: Address) -> Spool:
    """The spool of an address: a path, a URL, or a spool that somebody made. Opens nothing.

    A relative path is resolved now. Raises UnknownSpool when no installed engine knows the scheme.
    """
    if not isinstance(address, str | os.PathLike):
        return address
    text = os.fspath(address)
    match = _SCHEME.match(text)
    if match is None:
        return _engine("file")(os.path.abspath(text))
    return _engine(match[1])(text)


def _engine(scheme: str) -> Callable[[str], Spool]:
    for entry in entry_points(group="aspool.spools", name=scheme):
        return cast("Callable[[str], Spool]", entry.load())
    known = ", ".join(sorted(entry_points(group="aspool.spools").names)) or "none: is aspool installed?"
    raise UnknownSpool(f"no spool engine is installed for {scheme}: addresses (installed: {known})")
