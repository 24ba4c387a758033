"""`aspool stats`: how many messages there are, which workers live and what they run now."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from ..protocol import KeepsScoreboards, Spool
from ..worker.scoreboard import Board, boards
from . import output
from .escape import safe
from .looking import STYLES, json_option, progress
from .output import Column
from .places import app_argument, browsable, spool_option, spools_of

COUNTS = (Column("state", styles=STYLES), Column("messages", lambda number: f"{number:,}", right=True))
WORKERS = (Column("worker"), Column("host"), Column("since", output.moment), Column("runs now", right=True),
           Column("places", right=True))  # fmt: skip
JOBS = (Column("id", output.short_id), Column("task"), Column("attempt", right=True), Column("since", output.moment),
        Column("progress"), Column("worker"))  # fmt: skip


@click.command()
@app_argument
@spool_option
@json_option
def stats(app: str | None, address: str | None, as_json: bool) -> None:
    """Count the messages of a spool by state, and show the workers and what they run.

    In a pipe: lines that begin with "count", "worker" or "job", with tabs between what follows. With APP
    (module:attribute) all its spools.
    """
    records = []
    for spool in spools_of(app, address):
        counts, living = browsable(spool).counts(), _living(spool)
        if as_json:
            records.append(_record(spool, counts, living))
        elif output.on_terminal():
            _print_tables(spool, counts, living)
        else:
            _print_lines(counts, living)
    if as_json:
        output.print_json(records)


def _living(spool: Spool) -> list[Board]:
    return boards(spool.scoreboards) if isinstance(spool, KeepsScoreboards) else []


def _record(spool: Spool, counts: Mapping[str, int], living: list[Board]) -> dict[str, Any]:
    return {
        "spool": spool.address,
        "counts": dict(counts),
        "workers": [_board_record(board) for board in living],
    }


def _board_record(board: Board) -> dict[str, Any]:
    record = asdict(board)
    entries = record.pop("entries")
    running = [{**entry, "since": output.at(entry["since"])} for entry in entries]
    return {**record, "since": output.at(board.since), "running": running}


def _worker_rows(living: list[Board]) -> list[tuple[Any, ...]]:
    return [(board.pid, board.host, output.at(board.since), len(board.entries), board.slots) for board in living]


def _job_rows(living: list[Board]) -> list[tuple[Any, ...]]:
    return [
        (entry.id, entry.task, entry.attempt, output.at(entry.since), progress(entry), board.pid)
        for board in living
        for entry in board.entries
    ]


def _print_lines(counts: Mapping[str, int], living: list[Board]) -> None:
    for state, number in counts.items():
        output.print_plain(("count", state, number))
    for row in _worker_rows(living):
        output.print_plain(("worker", *row))
    for row in _job_rows(living):
        output.print_plain(("job", *row))


def _print_tables(spool: Spool, counts: Mapping[str, int], living: list[Board]) -> None:
    filled = [(state, number) for state, number in counts.items() if number]
    if filled:
        output.print_table(spool.address, COUNTS, filled)
    else:
        click.echo(f"{safe(spool.address)} is empty\n")
    if not living:
        click.echo("no worker lives here")
        return
    output.print_table(output.count(len(living), "worker"), WORKERS, _worker_rows(living))
    if jobs := _job_rows(living):
        output.print_table("running now", JOBS, jobs)
