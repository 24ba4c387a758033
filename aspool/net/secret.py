"""The secret that peers from other machines must know: read from its file, compared in constant time."""

import hmac
import os
import stat
from collections.abc import Mapping

from ..errors import CallError
from ..exchange import LONGEST_SECRET, checked_secret

KEYS = (b"ASPOOL_SECRET", b"aspool.secret")  # as a web server or a uwsgi peer says it


def read_secret(path: str) -> bytes:
    """The content of a file that is ours alone, without white space around it. Raises CallError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
        try:
            _check_owner(path, os.fstat(descriptor))
            content = os.read(descriptor, LONGEST_SECRET + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CallError(f"the secret file {path} cannot be read: {error.strerror}") from None
    return checked_secret(content, path)


def _check_owner(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CallError(f"the secret file {path} is no file")
    if found.st_uid != os.geteuid():
        raise CallError(f"the secret file {path} belongs to user {found.st_uid}, and must be ours: chown it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise CallError(f"the secret file {path} can be read by others: chmod 600 it")


def knows(variables: Mapping[bytes, bytes], secret: bytes) -> bool:
    """Whether somebody who sent these variables knows the secret."""
    given = next((variables[key] for key in KEYS if key in variables), b"")
    return bool(secret) and hmac.compare_digest(given.strip(), secret)


def without_secret(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The variables that may be stored, or told."""
    return {key: value for key, value in variables.items() if key not in KEYS}
