"""What a task returned <-> JSON, by the type hint of its function (pydantic)."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .arguments import json_adapter, type_hints
from .errors import NoResult, TaskRefused
from .records import DONE, error_of, lost_record

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LARGEST = 16 * 1024 * 1024  # bytes of a result; what is larger belongs into a file of the task's own


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
            return lost_record(f"what {self._task} returned cannot be written as JSON: {' '.join(str(error).split())}")
        if len(written) > LARGEST:
            return lost_record(
                f"what {self._task} returned takes {len(written)} bytes as JSON, at most {LARGEST} are kept"
            )
        return DONE + written[1:]

    def load(self, record: bytes) -> Any:
        """The value of a record.

        Raises the task's own exception or TaskFailed, TaskCancelled, or NoResult.
        """
        if not record.startswith(DONE):
            raise error_of(record, self._task)
        try:
            return self._adapter.validator.validate_json(b"{" + record[len(DONE) :])["value"]
        except ValueError as error:  # pydantic's ValidationError
            raise NoResult(f"the result of {self._task} does not fit its type hint: {error}") from None

    @cached_property
    def _adapter(self) -> "TypeAdapter[Any]":
        hint = Any if self._function is None else type_hints(self._function, self._task, ["return"]).get("return", Any)
        try:
            return json_adapter({"value": hint}, self._task)
        except TaskRefused:  # a class that pydantic cannot handle: what JSON makes of it may still be kept
            return json_adapter({"value": Any}, self._task)
