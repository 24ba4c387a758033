"""What may stand behind an option: durations and moments, as click types."""

import re
from datetime import datetime
from typing import Any

import click

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)", re.ASCII)


class Duration(click.ParamType):
    """Seconds as a float; a number may have s, m, h or d behind it."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click.ParamType."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is no duration: give seconds, or a number with s, m, h or d behind it, as 90 or 2h", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


class PointInTime(click.ParamType):
    """An ISO 8601 date and time with a zone, or a UNIX timestamp."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | float:
        """As click.ParamType."""
        if isinstance(value, datetime | float):
            return value
        try:
            return float(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment: give ISO 8601 with a zone, as 2031-05-01T08:00+02:00, or a UNIX timestamp",
                      param, ctx)  # fmt: skip
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no zone: write {value}Z for UTC, or an offset as in {value}+02:00", param, ctx)
        return moment


SECONDS = Duration()
MOMENT = PointInTime()
