"""`aspool ls` and `aspool show`: looking at messages. Neither takes a lock nor changes anything."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from ..browsing import Details, Listed
from ..protocol import Board, Entry, KeepsScoreboards, Spool
from ..spools.directory.browse import ALL_STATES
from . import gauge, output, pausing
from .ending import Ending, ending_of, log_of, standing_of
from .failures import Failure
from .finding import complete_id, find_one, is_known, there
from .output import Column
from .places import app_argument, app_option, browsable, spool_option, spools_of

STYLES = {"running": "cyan", "retrying": "yellow", "unknown": "yellow", "done": "green", "cancelled": "yellow",
          "dead": "red", "corrupt": "red"}  # fmt: skip
SCREENFUL = 200  # messages on a terminal, if no --limit is given
COLUMNS = (
    Column("id", output.short_id),
    Column("state", styles=STYLES),
    Column("task"),
    Column("due", output.moment),
    Column("priority", right=True),
    Column("attempts", right=True),
    Column("crashes", right=True),
    Column("size", output.size, right=True),
    Column("reason"),
)
state_option = click.option("--state", "states", multiple=True, type=click.Choice(ALL_STATES),
                            help="only messages in this state; may be given several times")  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.command()
@app_argument
@spool_option
@state_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"at most N messages  [default: {SCREENFUL} on a terminal]",
)
@json_option
def ls(app: str | None, address: str | None, states: Sequence[str], limit: int | None, as_json: bool) -> None:
    """List the messages of a spool, in the order of work.

    In a pipe: one line each, with id, state, task, due moment, priority, attempts, crashes, size in bytes and reason
    between tabs, and "-" for nothing. With APP (module:attribute) its spools are listed.
    """
    records: list[dict[str, Any]] = []
    for spool in spools_of(app, address):
        most = SCREENFUL if limit is None and not as_json and output.on_terminal() else limit or None
        found = browsable(spool).browse(frozenset(states), most)
        if as_json:
            records += [record(spool, item) for item in found]
        else:
            _print_list(spool, found, is_cut=limit is None and len(found) == most)
            pausing.tell_paused(spool)
    if as_json:
        output.print_json(records)


def record(spool: Spool, item: Listed) -> dict[str, Any]:
    """A message as JSON has it."""
    return {"spool": spool.address, **asdict(item)}


def _print_list(spool: Spool, found: Sequence[Listed], is_cut: bool) -> None:
    if not found and output.on_terminal():
        click.echo(f"no such messages in {spool.address}")
        return
    rows = [
        (
            item.id,
            item.state,
            item.called,
            item.due,
            item.priority,
            item.attempt,
            item.crashes,
            item.size,
            item.reason,
        )
        for item in found
    ]
    output.print_table(spool.address, COLUMNS, rows)
    if is_cut:
        click.echo(f"these are the first {len(found)}; --limit 0 lists all", err=True)


@click.command()
@click.argument("id", shell_complete=complete_id)
@spool_option
@app_option
@state_option
@json_option
def show(id: str, address: str | None, app: str | None, states: Sequence[str], as_json: bool) -> None:
    """Show all of one message: what it calls, with which arguments, and why it is where it is.

    ID may be the beginning or the end of an id, or the name of a file in the spool. Of a message that has ended the
    kept result is shown, or why there is none; for that the whole id is needed.
    """
    spools = there(app, address)
    try:
        spool, found = find_one(spools, id, frozenset(states))
    except Failure:
        ended_in = next((spool for spool in spools if is_known(spool, id)), None)
        if states or ended_in is None:
            raise
        _show_end(ended_in, id, as_json=as_json)
        return
    details = browsable(spool).read(found)
    running = _run_of(spool, details.listed)
    if as_json:
        output.print_json(_details_record(spool, details, running))
    else:
        _print_details(spool, details, running)


def _show_end(spool: Spool, id: str, *, as_json: bool) -> None:
    """What is kept of a message that has gone."""
    import anyio

    state, ending = anyio.run(_end_of, spool, id)
    if as_json:
        kept = asdict(ending)
        output.print_json({"spool": spool.address, "id": id, "state": state, **kept, "result": ending.result})
        return
    result = None if ending.result is None else json.dumps(ending.result["value"], indent=_indent(), ensure_ascii=False)
    for key, value in (("id", id), ("state", state), ("result", result), ("reason", ending.reason),
                       ("traceback", ending.traceback), ("log", "\n".join(ending.log))):  # fmt: skip
        if value not in (None, ""):
            output.print_pair(key, value)


async def _end_of(spool: Spool, id: str) -> tuple[str, Ending]:
    return (await standing_of(spool, id)).state, await ending_of(spool, id)


def _indent() -> int | None:
    return 2 if output.on_terminal() else None


def _run_of(spool: Spool, item: Listed) -> tuple[Board, Entry] | None:
    """Who runs it, as the scoreboards say."""
    if item.state != "running" or not isinstance(spool, KeepsScoreboards):
        return None
    seats = ((board, entry) for board in spool.boards() for entry in board.entries)
    return next(((board, entry) for board, entry in seats if entry.id == item.id), None)


def _details_record(spool: Spool, details: Details, running: tuple[Board, Entry] | None) -> dict[str, Any]:
    return {
        **record(spool, details.listed),
        "arguments": _arguments(details),
        "variables": dict(details.variables),
        "body_size": details.body_size,
        "history": dict(details.history),
        "running": {"pid": running[0].pid, "host": running[0].host, **asdict(running[1])} if running else None,
    }


def _arguments(details: Details) -> Any:
    """The arguments as values; as text if they are no JSON, None for a raw message."""
    text = details.variables.get("aspool.args")
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _print_details(spool: Spool, details: Details, running: tuple[Board, Entry] | None) -> None:
    for key, value in _lines(spool, details, running):
        if value in (None, ""):
            continue
        output.print_pair(key, value)


def _lines(spool: Spool, details: Details, running: tuple[Board, Entry] | None) -> list[tuple[str, Any]]:
    item, history = details.listed, details.history
    lines: list[tuple[str, Any]] = [
        ("id", item.id), ("state", item.state), ("task", item.called), ("due", item.due),
        ("priority", item.priority), ("attempts", item.attempt), ("crashes", item.crashes),
        ("body", details.body_size), ("file", f"{spool.address}/{item.name}" if item.name else None),
    ]  # fmt: skip
    if running:
        board, entry = running
        lines += [
            ("worker", f"{board.pid} on {board.host}"),
            ("since", output.at(entry.since)),
            ("progress", gauge.words(entry.progress)),
        ]
    arguments = _arguments(details)
    if arguments is not None:
        lines.append(("arguments", json.dumps(arguments, indent=_indent(), ensure_ascii=False)))
    lines += [(f"variable {key}", value) for key, value in details.variables.items() if _is_told(key)]
    lines += [(key, history.get(key)) for key in ("spooled", "buried", "moved")]
    log = "\n".join(log_of(history))
    return [*lines, ("reason", item.reason), ("traceback", history.get("traceback")), ("log", log)]


def _is_told(key: str) -> bool:
    """Whether a variable says something that the listing does not."""
    return not key.startswith("aspool.") or key in ("aspool.options", "aspool.expires")
