"""`aspool signal`: raising a signal in a spool."""

import click

from ..application import load_spooler
from ..errors import ScheduleRefused
from ..escape import safe
from ..scheduled import ScheduledTask
from ..schedules import Signal
from ..signals import raise_signal
from . import output
from .failures import Failure
from .places import app_option, spool_option
from .timetable import Known, timetables


@click.command()
@click.argument("name")
@spool_option
@app_option
def signal(name: str, address: str | None, app: str | None) -> None:
    """Raise the signal NAME: a worker runs each of its handlers, or all workers do, as `@spooler.signal` says.

    The handlers are those that a worker has made known to the spool; with --app also those in the code of APP. Exit
    code 1 if there is none that hears it.
    """
    import anyio

    Signal(name).check()
    tables = timetables(app, address)
    handlers = [known for table in tables for known in table.schedules if known.record.trigger == Signal(name)]
    spools = [table.spool for table in tables if table.is_made or any(one.spool is table.spool for one in handlers)]
    tasks = [] if app is None else list(load_spooler(app).tasks.values())
    told = sum(not _is_deaf(known) for known in handlers)
    try:
        anyio.run(raise_signal, name, spools, [task for task in tasks if isinstance(task, ScheduledTask)])
    except ScheduleRefused as error:
        if told or not handlers:
            raise Failure(str(error)) from None
    if told:
        are = "was" if told == 1 else "were"
        click.echo(f"the signal {safe(name)} is raised: {output.count(told, 'handler')} {are} told")
    for known in handlers:
        _tell_odd(known)
    if not told:
        raise Failure(f"nobody hears the signal {name}")


def _is_deaf(known: Known) -> bool:
    """Whether a raise is lost on it."""
    return known.record.state != "on" or (known.is_for_workers and not known.is_served)


def _tell_odd(known: Known) -> None:
    """Say on stderr why a handler does not run, or not now."""
    if known.record.state != "on":
        click.echo(f"{safe(known.name)} is {known.state}: it does not run", err=True)
    elif not known.is_served:
        name = safe(known.name)
        what = f"nobody runs {name}" if known.is_for_workers else f"{name} waits for one"
        click.echo(f"{safe(known.nobody)}: {what}", err=True)
