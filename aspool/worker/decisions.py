"""What becomes of a message: before its run by what it is, after it by what the function said. Values only."""

from ..message import Message
from ..outcomes import SPOOL_IGNORE, SPOOL_RETRY, Buried, Done, Failure, Outcome, PutOff, Result
from ..protocol import Claim
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


def decide(
    result: Result, message: Message, policy: RetryPolicy, now: float, frequency: float, max_crashes: int
) -> Outcome:
    """The outcome of a run. `frequency` in seconds is the wait of SPOOL_RETRY, as uWSGI's next scan."""
    if isinstance(result, Failure):
        return _after_failure(result, message, policy, now, max_crashes)
    if result is SPOOL_RETRY:
        return PutOff(now + frequency, message.attempt, message.crashes, "it returned SPOOL_RETRY")
    if result is SPOOL_IGNORE:
        return unknown(message, now, "it returned SPOOL_IGNORE")
    return Done()


def _after_failure(failure: Failure, message: Message, policy: RetryPolicy, now: float, max_crashes: int) -> Outcome:
    attempt = message.attempt + 1
    if failure.crashed and is_suspect(message):
        crashes = message.crashes + 1
        if crashes >= max_crashes:
            reason = f"its worker died {crashes} times while running it, the last time alone"
            return Buried(reason, failure.traceback, message.attempt, crashes)
        return PutOff(now + crash_wait(crashes), message.attempt, crashes, failure.reason)
    try:
        wait = policy.wait(attempt, failure)
    except Exception as error:  # the task's own backoff, or what it gave to Retry
        reason = f"{failure.reason}; its wait cannot be reckoned: {type(error).__name__}: {error}"
        return Buried(reason, failure.traceback, attempt, message.crashes)
    if wait is None:
        return Buried(failure.reason, failure.traceback, attempt, message.crashes)
    return PutOff(now + wait, attempt, message.crashes, failure.reason)
