"""What happens to followed messages, as lines for programs: one for each change, with tabs or as JSON."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Self

import click

from . import output
from .following import Followed


class Lines:
    """One line for each change: id, state, task, attempt, done, total, text and reason, or a JSON object."""

    def __init__(self, *, as_json: bool, err: bool = False) -> None:
        self._as_json = as_json
        self._err = err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, message: Followed) -> None:
        """A line of its own for each change."""
        record = _record(message)
        if self._as_json:
            now = datetime.now(UTC).isoformat()
            click.echo(json.dumps({**record, "at": now}), err=self._err)
        else:
            click.echo("\t".join(output.plain(value) for value in record.values()), err=self._err)

    def tick(self) -> None:
        """Lines do not move."""


def _record(message: Followed) -> dict[str, Any]:
    update = message.update
    told = asdict(update.progress) if update.progress else {"done": None, "total": None, "text": None}
    return {
        "id": message.ticket.id,
        "state": update.state,
        "task": message.task or None,
        "attempt": update.attempt or None,
        **told,
        "reason": (message.ending.reason if message.ending else "") or None,
    }
