"""How a message ended, as far as anything of that is kept: in a record for tickets, or beside a dead message."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..browsing import Browsable
from ..protocol import Follows, Spool, Standing

NOTHING_KNOWN = Standing("unknown")


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and with what a message ended. `result` has the value, if one is kept, under "value"."""

    reason: str = ""
    traceback: str = ""
    log: Sequence[str] = ()
    result: Mapping[str, Any] | None = None


async def standing_of(spool: Spool, id: str) -> Standing:
    """How a message stands; unknown where the spool cannot tell."""
    if not isinstance(spool, Follows):
        return NOTHING_KNOWN
    async with spool.following(id, None) as follower:
        return await follower.look()


async def ending_of(spool: Spool, id: str) -> Ending:
    """What is kept of the end of a message that is over."""
    from anyio import to_thread

    standing = await standing_of(spool, id)
    fields = record_of(standing)
    if standing.state == "dead":
        fields = {**fields, **await to_thread.run_sync(_history, spool, id)}
    return Ending(
        str(fields.get("reason") or fields.get("lost") or ""),
        str(fields.get("traceback") or ""),
        log_of(fields),
        {"value": fields["value"]} if "value" in fields else None,
    )


def record_of(standing: Standing) -> dict[str, Any]:
    """What is kept of the end; nothing if that is broken."""
    try:
        found = json.loads(standing.record or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def log_of(fields: Mapping[str, Any]) -> Sequence[str]:
    """The last lines of the job's log; whatever else stands in their place counts as none."""
    lines = fields.get("log")
    return tuple(str(line) for line in lines) if isinstance(lines, list) else ()


def _history(spool: Spool, id: str) -> dict[str, Any]:
    """What stands beside a dead message."""
    if not isinstance(spool, Browsable):
        return {}
    for item in spool.find(id):
        if item.id == id and item.state == "dead":
            try:
                return dict(spool.read(item).history)
            except OSError:  # gone meanwhile
                break
    return {}
