"""How far a job is: in words, as a bar, and how long it may still take. What is shown here stands on one line."""

import math
from typing import TYPE_CHECKING

from ..escape import safe
from ..protocol import Progress
from . import output

if TYPE_CHECKING:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

WIDE = 100  # columns of a terminal from which on a bar is longer


def words(progress: Progress) -> str:
    """9 of 20 (45 %) and what the job says itself."""
    if progress.fraction is None:
        return progress.text
    return f"{amount(progress)} ({100 * progress.fraction:.0f} %) {progress.text}".rstrip()


def amount(progress: Progress) -> str:
    """9 of 20; only 9 where no total is known, and nothing where nothing was told."""
    if progress.fraction is not None:
        return f"{_number(progress.done)} of {_number(progress.total or 0)}"
    return _number(progress.done) if progress.done else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e12 else f"{value:.4g}"


def remaining(progress: Progress | None, elapsed: float | None) -> float | None:
    """Seconds until the end, if it goes on as it did since it began; None where nobody can tell."""
    fraction = None if progress is None else progress.fraction
    if not fraction or not elapsed or elapsed < 0:
        return None
    left = elapsed * (1 - fraction) / fraction
    return left if math.isfinite(left) else None


def times(progress: Progress | None, elapsed: float | None) -> str:
    """12 s, 15 s left."""
    if elapsed is None:
        return ""
    left = remaining(progress, elapsed)
    told = output.duration(max(0.0, elapsed), tenths=False)
    return told if left is None else f"{told}, {output.duration(left, tenths=False)} left"


def bar(progress: Progress | None, width: int, *, pulse: bool = False) -> "ProgressBar | Text":
    """A bar where a total is known. `pulse`: one that only moves where none is."""
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    fraction = None if progress is None else progress.fraction
    if fraction is None and not pulse:
        return Text("")
    return ProgressBar(
        total=1.0, completed=fraction or 0.0, width=bar_width(width), pulse=fraction is None,
        complete_style="cyan", finished_style="green", pulse_style="cyan",
    )  # fmt: skip


def bar_width(width: int) -> int:
    """For a terminal of so many columns."""
    return 24 if width >= WIDE else 12


def line(text: object, style: str = "") -> "Text":
    """Foreign text as one line that is cut where its column ends."""
    from rich.text import Text

    return Text(safe(text), style, no_wrap=True, overflow="ellipsis")


def task_name(name: str, width: int) -> str:
    """The name of a task, of which the last part must do on a narrow terminal."""
    return name if width >= WIDE else name.rpartition(".")[2]


def grid(width: int) -> "Table":
    """The columns for jobs on a terminal: fixed ones, task, bar, amount, times, and what the job says."""
    from rich.table import Table

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, min_width=9)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=40 if width >= WIDE else 16)
    table.add_column(no_wrap=True, min_width=bar_width(width))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    return table
