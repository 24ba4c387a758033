"""`aspool pause` and `aspool resume`; and what is paused, for the verbs that look."""

from collections.abc import Sequence

import click

from ..application import load_spooler
from ..browsing import Browsable
from ..errors import Unsupported
from ..escape import safe
from ..protocol import KeepsScoreboards, Pauses, Spool
from . import output
from .failures import Misuse
from .finding import there
from .names import task_name
from .places import app_option, spool_option

WHOLE = "the whole spool"
NOTHING: frozenset[str | None] = frozenset()
LOOKED_AT = 1000  # messages, for the name of a task
NAMED = 3  # tasks
task_argument = click.argument("task", required=False)


@click.command()
@task_argument
@spool_option
@app_option
def pause(task: str | None, address: str | None, app: str | None) -> None:
    """Let no worker begin messages of TASK; without TASK, no messages of the spool at all. What runs goes on.

    It lasts until `aspool resume`, whatever is restarted meanwhile, and messages are still taken. TASK is the full
    name; with --app its last part will do, and all spools of APP are meant unless -d names one.
    """
    import anyio

    name = _name(app, task)
    for spool in there(app, address):
        place = _pausing(spool)
        if app is None and name is not None:
            _tell_unknown(spool, name)
        anyio.run(place.pause, name)
        click.echo(f"{_what(name)} is paused in {safe(spool.address)}")


@click.command()
@task_argument
@spool_option
@app_option
@click.option("--all", "everything", is_flag=True, help="the spool, and all tasks that are paused by themselves")
def resume(task: str | None, address: str | None, app: str | None, everything: bool) -> None:
    """Take `aspool pause` back: for TASK, or for the spool. Tasks that are paused by themselves stay so: see --all."""
    import anyio

    if everything and task is not None:
        raise Misuse("name a task or give --all, not both")
    name = _name(app, task)
    for spool in there(app, address):
        place, before = _pausing(spool), paused_in(spool)
        for each in before if everything else before & {name}:
            anyio.run(place.resume, each)
        click.echo(_resumed(name, before, paused_in(spool), safe(spool.address)))
        tell_paused(spool)


def _resumed(name: str | None, before: frozenset[str | None], now: frozenset[str | None], address: str) -> str:
    """What a `resume` has changed, and what it has not."""
    if name is not None:
        if name not in before:
            return f"{safe(name)} was not paused in {address}"
        return (
            f"{safe(name)} is no longer paused by itself, but all of {address} is"
            if None in now
            else (f"{safe(name)} goes on in {address}")
        )
    if before == now:
        return f"{address} was not paused as a whole" if now else f"nothing was paused in {address}"
    return f"everything{_but(now)} goes on in {address}"


def _but(paused: frozenset[str | None]) -> str:
    names = words(paused)
    if not names:
        return ""
    return f" but {safe(', '.join(names)) if len(names) <= NAMED else output.count(len(names), 'task')}"


def _name(app: str | None, task: str | None) -> str | None:
    """The full name; without an APP nobody can check it."""
    return task if task is None or app is None else task_name(load_spooler(app), app, task)


def _tell_unknown(spool: Spool, name: str) -> None:
    """Say so on stderr where nothing in a spool is of a task with this name: it may not be one."""
    if name in paused_in(spool) or name in _running(spool):
        return
    found = spool.browse(limit=LOOKED_AT) if isinstance(spool, Browsable) else []
    if not any(item.task == name for item in found):
        where = "no message here" if len(found) < LOOKED_AT else f"none of the first {LOOKED_AT:,} messages here"
        click.echo(
            f"{where} is of a task called {safe(name)} (yet): it is taken for the full name of one, as app.send_mail; "
            "--app checks the name",
            err=True,
        )


def _running(spool: Spool) -> set[str]:
    boards = spool.boards() if isinstance(spool, KeepsScoreboards) else []
    return {entry.task for board in boards for entry in board.entries}


def _what(task: str | None) -> str:
    return "everything" if task is None else safe(task)


def _pausing(spool: Spool) -> Pauses:
    if not isinstance(spool, Pauses):
        raise Unsupported(f"{spool.address} cannot be paused")
    return spool


def paused_in(spool: Spool) -> frozenset[str | None]:
    """The names of paused tasks, and None if the spool is; nothing where a spool cannot be paused."""
    import anyio

    return anyio.run(spool.paused) if isinstance(spool, Pauses) else NOTHING


def words(paused: frozenset[str | None]) -> Sequence[str]:
    """What is paused, in words, the spool first."""
    return [*([WHOLE] if None in paused else []), *sorted(name for name in paused if name is not None)]


def tell_paused(spool: Spool) -> None:
    """A line on stderr, if anything is paused: it is why messages do not move."""
    if paused := words(paused_in(spool)):
        click.echo(f"paused: {safe(', '.join(paused))}", err=True)
