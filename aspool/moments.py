"""Moments as callers give them -> UNIX timestamps."""

import math
from datetime import datetime, timedelta

from . import clock
from .errors import MomentRefused

Moment = datetime | timedelta | float | int
LATEST = 9_999_999_999.0  # seconds: the year 2286; in microseconds it has the 16 digits of a file name


def timestamp(moment: Moment, what: str = "at") -> float:
    """The UNIX timestamp of an aware datetime, of a timedelta from now, or of a timestamp.

    Raises MomentRefused for a naive datetime, and for what is no moment or lies after the year 2286.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None or moment.utcoffset() is None:
            raise MomentRefused(
                f"{what}={moment!r} is a naive datetime: give it a zone, as in datetime.now(timezone.utc)"
            )
        seconds = moment.timestamp()
    elif isinstance(moment, timedelta):
        seconds = clock.now() + moment.total_seconds()
    elif isinstance(moment, int | float) and not isinstance(moment, bool):
        seconds = float(moment) if abs(moment) <= LATEST else math.inf  # a huge int is no float
    else:
        raise MomentRefused(f"{what}={moment!r} is no moment: give an aware datetime, a timedelta or a UNIX timestamp")
    if not math.isfinite(seconds) or seconds > LATEST:
        raise MomentRefused(f"{what}={moment!r} is out of range: the latest moment is the year 2286")
    return max(0.0, seconds)
