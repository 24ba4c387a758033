"""Records: what is kept of the end of a message, as JSON. The value in it is the affair of `results`."""

import json
from typing import Any

from .errors import NoResult, TaskCancelled
from .failures import Failure, raised_again

DONE = b'{"state":"done",'  # how the record of a result begins


def lost_record(reason: str) -> bytes:
    """The record of a result that could not be kept."""
    return json.dumps({"state": "done", "lost": reason}).encode()


def cancelled_record(reason: str) -> bytes:
    """The record of a cancelled task."""
    return json.dumps({"state": "cancelled", "reason": reason}).encode()


def dead_record(failure: Failure) -> bytes:
    """The record of a task that failed for good."""
    fields = {"reason": failure.reason, "traceback": failure.traceback, "error": failure.error}
    return json.dumps({"state": "dead", **fields}).encode(errors="backslashreplace")


def state_of(record: bytes) -> str:
    """done, cancelled or dead; "" for what is no record."""
    if record.startswith(DONE):
        return "done"
    found = _parsed(record).get("state")
    return found if found in ("done", "cancelled", "dead") else ""


def reason_of(record: bytes | None) -> str:
    """Why it is dead or cancelled, or why a result is not there; "" for a result."""
    if record is None or record.startswith(DONE):
        return ""
    found = _parsed(record)
    return str(found.get("reason") or found.get("lost") or "")


def _parsed(record: bytes) -> dict[str, Any]:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def error_of(record: bytes, task: str) -> Exception:
    """What a record raises that has no value."""
    found = _parsed(record)
    if found.get("state") == "cancelled":
        return TaskCancelled(f"{task} was cancelled: {found.get('reason')}")
    if found.get("state") == "dead":
        error = found.get("error")
        reason = str(found.get("reason"))
        return raised_again(error if isinstance(error, dict) else None, reason, str(found.get("traceback") or ""))
    return NoResult(str(found.get("lost") or f"the record of the result of {task} cannot be read"))
