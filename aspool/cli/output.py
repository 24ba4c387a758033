"""Listings: a rich table on a terminal, tab-separated lines in a pipe, JSON. What is listed is others' affair."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..escape import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DAY = 86400.0
LONG_ID = 20  # characters
CUT = "…"
ANY_WIDTH = 10_000  # columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a listing. `told` words a value for a person; `styles` colours it by its value."""

    title: str
    told: Callable[[Any], str] = str
    right: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person reads what is printed (None: on the standard output)."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def print_json(value: Any) -> None:
    """Pure ASCII, so that it is safe on a terminal too."""
    click.echo(json.dumps(value, indent=2, default=_jsonable))


def _jsonable(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people, without columns that are empty; in a pipe all columns, and no heading."""
    if on_terminal():
        _print_rich(title, columns, list(rows))
        return
    for row in rows:
        print_plain(row)


def print_plain(row: Iterable[Any]) -> None:
    """One line of a pipe."""
    click.echo("\t".join(plain(value) for value in row))


def plain(value: Any) -> str:
    """A value in a pipe: "-" for none, ISO 8601 in UTC for a moment."""
    if value is None or value == "":
        return "-"
    return safe(value.isoformat() if isinstance(value, datetime) else value)


def print_pair(key: str, value: Any) -> None:
    """One thing of many that are told about something; on a terminal a text of several lines stands below its key."""
    if not on_terminal():
        print_plain((key, value))
        return
    label = click.style(f"{safe(key):<10}", bold=True)
    if isinstance(value, datetime):
        click.echo(f"{label} {value.astimezone():%Y-%m-%d %H:%M:%S %z} ({moment(value)})")
    elif "\n" in str(value):
        click.echo("\n  ".join([label.rstrip(), *(safe(line) for line in str(value).rstrip().split("\n"))]))
    else:
        click.echo(f"{label} {safe(value)}")


def _print_rich(title: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = [at for at in range(len(columns)) if any(row[at] not in (None, "") for row in rows)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at in shown:
        table.add_column(columns[at].title, justify="right" if columns[at].right else "left", no_wrap=at == shown[0])
    for row in rows:
        table.add_row(*(Text(*_cell(columns[at], row[at])) for at in shown))
    click.secho(safe(title), bold=True)  # not the table's own, which would be broken to its width
    _print_fitting(table)


def _cell(column: Column, value: Any) -> tuple[str, str]:
    if value is None or value == "":
        return "", ""
    return safe(column.told(value)), column.styles.get(str(value), "")


def _print_fitting(table: "Table") -> None:
    """With less air between the columns, where the terminal is narrow; only then are cells broken."""
    console = _console()
    if console.measure(table, options=console.options.update(max_width=ANY_WIDTH)).maximum > console.width:
        table.padding = (0, 0)
    console.print(table)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


# --- values as people read them ---------------------------------------------------------------------------------


def moment(value: datetime) -> str:
    """Near moments by their distance, others by the clock here."""
    distance = value.timestamp() - time.time()
    if abs(distance) > DAY:
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return f"in {duration(distance)}" if distance > 0 else f"{duration(-distance)} ago"


def duration(seconds: float, *, tenths: bool = True) -> str:
    """Two digits or three, and a unit. `tenths`: of seconds, where there are few."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if tenths and seconds < 10 else f"{seconds:.0f} s"


def size(count: int) -> str:
    """Bytes with a unit."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def short_id(id: str) -> str:
    """Of an id that aspool made, the end that tells it from others; of a long one, beginning and end with … between.

    Every verb takes that for the whole.
    """
    made_here = len(id) == 22 and all(char in "0123456789abcdef" for char in id)
    if made_here:
        return id[-8:]
    return shortened(id, LONG_ID)


def shortened(text: str, most: int) -> str:
    """With … in the middle, if it has more characters than that."""
    return text if len(text) <= most else f"{text[: most // 2]}{CUT}{text[1 - (most + 1) // 2 :]}"


def count(number: int, what: str) -> str:
    """1 message, 2 messages."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def at(timestamp: float) -> datetime:
    """A UNIX timestamp as an aware datetime; what is none, as a forged file may have it, as 1970."""
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
