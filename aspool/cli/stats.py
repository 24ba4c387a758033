"""`aspool stats`: how many messages there are, which workers live and what they run now."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from ..escape import safe
from ..protocol import Board, KeepsScoreboards, Spool
from . import gauge, output, pausing
from .looking import STYLES, json_option
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
    """Count the messages of a spool by state, and show the workers, what they run, and what is paused.

    In a pipe: lines that begin with "count", "paused", "worker" or "job", with tabs between what follows. With APP
    (module:attribute) all its spools.
    """
    records = []
    for spool in spools_of(app, address):
        counts, living, paused = browsable(spool).counts(), _living(spool), pausing.paused_in(spool)
        if as_json:
            records.append(record(spool.address, counts, living, paused))
        elif output.on_terminal():
            _print_tables(spool, counts, living)
            pausing.tell_paused(spool)
        else:
            print_counts(counts)
            print_paused_and_workers(paused, living)
    if as_json:
        output.print_json(records)


def _living(spool: Spool) -> list[Board]:
    return list(spool.boards()) if isinstance(spool, KeepsScoreboards) else []


def record(
    address: str, counts: Mapping[str, int], living: Sequence[Board], paused: frozenset[str | None]
) -> dict[str, Any]:
    """A spool as JSON has it."""
    return {
        "spool": address,
        "counts": dict(counts),
        "paused": {"spool": None in paused, "tasks": sorted(name for name in paused if name is not None)},
        "workers": [_board_record(board) for board in living],
    }


def _board_record(board: Board) -> dict[str, Any]:
    record = asdict(board)
    entries = record.pop("entries")
    running = [{**entry, "since": output.at(entry["since"])} for entry in entries]
    return {**record, "since": output.at(board.since), "running": running}


def _worker_rows(living: Sequence[Board]) -> list[tuple[Any, ...]]:
    return [(board.pid, board.host, output.at(board.since), len(board.entries), board.slots) for board in living]


def _job_rows(living: Sequence[Board]) -> list[tuple[Any, ...]]:
    return [
        (entry.id, entry.task, entry.attempt, output.at(entry.since), gauge.words(entry.progress), board.pid)
        for board in living
        for entry in board.entries
    ]


def print_counts(counts: Mapping[str, int]) -> None:
    """Lines of a pipe."""
    for state, number in counts.items():
        output.print_plain(("count", state, number))


def print_paused_and_workers(paused: frozenset[str | None], living: Sequence[Board]) -> None:
    """Lines of a pipe."""
    for what in pausing.words(paused):
        output.print_plain(("paused", what))
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
