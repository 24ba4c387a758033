"""The arguments with which a function is called: from a stored message, with its Body put in."""

from collections.abc import Mapping
from typing import Any

from ..body import Body
from ..raw import text_variables
from ..task import Task


def call_arguments(
    task: Task[..., Any, Any], arguments: bytes, raw: Mapping[bytes, bytes], body: Body
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, without the Job. Raises ArgumentsUnfit."""
    if task.is_handler:
        return (text_variables(raw),), {} if task.arguments.body_name is None else {task.arguments.body_name: body}
    args, kwargs = task.arguments.load(arguments)
    if task.arguments.body_name is not None:
        kwargs[task.arguments.body_name] = body
    return args, kwargs
