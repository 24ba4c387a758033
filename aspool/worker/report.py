"""The worker's own log lines: one observer of its events."""

import logging

from .. import clock
from ..escape import safe
from ..events import (
    Event,
    JobEnded,
    JobOverdue,
    JobStarted,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from ..outcomes import Buried, Cancelled, Done, HandedBack, PutOff

logger = logging.getLogger("aspool.worker")


def log(event: Event) -> None:
    """Write an event to the log; text from outside is escaped."""
    if isinstance(event, JobEnded):
        _log_end(event)
    elif isinstance(event, JobStarted):
        logger.debug("%s %s started, attempt %d, %.3f s late", event.task, event.id, event.attempt, event.lateness)
    elif isinstance(event, JobOverdue):
        logger.error("%s %s does not stop:\n%s", event.task, event.id, event.stack)
    elif isinstance(event, WorkerStarted):
        logger.info("ready: %s", ", ".join(event.spools))
    elif isinstance(event, WorkerStopping):
        logger.info("stopping (%s); still running: %d", event.reason, event.running)
    elif isinstance(event, WorkerStopped):
        logger.info("stopped after %d runs", event.runs)


def quiet_log(event: Event) -> None:
    """The same, without jobs that are done."""
    if not (isinstance(event, JobEnded) and isinstance(event.outcome, Done)):
        log(event)


def _log_end(event: JobEnded) -> None:
    outcome = event.outcome
    if isinstance(outcome, Done):
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s %s done in %.3f s", event.task, event.id, event.duration)
    elif isinstance(outcome, Buried):
        what = "buried" if event.spooled else "failed for good"  # there is nothing to look at later
        reason, traceback = safe(outcome.reason), _indented(outcome.traceback)
        logger.error("%s %s %s: %s%s", safe(event.task), event.id, what, reason, traceback)
    elif isinstance(outcome, PutOff):
        wait, reason = max(0.0, outcome.due - clock.now()), safe(outcome.reason)
        logger.warning("%s %s attempt %d: %s; again in %.1f s", safe(event.task), event.id, event.attempt, reason, wait)
    elif isinstance(outcome, HandedBack):
        logger.info("%s %s handed back: %s", safe(event.task), event.id, outcome.reason)
    elif isinstance(outcome, Cancelled):
        logger.info("%s %s cancelled after %.3f s: %s", event.task, event.id, event.duration, outcome.reason)


def _indented(traceback: str) -> str:
    lines = traceback.rstrip().splitlines()
    return "".join(f"\n    {safe(line)}" for line in lines)
