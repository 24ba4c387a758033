"""What may stand behind an option: durations and moments. Each function is a click type."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click

from ..moments import Moment
from .failures import Misuse

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)", re.ASCII)


class NoDuration(ValueError):
    """A text is no duration; the message says what is one."""


def seconds_of(text: str) -> float:
    """The seconds of a text. Raises NoDuration."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise NoDuration(f"{text!r} is no duration: give seconds, or a number with s, m, h or d, as 90 or 2h")
    return float(match[1]) * _UNITS[match[2]]


def seconds(value: str | float) -> float:
    """Seconds; a number may have s, m, h or d behind it."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return seconds_of(value)
    except NoDuration as error:
        raise click.BadParameter(str(error)) from None


def moment(value: str | float | datetime) -> datetime | float:
    """An ISO 8601 date and time with a zone, or a UNIX timestamp."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no moment: give ISO 8601 with a zone, as 2031-05-01T08:00+02:00, or a UNIX timestamp"
        ) from None
    if found.tzinfo is None:
        raise click.BadParameter(f"{value!r} has no zone: write {value}Z for UTC, or an offset as in {value}+02:00")
    return found


def moment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--at and --in, of which `at_or_in` makes a moment."""
    at = click.option("--at", type=moment, metavar="T", help="run it then: ISO 8601 with a zone, or a UNIX timestamp")
    delay = click.option("--in", "delay", type=seconds, metavar="S", help="run it in so many seconds (or 90m, 12h, 7d)")
    return at(delay(command))


def at_or_in(at: datetime | float | None, delay: float | None) -> Moment | None:
    """The moment that the two options say. Raises Misuse when both are given."""
    if at is not None and delay is not None:
        raise Misuse("give --at or --in, not both")
    return at if delay is None else timedelta(seconds=delay)
