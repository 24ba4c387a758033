"""One picture of `aspool top`, made to fit the terminal: what it shows is `gathering`'s affair."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..protocol import Board, Entry
from . import gauge, output, pausing
from .gathering import View
from .looking import STYLES

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

WORKERS = 4  # that are shown of each spool, while there are more lines of jobs than fit
Size = tuple[int, int]  # columns and lines


def picture(views: Sequence[View], size: Size, hint: str) -> "Group":
    """All spools, each with as many of its jobs as there are lines for."""
    from rich.console import Group

    width, height = size
    room = _divided(height - len(views), [_wanted(view) for view in views])
    parts: list[RenderableType] = [_title(hint, width)]
    for at, (view, lines) in enumerate(zip(views, room, strict=True)):
        parts += [""] if at and lines > 0 else []
        parts += _section(view, width, lines)
    return Group(*parts)


def _divided(lines: int, wanted: Sequence[int]) -> list[int]:
    """Lines for each: what it wants, and the same for those that want more than there is."""
    given = [0] * len(wanted)
    open_ones = list(range(len(wanted)))
    while open_ones and lines > 0:
        share = max(1, lines // len(open_ones))
        for at in list(open_ones):
            more = min(share, wanted[at] - given[at], lines)
            given[at] += more
            lines -= more
            if given[at] >= wanted[at]:
                open_ones.remove(at)
            if lines <= 0:
                break
    return given


def _wanted(view: View) -> int:
    jobs = sum(len(board.entries) for board in view.boards)
    return len(_head(view)) + 1 + (len(view.boards) + 1 if view.boards else 1) + (jobs + 2 if jobs else 0)


def _title(hint: str, width: int) -> "Text":
    from rich.text import Text

    told = f"aspool top  {time.strftime('%H:%M:%S')}  {hint}"
    return Text(told.ljust(width), "reverse", no_wrap=True, overflow="crop")


def _section(view: View, width: int, lines: int) -> "list[RenderableType]":
    """Head, workers and jobs of one spool, `lines` of them at most."""
    head: list[RenderableType] = list(_head(view))
    left = lines - len(head) - 1
    if left < 1:
        return head[: max(0, lines)]
    if not view.boards:
        return [*head, "", gauge.line("no worker lives here", "yellow")]
    entries = sorted(((board, entry) for board in view.boards for entry in board.entries), key=lambda one: one[1].since)
    most = len(view.boards) if len(view.boards) + 1 + len(entries) + 2 <= left else WORKERS
    workers = _workers(view.boards, max(0, min(most, left - 1)))
    left -= len(workers)
    jobs = _jobs(entries, width, left - 1) if entries and left > 2 else []
    return [*head, "", *workers, *([""] if jobs else []), *jobs]


def _head(view: View) -> "list[Text]":
    """What the spool is, its counts and its rates."""
    from rich.text import Text

    title = gauge.line(view.address, "bold")
    lines = [title, _counts(view)]
    told = Text(no_wrap=True, overflow="ellipsis")
    if view.rates:
        over = "over " if view.rates.lost else ""
        told.append(f"put {over}{_rate(view.rates.put)}/s   ended {over}{_rate(view.rates.ended)}/s   ")
    if view.tally and view.tally.oldest is not None:
        told.append(f"the oldest waits for {output.duration(max(0.0, time.time() - view.tally.oldest), tenths=False)}")
    lines.append(told)
    if view.paused:
        lines.append(gauge.line(f"paused: {', '.join(pausing.words(view.paused))}", "bold yellow"))
    if view.error:
        lines.append(gauge.line(view.error, "red"))
    return lines


def _counts(view: View) -> "Text":
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    if view.tally is None:
        return line.append("counting …", "dim")
    for state, number in view.tally.counts.items():
        if state == "unknown" and not number:  # a line of 80 characters has no room for it
            continue
        style = STYLES.get(state, "") if number else "dim"
        line.append(state, style or "default").append(f" {number:,}   ", "bold" if number else "dim")
    return line


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _workers(boards: Sequence[Board], rows: int) -> "list[RenderableType]":
    if rows <= 0:
        return []
    shown = boards if len(boards) <= rows else boards[: max(1, rows - 1)]
    host = max([10, *(len(board.host) for board in shown)])
    lines: list[RenderableType] = [gauge.line(f"{'worker':>9} {'host':<{host}} {'up':>8} {'jobs':>7}", "dim")]
    for board in shown:
        up = output.duration(max(0.0, time.time() - board.since), tenths=False)
        jobs = f"{len(board.entries)}/{board.slots}"
        lines.append(gauge.line(f"{board.pid:>9} {board.host:<{host}} {up:>8} {jobs:>7}"))
    if len(shown) < len(boards):
        jobs_there = sum(len(board.entries) for board in boards[len(shown) :])
        lines.append(gauge.line(f"{'':>9} and {len(boards) - len(shown)} more with {jobs_there} jobs", "dim"))
    return lines


def _jobs(entries: Sequence[tuple[Board, Entry]], width: int, rows: int) -> "list[RenderableType]":
    """A line for each, those that run for longest first."""
    from rich.text import Text

    shown = entries if len(entries) <= rows - 1 else entries[: max(0, rows - 2)]
    table = gauge.grid(width)
    table.add_row(*(Text(title, "dim") for title in ("id", "worker", "task", "progress", "", "runs for", "")))
    for board, entry in shown:
        tried = f" #{entry.attempt}" if entry.attempt > 1 else ""
        table.add_row(
            gauge.line(output.short_id(entry.id)),
            gauge.line(board.pid),
            gauge.line(f"{gauge.task_name(entry.task, width)}{tried}"),
            gauge.bar(entry.progress, width),
            gauge.line(gauge.amount(entry.progress)),
            gauge.line(gauge.times(entry.progress, time.time() - entry.since)),
            gauge.line(entry.text),
        )
    lines: list[RenderableType] = [table]
    if len(shown) < len(entries):
        lines.append(gauge.line(f"and {len(entries) - len(shown)} more", "dim"))
    return lines
