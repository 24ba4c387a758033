"""Ids as people type them -> messages. What is done with the messages is the verbs' affair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from ..browsing import Browsable, Listed
from ..errors import SpoolUnusable
from ..ids import ID_PATTERN
from ..protocol import Spool
from .ending import NOTHING_KNOWN, standing_of
from .failures import Failure, Misuse
from .output import CUT
from .places import browsable, spools_of

FILE = "uwsgi_spoolfile_on_"
OFFERED = 200  # messages that are looked at for a completion


class Found(NamedTuple):
    """A message, and the spool that has it."""

    spool: Spool
    item: Listed


def find_one(spools: Sequence[Spool], text: str, states: frozenset[str]) -> Found:
    """The one message whose id is `text`, or begins or ends with it; a file's name or path does too.

    Raises Failure when there is none, Misuse (which lists them) when there are several.
    """
    found = [one for one in _everywhere(spools, text) if not states or one.item.state in states]
    if len(found) == 1:
        return found[0]
    if found:
        raise _several(text, [one.item for one in found])
    which = f" and the state {' or '.join(sorted(states))}" if states else ""
    raise Failure(f"no message here has the id {text}{which}; `aspool ls` lists what there is")


def _everywhere(spools: Sequence[Spool], text: str) -> list[Found]:
    """What matches in any of the spools; where one has that very id, no others."""
    matching = [Found(spool, item) for spool in spools for item in _matching(browsable(spool), text)]
    return [one for one in matching if one.item.id == text] or matching


def _several(text: str, found: Sequence[Listed]) -> Misuse:
    return Misuse(_ambiguous(text, found), "\n".join(_candidate(item) for item in found[:20]))


@dataclass(frozen=True, slots=True)
class Target:
    """A message that a ticket can be had for. `state` and `task` are "" if it is over."""

    spool: Spool
    id: str
    task: str = ""
    state: str = ""


def targets(app: str | None, address: str | None, texts: Sequence[str]) -> list[Target]:
    """A message for each text, none twice, in all spools of an application or in one; also what is over and kept.

    Raises as `find_one`, before anything is done to any of them.
    """
    spools = there(app, address)
    found = [_target(spools, text) for text in texts]
    return list({(target.spool.address, target.id): target for target in found}.values())


def there(app: str | None, address: str | None) -> list[Spool]:
    """The spools that can be looked at; of an application those that were made already. Raises SpoolUnusable."""
    spools, missing = [], None
    for spool in spools_of(app, address):
        try:
            browsable(spool)
            spools.append(spool)
        except SpoolUnusable as error:
            missing = error
    if missing is not None and not spools:
        raise missing
    return spools


def _target(spools: Sequence[Spool], text: str) -> Target:
    found = _everywhere(spools, text)
    if len(found) == 1:
        ((spool, item),) = found
        return Target(spool, item.id, item.task or "", item.state)
    if found:
        raise _several(text, [item for _, item in found])
    for spool in spools:
        if is_known(spool, text):
            return Target(spool, text)
    raise Failure(
        f"no message here has the id {text}: there never was one, or it has ended and nothing is kept of it; "
        "`aspool ls` lists what there is"
    )


def is_known(spool: Spool, id: str) -> bool:
    """Whether something is kept of a message that has gone."""
    import anyio

    return ID_PATTERN.fullmatch(id) is not None and anyio.run(standing_of, spool, id).state != NOTHING_KNOWN.state


def find_all(spools: Sequence[Spool], texts: Sequence[str], states: frozenset[str]) -> list[Found]:
    """A message for each text, none twice. Nothing is done to any of them if one text is wrong."""
    found = [find_one(spools, text, states) for text in texts]
    return list({(one.spool.address, one.item.name or one.item.id): one for one in found}.values())


def _matching(spool: Browsable, text: str) -> Sequence[Listed]:
    if CUT in text:  # as a listing shows a long one
        beginning, _, end = text.partition(CUT)
        found = spool.find(beginning or end) if beginning or end else []
        return [item for item in found if item.id.startswith(beginning) and item.id.endswith(end)]
    if FILE not in text:
        return spool.find(text) if text else []
    name = text[text.index(FILE) :]
    return [item for item in spool.browse() if item.name.endswith(name)]


def _ambiguous(text: str, found: Sequence[Listed]) -> str:
    if len({item.id for item in found}) == 1:
        return f"{len(found)} messages have the id {text} (they are above): choose one with --state"
    return f"{len(found)} messages have an id that begins or ends with {text} (they are above): write more of it"


def _candidate(item: Listed) -> str:
    return f"  {item.id}  {item.state}  {item.called}"


def complete_id(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """What a shell offers for an id. Never fails: whatever is wrong is told when the verb runs."""
    try:
        spools = there(ctx.params.get("app"), ctx.params.get("address"))
        listed = [item for spool in spools for item in browsable(spool).browse(limit=OFFERED)]
    except Exception:
        return []
    return [
        CompletionItem(item.id, help=f"{item.state} {item.task or ''}".rstrip())
        for item in listed
        if item.id.startswith(incomplete)
    ]
