"""What happens to followed messages, as bars on a terminal: what moves is below, what has ended stands above it."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from . import gauge, output
from .following import Followed
from .looking import STYLES

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text


class Bars:
    """A line for each message that is not over. `err`: on the standard error; `reasons`: why it ended as it did."""

    def __init__(self, *, err: bool = False, reasons: bool = True) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=sys.stderr if err else sys.stdout, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._moving: dict[str, Followed] = {}
        self._reasons = reasons

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.transient = not self._moving  # otherwise an empty line stays
        self.tick()
        self._live.stop()

    def tell(self, message: Followed) -> None:
        """The next picture shows it; what has ended is told for good."""
        if not message.is_over:
            self._moving[message.ticket.id] = message
            return
        self._moving.pop(message.ticket.id, None)
        self.tick()  # without its bar
        self._console.print(_end(message, message.ending.reason if self._reasons and message.ending else ""))

    def tick(self) -> None:
        """Draw."""
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> "Group":
        from rich.console import Group

        messages = sorted(self._moving.values(), key=_place)
        room = max(1, self._console.height - 1)
        if len(messages) <= room:
            return Group(self._table(messages))
        more = gauge.line(f"and {len(messages) - room + 1} more", "dim")
        return Group(self._table(messages[: room - 1]), more)

    def _table(self, messages: Sequence[Followed]) -> "Table":
        width = self._console.width
        table = gauge.grid(width)
        table.width = width - len("^C")  # which the terminal writes behind the last line
        for message in messages:
            update = message.update
            runs = update.state == "running"
            attempt = f" #{update.attempt}" if update.attempt > 1 else ""
            table.add_row(
                gauge.line(f"{update.state}{attempt}", STYLES.get(update.state, "")),
                gauge.line(output.short_id(message.ticket.id)),
                gauge.line(gauge.task_name(message.task, width)),
                gauge.bar(update.progress, width, pulse=runs),
                gauge.line(gauge.amount(update.progress) if update.progress else ""),
                gauge.line(gauge.times(update.progress, message.elapsed) if runs else ""),
                gauge.line(message.note, "yellow") if update.state == "waiting" else gauge.line(_text(message)),
            )
        return table


def _text(message: Followed) -> str:
    return message.update.progress.text if message.update.progress else ""


def _place(message: Followed) -> tuple[bool, str]:
    """What runs comes first: there may be more messages than lines."""
    return message.update.state != "running", message.ticket.id


def _end(message: Followed, reason: str) -> "Text":
    """How it ended: on one line, which may be as long as its reason is."""
    from rich.text import Text

    state = "ended" if message.update.state == "unknown" else message.update.state
    line = Text.assemble(
        (f"{state:<9}", STYLES.get(state, "")), " ", gauge.line(output.short_id(message.ticket.id)),
        " ", gauge.line(message.task),
    )  # fmt: skip
    if message.elapsed is not None:
        line.append(f" after {output.duration(message.elapsed)}", "dim")
    if reason:
        line.append_text(gauge.line(f": {reason}"))
    line.no_wrap, line.overflow = False, "fold"
    return line
