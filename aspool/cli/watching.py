"""`aspool watch`: messages on their way, until they end. The waiting of `aspool send --wait` is here, too."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from ..errors import FAILED
from ..protocol import Spool
from ..spooler import Spooler
from ..ticket import Ticket
from . import output
from .failures import INTERRUPTED, Failure, Misuse
from .finding import complete_id, targets
from .following import Display, Followed, follow_all
from .lines import Lines
from .parameters import seconds
from .places import app_option, spool_option

NAMED = 3  # messages
timeout_option = click.option("--timeout", type=seconds, metavar="S",
                              help="give up after so many seconds (or 90m, 12h); the messages go on")  # fmt: skip


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...", shell_complete=complete_id)
@spool_option
@app_option
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="print a JSON object for each change, each on a line")
def watch(ids: Sequence[str], address: str | None, app: str | None, timeout: float | None, as_json: bool) -> None:
    """Follow messages until they end: how they stand, how far their jobs are, and how long it may take.

    An ID may be the beginning or the end of one. Of a message that has ended already, the whole id is needed, and a
    result that is kept. In a pipe: a line for each change, with id, state, task, attempt, done, total, text and
    reason between tabs. The state "unknown" at the end says that nothing is kept of it, as of most messages.

    Exit code 0 if all have ended well, 1 if one is dead or cancelled or --timeout is over, 130 after Ctrl-C, which
    ends the watching only.
    """
    if not ids:
        raise Misuse("name the messages to watch; `aspool top` shows all that runs")
    messages = [_followed(one.spool, one.id, one.task) for one in targets(app, address, ids)]
    _follow(messages, _display(as_json=as_json), timeout)
    if not all(message.went_well for message in messages):
        click.get_current_context().exit(FAILED)


def _followed(spool: Spool, id: str, task: str) -> Followed:
    return Followed(spool, Spooler(spool).ticket(id), task)


def _display(*, as_json: bool = False, err: bool = False) -> Display:
    if as_json or not output.on_terminal(sys.stderr if err else sys.stdout):
        return Lines(as_json=as_json, err=err)
    from .bars import Bars

    return Bars(err=err, reasons=not err)


def _follow(messages: Sequence[Followed], display: Display, timeout: float | None) -> None:
    """Until all are over. Raises Failure after the timeout; after Ctrl-C the program ends."""
    try:
        follow_all(messages, display, timeout)
    except KeyboardInterrupt:
        click.echo(f"aspool: the watching has ended, {_going_on(messages)}", err=True)
        click.get_current_context().exit(INTERRUPTED)
    if any(not message.is_over for message in messages):
        raise Failure(f"it took more than {output.duration(timeout or 0)}; {_going_on(messages)}")


def _going_on(messages: Sequence[Followed]) -> str:
    ids = [message.ticket.id for message in messages if not message.is_over]
    named = ", ".join(ids) if len(ids) <= NAMED else output.count(len(ids), "message")
    return f"{named} {'goes' if len(ids) == 1 else 'go'} on"


def wait_for_end(spool: Spool, ticket: Ticket[Any], task: str, timeout: float | None) -> None:
    """Follow one message on stderr, then print its result, if one is kept.

    Raises Failure with the reason and the remote traceback when it is dead, cancelled or not over in time.
    """
    message = Followed(spool, ticket, task)
    _follow([message], _display(err=True), timeout)
    ending = message.ending
    assert ending is not None
    if not message.went_well:
        reason = f": {ending.reason}" if ending.reason else ""
        raise Failure(f"{task} {ticket.id} is {message.update.state}{reason}", ending.traceback)
    if ending.result is not None:
        output.print_json(ending.result["value"])
    elif ending.reason:
        raise Failure(f"{task} {ticket.id} is done, but its result is lost: {ending.reason}")
