"""File names <-> what they say. A name of ours tells when, which, how often tried, how often its worker died.

uwsgi_spoolfile_on_<due µs, 16 digits>_<id>_<attempt>_<crashes>
"""

import hashlib
import re
from typing import NamedTuple

PREFIX = "uwsgi_spoolfile_on_"  # the only thing uWSGI looks at
_DUE = len(PREFIX)
_DUE_END = _DUE + 16
# uWSGI's own form ends in seconds (10 digits) and microseconds, so the six digits for attempts keep the forms apart.
_OURS = re.compile(rf"{PREFIX}(\d{{16}})_([A-Za-z0-9_-][A-Za-z0-9._-]{{0,79}})_(\d{{1,6}})_(\d{{1,3}})", re.ASCII)
LARGEST_ATTEMPT = 999_999
LARGEST_CRASHES = 999


class FileName(NamedTuple):
    """What the name of a task file says; `due` in microseconds since 1970."""

    due: int
    id: str
    attempt: int = 0
    crashes: int = 0

    def __str__(self) -> str:
        return written(*self)


def written(due: int, id: str, attempt: int, crashes: int) -> str:
    """The name that says this."""
    if attempt > LARGEST_ATTEMPT or crashes > LARGEST_CRASHES:
        attempt, crashes = min(attempt, LARGEST_ATTEMPT), min(crashes, LARGEST_CRASHES)
    return f"{PREFIX}{due:016d}_{id}_{attempt}_{crashes}"


def microseconds(moment: float) -> int:
    """A UNIX timestamp as file names have it."""
    return round(moment * 1_000_000)


def parse(name: str) -> FileName | None:
    """What a name of ours says; None for any other name."""
    match = _OURS.fullmatch(name)
    if match is None:
        return None
    due, id, attempt, crashes = match.groups()
    return FileName(int(due), id, int(attempt), int(crashes))


def foreign(name: str, mtime: float) -> FileName:
    """What stands for a name in uWSGI's form: due is its mtime in whole seconds, the id is a hash of the name."""
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return FileName(int(mtime) * 1_000_000, f"u{digest}")


def glance(name: str) -> int | None:
    """The due moment that a name of ours begins with, in microseconds, without reading it whole; None for others."""
    digits = name[_DUE:_DUE_END]
    return int(digits) if name[_DUE_END : _DUE_END + 1] == "_" and digits.isdecimal() and digits.isascii() else None
