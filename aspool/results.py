"""What a task returned <-> JSON, by the type hint of its function (pydantic); and the record that is kept of an end."""

import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .arguments import json_adapter, type_hints
from .errors import NoResult, TaskCancelled, TaskRefused
from .failures import Failure, raised_again

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LARGEST = 16 * 1024 * 1024  # bytes of a result; what is larger belongs into a file of the task's own
_DONE = b'{"state":"done",'


class Returns:
    """What one task returns. Without a type hint, whatever JSON can have."""

    def __init__(self, function: Callable[..., Any] | None, task: str) -> None:
        self._function = function
        self._task = task

    def dump(self, value: Any) -> bytes:
        """The record of a result; one that cannot be written is replaced by the reason."""
        try:
            written: bytes = self._adapter.serializer.to_json({"value": value}, warnings="error")
        except Exception as error:  # whatever a serializer of the application raises
            return _lost(f"what {self._task} returned cannot be written as JSON: {' '.join(str(error).split())}")
        if len(written) > LARGEST:
            return _lost(f"what {self._task} returned takes {len(written)} bytes as JSON, at most {LARGEST} are kept")
        return _DONE + written[1:]

    def load(self, record: bytes) -> Any:
        """The value of a record.

        Raises the task's own exception or TaskFailed, TaskCancelled, or NoResult.
        """
        if not record.startswith(_DONE):
            raise _error_of(record, self._task)
        try:
            return self._adapter.validator.validate_json(b"{" + record[len(_DONE) :])["value"]
        except ValueError as error:  # pydantic's ValidationError
            raise NoResult(f"the result of {self._task} does not fit its type hint: {error}") from None

    @cached_property
    def _adapter(self) -> "TypeAdapter[Any]":
        hint = Any if self._function is None else type_hints(self._function, self._task).get("return", Any)
        try:
            return json_adapter({"value": hint}, self._task)
        except TaskRefused:  # a class that pydantic cannot handle: what JSON makes of it may still be kept
            return json_adapter({"value": Any}, self._task)


def _lost(reason: str) -> bytes:
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
    if record.startswith(_DONE):
        return "done"
    found = _parsed(record).get("state")
    return found if found in ("done", "cancelled", "dead") else ""


def _parsed(record: bytes) -> dict[str, Any]:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _error_of(record: bytes, task: str) -> Exception:
    found = _parsed(record)
    if found.get("state") == "cancelled":
        return TaskCancelled(f"{task} was cancelled: {found.get('reason')}")
    if found.get("state") == "dead":
        error = found.get("error")
        reason = str(found.get("reason"))
        return raised_again(error if isinstance(error, dict) else None, reason, str(found.get("traceback") or ""))
    return NoResult(str(found.get("lost") or f"the record of the result of {task} cannot be read"))
