"""What `uwsgi.spooler` returns -> what becomes of the message (contract §2.3). Values only."""

from typing import Any

from ...outcomes import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, SpoolReturn

OK, RETRY, IGNORE = SPOOL_OK.value, SPOOL_RETRY.value, SPOOL_IGNORE.value  # as uWSGI numbers them
_C_INT, _C_LONG = 1 << 31, 1 << 63


class BadReturn(Exception):
    """A handler has returned what says nothing to the spool: a failure, which is counted."""


def answer(value: Any, *, strict: bool) -> SpoolReturn:
    """What a handler says. Raises BadReturn, unless strict: then it is what uwsgi_python_spooler makes of it."""
    if isinstance(value, SpoolReturn):
        return value
    if not isinstance(value, int):
        if strict:
            return SPOOL_RETRY
        raise BadReturn(f"it returned {_shown(value)} instead of uwsgi.SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE")
    if not -_C_INT <= value < _C_INT:
        if not strict:
            raise BadReturn(f"it returned {_shown(value)}, which is no int of C, as uwsgi.SPOOL_OK ({OK}) is")
        value = _wrapped(value)
    if value == IGNORE and not strict:  # there the next scan tries it again
        return SPOOL_IGNORE
    return SPOOL_OK if value == OK else SPOOL_RETRY


def _wrapped(value: int) -> int:
    """As a C long cast to int; one that is no long is the error value -1 (PyLong_AsLong)."""
    if not -_C_LONG <= value < _C_LONG:
        return RETRY
    return (value + _C_INT) % (2 * _C_INT) - _C_INT


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # somebody's __repr__, or a number with more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"
