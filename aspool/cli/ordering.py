"""`aspool cancel` and `aspool reschedule`: what a ticket can order, for messages that wait and for running jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import click

from ..escape import safe
from ..spooler import Spooler
from ..ticket import Ticket
from . import output
from .failures import Failure, Misuse
from .finding import Target, complete_id, targets
from .parameters import at_or_in, moment_options
from .places import app_option, spool_option

PATIENCE = 2.0  # seconds, after which a person is told what is waited for
ids_argument = click.argument("ids", nargs=-1, metavar="ID...", shell_complete=complete_id)


@click.command()
@ids_argument
@spool_option
@app_option
def cancel(ids: Sequence[str], address: str | None, app: str | None) -> None:
    """Cancel tasks: remove messages that wait, and have running jobs stopped.

    An ID may be the beginning or the end of one. A running job is stopped by its worker: a coroutine is cancelled, a
    process is ended, a function in a thread has to look at `job.cancelled` by itself. This returns when the worker
    has taken the order; `aspool watch` waits for the end.
    """
    if not ids:
        raise Misuse("name the messages to cancel; `aspool purge` removes all of a state")
    found = targets(app, address, ids)

    async def order(ticket: Ticket[Any]) -> bool:
        return await ticket.cancel()

    _order_all(found, order, _cancelled)


def _cancelled(target: Target) -> str:
    if target.state == "running":
        return "is being stopped"
    return "is cancelled"


@click.command()
@ids_argument
@spool_option
@app_option
@moment_options
@click.option("--priority", type=int, metavar="N", help="the smaller the sooner")
def reschedule(
    ids: Sequence[str],
    address: str | None,
    app: str | None,
    at: datetime | float | None,
    delay: float | None,
    priority: int | None,
) -> None:
    """Let messages that wait run at another moment, or with another priority.

    An ID may be the beginning or the end of one. What was tried before keeps its counts (`aspool retry` sets them
    back). A message that a worker runs is left alone.
    """
    due = at_or_in(at, delay)
    if due is None and priority is None:
        raise Misuse("give --at, --in or --priority: what is to be changed?")
    if not ids:
        raise Misuse("name the messages to reschedule")

    async def order(ticket: Ticket[Any]) -> bool:
        return await ticket.reschedule(at=due, priority=priority)

    _order_all(targets(app, address, ids), order, lambda _: "is rescheduled")


Order = Callable[[Ticket[Any]], Awaitable[bool]]


def _order_all(found: Sequence[Target], order: Order, told: Callable[[Target], str]) -> None:
    """Raises Failure when something could not be done."""
    import anyio

    failed = []
    for target in found:
        if anyio.run(_ordered, target, order):
            click.echo(f"{safe(target.id)} {told(target)}")
        else:
            failed.append(f"  {target.id}  {_why_not(target)}")
    if failed:
        raise Failure(f"{len(failed)} of {output.count(len(found), 'message')} could not be changed", "\n".join(failed))


async def _ordered(target: Target, order: Order) -> bool:
    def tell() -> None:
        click.echo(f"{safe(target.id)} runs: waiting for its worker to take the order (Ctrl-C withdraws it)", err=True)

    telling = asyncio.get_running_loop().call_later(PATIENCE, tell)
    try:
        return await order(Spooler(target.spool).ticket(target.id))
    finally:
        telling.cancel()


def _why_not(target: Target) -> str:
    if target.state == "dead":
        return "it is dead: `aspool retry` lets it run again, `aspool rm` removes it"
    if target.state == "corrupt":
        return "it is broken: `aspool rm` removes it"
    return "it runs, or has ended" if target.state else "it has ended"
