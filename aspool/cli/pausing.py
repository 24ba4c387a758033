"""`aspool pause` and `aspool resume`; and what is paused, for the verbs that look."""

from collections.abc import Sequence

import click

from ..errors import Unsupported
from ..protocol import Pauses, Spool
from .app import load_spooler, task_name
from .escape import safe
from .finding import there
from .places import app_option, spool_option

WHOLE = "the whole spool"
NOTHING: frozenset[str | None] = frozenset()
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
        anyio.run(_pausing(spool).pause, name)
        click.echo(f"{_what(name)} is paused in {safe(spool.address)}")


@click.command()
@task_argument
@spool_option
@app_option
def resume(task: str | None, address: str | None, app: str | None) -> None:
    """Take `aspool pause` back: for TASK, or for the spool. Tasks that are paused by themselves stay so."""
    import anyio

    name = _name(app, task)
    for spool in there(app, address):
        place, before = _pausing(spool), paused_in(spool)
        if name in before:
            anyio.run(place.resume, name)
        click.echo(f"{_what(name)} {'goes on' if name in before else 'was not paused'} in {safe(spool.address)}")
        tell_paused(spool)


def _name(app: str | None, task: str | None) -> str | None:
    """The full name; without an APP nobody can check it."""
    if task is None or app is None:
        if task is not None and "." not in task:
            click.echo(f"{safe(task)} is taken for a full name, as app.{safe(task)} is one: --app checks it", err=True)
        return task
    return task_name(load_spooler(app), app, task)


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
