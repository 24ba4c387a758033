"""What becomes of a message: before its run by what it is, after it by what the function said. Values only."""

from dataclasses import dataclass, replace

from ..errors import ArgumentsRefused
from ..failures import Failure, Result, Returned
from ..message import Message, written_buffer
from ..outcomes import SPOOL_IGNORE, SPOOL_RETRY, Buried, Cancelled, Changes, Done, Kept, Outcome, PutOff
from ..protocol import Claim
from ..records import cancelled_record, dead_record
from ..retry import RetryPolicy, crash_wait

SUSPECT_CRASHES = 2  # from so many dead workers on, a message runs alone
SHORTEST_UNKNOWN_WAIT = 30.0  # seconds
LONGEST_UNKNOWN_WAIT = 3600.0


def refuse(claim: Claim, now: float, max_crashes: int) -> Outcome | None:
    """Why a message does not run now, before anything of it was looked at; None when it may."""
    message = claim.message
    if claim.crashed and message.crashes >= max_crashes:
        return Buried(f"its worker died {message.crashes} times while running it", "", message.attempt, message.crashes)
    if message.expires is not None and now > message.expires:
        return Buried(
            f"it expired {now - message.expires:.1f} s before it could run", "", message.attempt, message.crashes
        )
    if claim.newer:
        return unknown(message, now, "a later aspool wrote it")
    if claim.crashed and message.crashes >= SUSPECT_CRASHES:
        wait = crash_wait(message.crashes)
        reason = f"its worker died {message.crashes} times: it waits {wait:g} s and then runs alone"
        return PutOff(now + wait, message.attempt, message.crashes, reason)
    return None


def is_suspect(message: Message) -> bool:
    """Whether a message must run in a process of its own, where it can take no neighbour with it."""
    return message.crashes >= SUSPECT_CRASHES


def unknown(message: Message, now: float, reason: str) -> PutOff:
    """A message that this worker cannot run, but another may: put off by its age, uncharged, and shown."""
    age = now - (message.spooled or message.due)
    wait = min(LONGEST_UNKNOWN_WAIT, max(SHORTEST_UNKNOWN_WAIT, age))
    return PutOff(now + wait, message.attempt, message.crashes, reason, unknown=True)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, and all that its outcome depends on.

    `keep` is how long its end is kept for tickets, in seconds; `frequency` is the wait of SPOOL_RETRY, as uWSGI's
    next scan; `changes` and `next_at` are what the job set for its next run.
    """

    result: Result
    message: Message
    policy: RetryPolicy
    now: float
    frequency: float
    max_crashes: int
    keep: float | None = None
    changes: Changes | None = None
    next_at: float | None = None
    log: tuple[str, ...] = ()


def decide(ended: Ended) -> Outcome:
    """The outcome of a run."""
    result, message = ended.result, ended.message
    if isinstance(result, Failure):
        return _after_failure(result, ended)
    if isinstance(result, Returned):
        return Done(None if ended.keep is None or result.written is None else Kept(result.written, ended.keep))
    if result is SPOOL_RETRY:
        return _put_off(ended, ended.frequency, message.attempt, "it returned SPOOL_RETRY")
    if result is SPOOL_IGNORE:
        return unknown(message, ended.now, "it returned SPOOL_IGNORE")
    return Done()


def _after_failure(failure: Failure, ended: Ended) -> Outcome:
    message = ended.message
    attempt = message.attempt + 1
    if failure.crashed and is_suspect(message):
        return _after_crash(failure, ended)
    try:
        wait = ended.policy.wait(attempt, failure)
    except Exception as error:  # the task's own backoff, or what it gave to Retry
        reason = f"{failure.reason}; its wait cannot be reckoned: {type(error).__name__}: {error}"
        return _buried(replace(failure, reason=reason), ended, attempt)
    if wait is None:
        return _buried(failure, ended, attempt)
    return _put_off(ended, wait, attempt, failure.reason, failure)


def _after_crash(failure: Failure, ended: Ended) -> Outcome:
    message = ended.message
    crashes = message.crashes + 1
    if crashes >= ended.max_crashes:
        reason = f"its worker died {crashes} times while running it, the last time alone"
        return replace(_buried(replace(failure, reason=reason), ended, message.attempt), crashes=crashes)
    return PutOff(ended.now + crash_wait(crashes), message.attempt, crashes, failure.reason)


def _put_off(ended: Ended, wait: float, attempt: int, reason: str, failure: Failure | None = None) -> Outcome:
    due = ended.now + wait if ended.next_at is None else ended.next_at
    if ended.changes is not None:
        try:
            written_buffer(ended.changes.buffer)
        except ArgumentsRefused as error:
            reason = f"{reason}; it cannot run again: {error}"
            return _buried(Failure(reason, failure.traceback if failure else ""), ended, attempt)
    return PutOff(due, attempt, ended.message.crashes, reason, changes=ended.changes)


def _buried(failure: Failure, ended: Ended, attempt: int) -> Buried:
    return Buried(
        failure.reason, failure.traceback, attempt, ended.message.crashes, ended.log, kept_failure(failure, ended.keep)
    )


def kept_failure(failure: Failure, seconds: float | None) -> Kept | None:
    """What is kept of a failure, if the task keeps anything."""
    return None if seconds is None else Kept(dead_record(failure), seconds)


def cancelled(keep: float | None) -> Cancelled:
    """The outcome of a job that its caller wanted to stop."""
    reason = "its ticket was asked to cancel it"
    return Cancelled(reason, None if keep is None else Kept(cancelled_record(reason), keep))
