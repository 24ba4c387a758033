"""key=value words of the command line -> arguments of a task, by its type hints."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..arguments import type_hints
from ..body import Body
from ..errors import ArgumentsRefused, ArgumentsUnfit
from ..task import Task

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
AnyTask = Task[..., Any, Any]


def pairs_of(words: Sequence[str]) -> dict[str, str]:
    """The pairs of key=value words. Raises ArgumentsRefused for a word without "=" and for a key that comes twice."""
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ArgumentsRefused(f"{word!r} is no key=value")
        if key in pairs:
            raise ArgumentsRefused(f"{key} is given twice")
        pairs[key] = value
    return pairs


def arguments_of(task: AnyTask, words: Sequence[str], whole: str | None) -> Arguments:
    """The arguments of a call, without a Body: from words, or from a JSON object.

    Raises ArgumentsRefused, naming the task and the parameter.
    """
    if whole is None:
        pairs = pairs_of(words)
        _check_keys(task, pairs)
        return _by_position(task, {key: _value(task, key, text) for key, text in pairs.items()})
    if words:
        raise ArgumentsRefused(f"{task.name}: give its arguments as key=value or as --json, not both")
    try:
        return task.arguments.load(whole.encode(errors="surrogateescape"))
    except ArgumentsUnfit as error:
        raise ArgumentsRefused(str(error).replace("the stored arguments", "these arguments", 1)) from None


def _check_keys(task: AnyTask, pairs: Mapping[str, str]) -> None:
    parameters = task.arguments.signature.parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    if unknown := [key for key in pairs if key not in parameters]:
        known = f"it has {', '.join(parameters)}" if parameters else "it has none"
        raise ArgumentsRefused(f"{task.name} has no parameter {unknown[0]}; {known}")


def _value(task: AnyTask, key: str, text: str) -> Any:
    """The text itself where the parameter takes a text, as str and UUID do; else what it says as JSON."""
    if key == task.arguments.body_name:
        raise ArgumentsRefused(f"{task.name}: {key} is its Body: give --body FILE")
    hint = _hint(task, key)
    if hint is not Any and _takes(hint, text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _hint(task: AnyTask, key: str) -> Any:
    """The hint of a parameter; that of **kwargs for every further key. Raises TaskRefused if it has no meaning."""
    parameters = task.arguments.signature.parameters
    rest = [one.name for one in parameters.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    name = key if key in parameters or not rest else rest[0]
    return type_hints(task.function, task.name, [name]).get(name, Any)


def _takes(hint: Any, text: str) -> bool:
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(text)
    except ValidationError:
        return False
    except PydanticUserError:  # a model, which has a config of its own
        return False
    return True


def _by_position(task: AnyTask, values: dict[str, Any]) -> Arguments:
    """Positional-only parameters cannot be passed by name."""
    parameters = task.arguments.signature.parameters.values()
    first = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_ONLY and one.name in values]
    return tuple(values.pop(name) for name in first), values


def with_body(task: AnyTask, arguments: Arguments, body: Body | None) -> Arguments:
    """The arguments, the Body among them. Raises ArgumentsRefused when the task takes none."""
    if body is None:
        return arguments
    if task.arguments.body_name is None:
        raise ArgumentsRefused(f"{task.name} has no parameter annotated Body, so --body cannot reach it")
    return arguments[0], {**arguments[1], task.arguments.body_name: body}
