"""`aspool retry`, `rm` and `purge`: changing messages by hand. What a worker runs is never touched."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from ..browsing import Browsable, Listed
from ..escape import safe
from ..protocol import Spool
from ..spools.directory.browse import ALL_STATES
from . import output
from .failures import Failure, Misuse
from .finding import Found, complete_id, find_all, there
from .looking import state_option
from .parameters import seconds
from .places import app_argument, app_option, browsable, spool_option, spools_of

REQUEUED_STATES = ("dead", "retrying", "scheduled", "unknown", "waiting")
yes_option = click.option("--yes", is_flag=True, help="do not ask")
ids_argument = click.argument("ids", nargs=-1, metavar="ID...", shell_complete=complete_id)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one message: `why` it could not be changed, "" if it was."""

    item: Listed
    why: str = ""


@click.command()
@ids_argument
@spool_option
@app_option
@click.option(
    "--all", "everything", is_flag=True, help="all messages of the state (dead ones, unless --state says more)"
)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(REQUEUED_STATES), help="only messages in this state"
)
@yes_option
def retry(
    ids: Sequence[str], address: str | None, app: str | None, everything: bool, states: Sequence[str], yes: bool
) -> None:
    """Let messages run now, their counts of attempts and crashes back at 0.

    An ID may be the beginning or the end of one. Messages need not be dead: one that waits for its moment or for its
    next attempt runs at once, too.
    """
    if bool(ids) == everything:
        raise Misuse("name the messages to retry, or give --all, and not both")
    spools = there(app, address)
    wanted = frozenset(states or (["dead"] if everything else []))
    if everything:
        found = [Found(spool, item) for spool in spools for item in browsable(spool).browse(wanted)]
    else:
        found = find_all(spools, ids, wanted)
    if everything and found:
        _ask(f"Let {output.count(len(found), 'message')} of {_addresses(found)} run again?", yes)
    _tell([_requeued(*one) for one in found], "is due now")


def _addresses(found: Sequence[Found]) -> str:
    return " and ".join(dict.fromkeys(one.spool.address for one in found))


def _requeued(spool: Spool, item: Listed) -> Done:
    if item.state == "corrupt":
        return Done(item, f"it is broken, so it cannot run ({item.reason})")
    return Done(item, "" if browsable(spool).requeue(item, time.time()) else _why_not(item))


def _why_not(item: Listed) -> str:
    return "a worker runs it" if item.state == "running" else "a worker has just taken it, or it has gone"


@click.command()
@ids_argument
@spool_option
@app_option
@state_option
@yes_option
def rm(ids: Sequence[str], address: str | None, app: str | None, states: Sequence[str], yes: bool) -> None:
    """Remove messages for good, in whatever state they are; but not one that a worker runs.

    An ID may be the beginning or the end of one.
    """
    if not ids:
        raise Misuse("name the messages to remove; `aspool purge` removes all of a state")
    found = find_all(there(app, address), ids, frozenset(states))
    names = "\n".join(f"  {safe(item.id)}  {item.state}  {safe(item.called)}" for _, item in found)
    _ask(f"{names}\nRemove {output.count(len(found), 'message')} from {_addresses(found)} for good?", yes)
    _tell([_deleted(*one) for one in found], "is removed")


def _deleted(spool: Spool, item: Listed) -> Done:
    return Done(item, "" if browsable(spool).delete(item) else _why_not(item))


@click.command()
@app_argument
@spool_option
@click.option("--state", "states", multiple=True, default=["dead"], show_default=True,
              type=click.Choice([state for state in ALL_STATES if state != "running"]),
              help="which messages; may be given several times")  # fmt: skip
@click.option("--older-than", type=seconds, metavar="S",
              help="only what was buried, put aside or due that long ago (seconds, or as 12h, 7d)")  # fmt: skip
@yes_option
def purge(app: str | None, address: str | None, states: Sequence[str], older_than: float | None, yes: bool) -> None:
    """Remove all messages of a state for good; the dead ones if no --state says otherwise."""
    for spool in spools_of(app, address):
        place = browsable(spool)
        items = place.browse(frozenset(states))
        if older_than is not None:
            items = [item for item in items if _age(place, item) > older_than]
        what = output.count(len(items), f"{' or '.join(states)} message")
        if items:
            _ask(f"Remove {what} from {spool.address} for good?", yes)
        done = [_deleted(spool, item) for item in items]
        _tell_failures(done)
        click.echo(
            f"removed {output.count(sum(not one.why for one in done), 'message')} from {safe(spool.address)}",
            err=True,
        )


def _age(place: Browsable, item: Listed) -> float:
    """Seconds since a message was put aside, or else since it was due."""
    try:
        history = place.read(item).history
    except OSError:
        return -1.0  # it has gone meanwhile
    try:
        since = datetime.fromisoformat(str(history.get("buried") or history.get("moved")))
    except ValueError:
        since = item.due or datetime.now().astimezone()
    return time.time() - since.timestamp()


def _ask(question: str, yes: bool) -> None:
    """Raises Misuse when nobody can answer, Abort when the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misuse("this changes many messages or removes some for good, and nobody can be asked: give --yes")
    click.confirm(question, abort=True, err=True)


def _tell(done: Sequence[Done], success: str) -> None:
    for one in done:
        if not one.why:
            click.echo(f"{safe(one.item.id)} {success}")
    _tell_failures(done)


def _tell_failures(done: Sequence[Done]) -> None:
    """Raises Failure when something could not be changed."""
    failed = [f"  {one.item.id}  {one.why}" for one in done if one.why]
    if failed:
        raise Failure(f"{len(failed)} of {output.count(len(done), 'message')} could not be changed", "\n".join(failed))
