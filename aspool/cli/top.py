"""`aspool top`: workers, running jobs, counts and rates, live on a terminal; once, or in a pipe, as lines or JSON."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import click

from ..protocol import Spool
from . import output, stats
from .finding import there
from .gathering import Gathering, View
from .looking import json_option
from .parameters import seconds
from .places import app_argument, spool_option

if TYPE_CHECKING:
    from .live import Live

QUICKEST = 0.1  # seconds


@click.command()
@app_argument
@spool_option
@click.option("--interval", type=seconds, default=1.0, metavar="S", help="seconds between two pictures  [default: 1]")
@click.option("--once", is_flag=True, help="one picture, of --interval seconds, without taking the screen")
@json_option
def top(app: str | None, address: str | None, interval: float, once: bool, as_json: bool) -> None:
    """Show the workers, what they run and how far it is, the counts and the rates: live, until q or Ctrl-C.

    Messages are counted in the background, by their names, and the less often the longer it takes; "running" are
    the jobs that workers show, which is not what ends within a moment; "unknown" are messages whose task no worker
    knows, as far as they are among the first 1,000 due ones. The rates are of the last 10 seconds:
    "put" are messages that came into the spool, "ended" those that left it, done, dead, cancelled or removed.
    With APP (module:attribute) all its spools.

    In a pipe, with --once or with --json there is one picture. Its lines begin with "count", "put", "ended",
    "oldest", "paused", "worker" or "job", with tabs between what follows.
    """
    interval = max(QUICKEST, interval)
    spools = there(app, address)
    if once or as_json or not output.on_terminal():
        views = anyio.run(_once, spools, interval)
        if as_json:
            output.print_json([_record(view) for view in views])
        elif output.on_terminal():
            _print(views)
        else:
            _print_lines(views)
        return
    from .live import Live

    try:
        ended_by = anyio.run(_live, Live(interval), spools, interval)
    except KeyboardInterrupt:
        return
    if ended_by:
        click.get_current_context().exit(128 + ended_by)


async def _live(live: "Live", spools: Sequence[Spool], interval: float) -> int:
    async with _gathered(spools, interval) as gatherings:
        return await live.run(gatherings)


# --- one picture ------------------------------------------------------------------------------------------------


async def _once(spools: Sequence[Spool], interval: float) -> list[View]:
    async with _gathered(spools, interval) as gatherings:
        for gathering in gatherings:
            await gathering.counted.wait()
        await anyio.sleep(interval)
        return [await gathering.view() for gathering in gatherings]


@asynccontextmanager
async def _gathered(spools: Sequence[Spool], interval: float) -> AsyncIterator[list[Gathering]]:
    gatherings = [Gathering(spool, interval) for spool in spools]
    async with anyio.create_task_group() as group:
        for gathering in gatherings:
            group.start_soon(gathering.run)
        try:
            yield gatherings
        finally:
            for gathering in gatherings:
                gathering.stop()
            group.cancel_scope.cancel()


def _print(views: Sequence[View]) -> None:
    from rich.console import Console

    from .screen import picture

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(picture(views, (console.width, 10_000), ""))


def _print_lines(views: Sequence[View]) -> None:
    for view in views:
        counted = view.tally
        stats.print_counts(counted.counts if counted else {})
        if view.rates:
            output.print_plain(("put", f"{view.rates.put:.1f}"))
            output.print_plain(("ended", f"{view.rates.ended:.1f}"))
        if counted and counted.oldest is not None:
            output.print_plain(("oldest", output.at(counted.oldest)))
        stats.print_paused_and_workers(view.paused, view.boards)


def _record(view: View) -> dict[str, Any]:
    counted = view.tally
    return {
        **stats.record(view.address, counted.counts if counted else {}, view.boards, view.paused),
        "oldest_waiting": output.at(counted.oldest) if counted and counted.oldest is not None else None,
        "rates": view.rates._asdict() if view.rates else None,
        "error": view.error or None,
    }
