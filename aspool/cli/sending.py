"""`aspool send` and `aspool spool`: writing messages from the command line."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import click

from ..addresses import spool_at
from ..body import Body
from ..moments import Moment
from ..spooler import Spooler
from ..ticket import Ticket
from .app import load_spooler
from .escape import safe
from .failures import Misuse
from .parameters import moment, seconds
from .places import address_or_default, spool_option

Command = Callable[..., Any]


def call_options(command: Command) -> Command:
    """The options that every message can have."""
    options = (
        click.option("--at", type=moment, metavar="T", help="run it then: ISO 8601 with a zone, or a UNIX timestamp"),
        click.option("--in", "delay", type=seconds, metavar="S", help="run it in so many seconds (or 90m, 12h, 7d)"),
        click.option("--priority", type=int, metavar="N", help="the smaller the sooner; none comes after all numbers"),
        click.option("--id", metavar="ID", help="while a message with this id waits or runs, no second one is written"),
        click.option("--expires", type=moment, metavar="T", help="bury it instead of running it after that moment"),
        click.option("--body", metavar="FILE", help="the file that travels with it; - is the standard input"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("app")
@click.argument("task")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "whole", metavar="OBJECT", help="all arguments as one JSON object, instead of KEY=VALUE")
@call_options
@click.option("--spool", metavar="NAME", help="another spool of APP, or an address")
def send(app: str, task: str, words: Sequence[str], whole: str | None, **options: Any) -> None:
    """Spool a call of TASK, a task of APP (module:attribute), and print the id of the message.

    TASK may be the last part of a name, as send_mail for app.send_mail. A VALUE is taken as the task's type hint says:
    as a text where the parameter takes one, else as JSON; where there is no hint, as JSON if it is any.

    \b
    aspool send app send_mail to=a@b.c count=3 'tags=["new", "vip"]' --in 10m
    """
    from .typed import arguments_of, with_body

    spooler = load_spooler(app)
    found = spooler.tasks[_task_name(spooler, app, task)]
    body = _body(options.pop("body"))
    args, kwargs = with_body(found, arguments_of(found, words, whole), body)
    using = found.using(at=_at(options.pop("at"), options.pop("delay")), **options)
    _print_ticket(using.spool_sync(*args, **kwargs))


def _task_name(spooler: Spooler, app: str, text: str) -> str:
    if text in spooler.tasks:
        return text
    found = [name for name in spooler.tasks if name.endswith(f".{text}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise Misuse(f"several tasks of {app} end with {text}: {', '.join(found)}; write more of the name")
    known = f"it has {', '.join(sorted(spooler.tasks))}" if spooler.tasks else "it has no tasks at all"
    raise Misuse(f"{app} has no task {text}; {known}")


@click.command()
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@spool_option
@call_options
def spool(words: Sequence[str], address: str | None, **options: Any) -> None:
    """Spool a raw message, as uwsgi.spool does, and print its id.

    The keys at, priority and body mean what they mean in uWSGI; an option beside them wins.
    """
    from .typed import pairs_of

    pairs = pairs_of(words)
    if not pairs:
        raise Misuse("a raw message needs at least one KEY=VALUE")
    spooler = Spooler(spool_at(address_or_default(address)))
    at, body = _at(options.pop("at"), options.pop("delay")), _body(options.pop("body"))
    _print_ticket(spooler.spool_sync(pairs, at=at, body=body, **options))


def _at(at: datetime | float | None, delay: float | None) -> Moment | None:
    if at is not None and delay is not None:
        raise Misuse("give --at or --in, not both")
    return at if delay is None else timedelta(seconds=delay)


def _body(name: str | None) -> Body | None:
    """Opened later, when it is written: it is streamed."""
    if name is None:
        return None
    if name == "-":
        return Body(cast("Any", sys.stdin.buffer))
    if not Path(name).is_file():
        raise Misuse(f"--body {name}: there is no such file")
    return Body(Path(name))


def _print_ticket(ticket: Ticket[Any]) -> None:
    click.echo(safe(ticket.id))
    if ticket.duplicate:
        click.echo("a message with this id waits or runs already, so no second one was written", err=True)
