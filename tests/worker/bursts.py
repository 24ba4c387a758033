"""Run what is due with a real worker, and see how each run ended."""

from typing import Any

import anyio

from aspool import Spooler, WorkerSettings
from aspool.events import Event, JobEnded
from aspool.outcomes import Outcome
from aspool.worker import Worker


async def burst(spooler: Spooler[Any], **options: Any) -> list[Outcome]:
    """The outcomes, in the order in which the runs ended; `options` are those of WorkerSettings."""
    outcomes: list[Outcome] = []

    def observe(event: Event) -> None:
        if isinstance(event, JobEnded):
            outcomes.append(event.outcome)

    with anyio.fail_after(60):
        await Worker(spooler, WorkerSettings(burst=True).changed(**options), observers=[observe]).run()
    return outcomes
