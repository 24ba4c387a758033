"""`aspool send` and `aspool spool`: writing messages from the command line."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click

from ..addresses import spool_at
from ..application import load_spooler
from ..body import Body
from ..escape import safe
from ..spooler import Spooler
from ..task import Task
from ..ticket import Ticket
from . import output
from .failures import Failure, Misuse
from .names import task_name
from .parameters import at_or_in, moment, moment_options, seconds
from .places import address_or_default, spool_option
from .watching import timeout_option, wait_for_end

Command = Callable[..., Any]


def call_options(command: Command) -> Command:
    """The options that every message can have."""
    options = (
        moment_options,
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
@click.option("--keep-result", type=seconds, metavar="S", help="keep the result, or the failure, for so many seconds")
@click.option("--spool", metavar="NAME", help="another spool of APP, or an address")
@click.option("--wait", is_flag=True, help="wait for the end, with a bar, and print the result as JSON if one is kept")
@timeout_option
def send(
    app: str, task: str, words: Sequence[str], whole: str | None, wait: bool, timeout: float | None, **options: Any
) -> None:
    """Spool a call of TASK, a task of APP (module:attribute), and print the id of the message.

    TASK may be the last part of a name, as send_mail for app.send_mail. A VALUE is taken as the task's type hint says:
    as a text where the parameter takes one, else as JSON; where there is no hint, as JSON if it is any.

    \b
    aspool send app send_mail to=a@b.c count=3 'tags=["new", "vip"]' --in 10m

    With --wait the id and what happens are told on stderr, as `aspool watch` does, and the standard output has only
    the result. Exit code 1, with the reason and the traceback, if the task is dead or cancelled, or --timeout is over.
    """
    from .typed import arguments_of, with_body

    if timeout is not None and not wait:
        raise Misuse("--timeout is for --wait")
    spooler = load_spooler(app)
    found = spooler.tasks[task_name(spooler, app, task)]
    body = _body(options.pop("body"))
    args, kwargs = with_body(found, arguments_of(found, words, whole), body)
    is_inline = found.options.executor == "inline"  # it runs here, at once
    if is_inline and found.arguments.body_name is None:
        args, kwargs = found.arguments.load(found.dump(args, kwargs)[0])  # as the hints say, as a worker would
    using = found.using(at=at_or_in(options.pop("at"), options.pop("delay")), **options)
    ticket = using.spool_sync(*args, **kwargs)
    if wait and is_inline:
        _print_result(found, ticket)
    elif wait:
        _tell_duplicate(ticket)
        spool = spooler.spool_of(options["spool"] or found.options.spool)
        wait_for_end(spool, ticket, found.name, timeout)
    else:
        _print_ticket(ticket)


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
    at, body = at_or_in(options.pop("at"), options.pop("delay")), _body(options.pop("body"))
    _print_ticket(spooler.spool_sync(pairs, at=at, body=body, **options))


def _body(name: str | None) -> Body | None:
    """Opened later, when it is written: it is streamed."""
    if name is None:
        return None
    if name == "-":
        return Body(cast("Any", sys.stdin.buffer))
    if not Path(name).is_file():
        raise Misuse(f"--body {name}: there is no such file")
    return Body(Path(name))


def _print_result(task: Task[..., Any, Any], ticket: Ticket[Any]) -> None:
    """The result of a task that has run here, as a worker would keep it. Raises Failure when it cannot be written."""
    record = json.loads(task.written_result(ticket.sync.result()))
    if "lost" in record:
        raise Failure(record["lost"])
    output.print_json(record["value"])


def _print_ticket(ticket: Ticket[Any]) -> None:
    click.echo(safe(ticket.id))
    _tell_duplicate(ticket)


def _tell_duplicate(ticket: Ticket[Any]) -> None:
    if ticket.duplicate:
        click.echo("a message with this id waits or runs already, so no second one was written", err=True)
