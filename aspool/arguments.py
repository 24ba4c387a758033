"""Call arguments <-> JSON, by the type hints of the function (pydantic). Validated when spooled and when run."""

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NotRequired

from .body import Body
from .errors import ArgumentsRefused, ArgumentsUnfit, TaskRefused
from .job import Job

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.plugin._schema_validator import PluggableSchemaValidator
    from pydantic_core import SchemaSerializer, SchemaValidator

_PLAIN = (int, str, float, bool)
POSITIONAL = b'{"":'  # how the arguments of `unchecked` begin if some have no name
SHORT = 4000  # characters: no number in it has more digits than can be read
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Arguments:
    """The parameters of one task's function: which get a Job or a Body, and how the others travel.

    Raises TaskRefused when the function cannot be a task.
    """

    def __init__(self, function: Callable[..., Any], task: str) -> None:
        self.function = function
        self.task = task
        parameters = list(inspect.signature(function).parameters.values())
        self.wants_job = bool(parameters) and self._is(parameters[0], Job)
        if self.wants_job:
            del parameters[0]
        if misplaced := [p.name for p in parameters if self._is(p, Job)]:
            raise TaskRefused(f"{task}: a Job must be the first parameter, but {misplaced[0]!r} is not")
        bodies = [p for p in parameters if self._is(p, Body)]
        if len(bodies) > 1:
            raise TaskRefused(f"{task}: a task takes at most one Body, not {', '.join(p.name for p in bodies)}")
        self.body_name = bodies[0].name if bodies else None
        if bodies:
            self._check_body(bodies[0], parameters)
        self.signature = inspect.Signature(parameters)
        self._plain = [p for p in parameters if p.name != self.body_name]
        self._by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self._is_simple = len(self._by_position) == len(parameters)
        self._known = frozenset(p.name for p in parameters)
        self.required = frozenset(p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC)
        self._has_variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in self._plain)

    def _check_body(self, body: inspect.Parameter, parameters: list[inspect.Parameter]) -> None:
        """It is passed by name, beside whatever else there is."""
        positional = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
        if body.kind in _VARIADIC or body.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise TaskRefused(f"{self.task}: the Body {body.name!r} must be a plain or keyword-only parameter")
        if positional and body.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TaskRefused(f"{self.task}: beside *args the Body {body.name!r} must be keyword-only")

    def _is(self, parameter: inspect.Parameter, kind: type) -> bool:
        """Whether a parameter is annotated with `kind`, or a union with it; a string may not be resolvable yet."""
        annotation = parameter.annotation
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, getattr(self.function, "__globals__", {}))  # noqa: S307 - the task's own code
            except Exception:  # a name under TYPE_CHECKING, or defined later
                return re.split(r"[|\[]", annotation.replace(" ", ""))[0].rsplit(".", 1)[-1] == kind.__name__
        if typing.get_origin(annotation) is kind:  # Job[Resources]
            return True
        inside = typing.get_args(annotation)  # of a union; its strings are ForwardRefs
        return annotation is kind or any(
            part is kind or getattr(part, "__forward_arg__", None) == kind.__name__ for part in inside
        )

    def dump(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[bytes, Body | None]:
        """The arguments of one call as a JSON object, and its Body.

        Raises ArgumentsRefused, naming the task and the parameter, when they do not fit.
        """
        given = self._bind(args, kwargs)
        body = self._take_body(given)
        return (self._write(given) if self._plain else b""), body

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """As Signature.bind, which takes several times as long for the plain parameters that most functions have."""
        if self._is_simple:
            given = dict(zip(self._by_position, args, strict=False))
            given.update(kwargs)
            if len(given) == len(args) + len(kwargs) and self.required <= given.keys() <= self._known:
                return given
        try:
            return self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentsRefused(f"{self.task}: {error}") from None

    def _write(self, given: Mapping[str, Any]) -> bytes:
        """Checked, written and, unless that is sure, read again: otherwise it would be noticed only when it runs."""
        validator, serializer = self._validator, self._serializer
        try:
            checked = validator.validate_python(given)
        except ValueError as error:  # pydantic's ValidationError, here and below
            raise ArgumentsRefused(f"{self.task}: {_explain(error)}") from None
        try:
            written = serializer.to_json(checked, warnings="error")
        except ValueError as error:
            raise ArgumentsRefused(f"{self.task}: {self._unserialisable(checked)}: {error}") from None
        if self._comes_back and len(written) < SHORT:
            return written
        try:
            validator.validate_json(written)
        except ValueError as error:
            raise ArgumentsRefused(
                f"{self.task}: written as JSON they cannot be read back: {_explain(error)}"
            ) from None
        return written

    def load(self, data: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments of a stored call, without Job and Body.

        Raises ArgumentsUnfit when they no longer fit the function.
        """
        if not data and not self._plain:
            return (), {}
        try:
            values = self._validator.validate_json(self._named(data) if data.startswith(POSITIONAL) else data or b"{}")
        except ValueError as error:  # pydantic's ValidationError
            raise ArgumentsUnfit(f"the stored arguments do not fit {self.task}: {_explain(error)}") from None
        return self._spread(values)

    def _named(self, data: bytes) -> bytes:
        """What `unchecked` wrote, with a name for each positional argument. Raises ArgumentsUnfit."""
        values = json.loads(data)
        args = values.pop("")
        names = [parameter.name for parameter in self._plain if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
        if len(args) > len(names) or self._has_variadic or values.keys() & set(names[: len(args)]):
            raise ArgumentsUnfit(f"the stored arguments do not fit {self.task}: {len(args)} positional ones were given")
        return json.dumps(dict(zip(names, args, strict=False)) | values).encode()

    def _take_body(self, given: dict[str, Any]) -> Body | None:
        if self.body_name is None:
            return None
        body = given.pop(self.body_name, None)
        if body is not None and not isinstance(body, Body):
            raise ArgumentsRefused(
                f"{self.task}: {self.body_name} must be a Body, as in Body(source), not {type(body).__name__}"
            )
        return body

    def _spread(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional-only and variadic parameters go by position, the rest by name (so that a Body fits in between)."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        positional = self._has_variadic
        for parameter in self._plain:
            if parameter.name not in values:
                positional = False  # the default stands: what follows goes by name
                continue
            value = values[parameter.name]
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args += value
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                kwargs.update(value)
            elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY or (
                positional and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            ):
                args.append(value)
            else:
                kwargs[parameter.name] = value
        return tuple(args), kwargs

    def _unserialisable(self, values: Mapping[str, Any]) -> str:
        for name, value in values.items():
            try:
                self._serializer.to_json({name: value}, warnings="error")
            except Exception:
                return f"{name} cannot be written as JSON"
        return "the arguments cannot be written as JSON"

    @cached_property
    def _comes_back(self) -> bool:
        """Whether what was written can surely be read: nothing but plain types."""
        hints = self._hints()
        return all(hints.get(parameter.name) in _PLAIN for parameter in self._plain)

    @cached_property
    def _validator(self) -> "SchemaValidator | PluggableSchemaValidator":
        return self._adapter.validator

    @cached_property
    def _serializer(self) -> "SchemaSerializer":
        return self._adapter.serializer

    @cached_property
    def _adapter(self) -> "TypeAdapter[Any]":
        """A TypedDict of the parameters: one validation and one serialisation serve all of them."""
        hints = self._hints()
        fields: dict[str, Any] = {}
        for parameter in self._plain:
            kind = hints.get(parameter.name, Any)
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                kind = NotRequired[types.GenericAlias(tuple, (kind, ...))]
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                kind = NotRequired[types.GenericAlias(dict, (str, kind))]
            elif parameter.default is not inspect.Parameter.empty:
                kind = NotRequired[kind]
            fields[parameter.name] = kind
        return json_adapter(fields, self.task)

    def _hints(self) -> dict[str, Any]:
        return type_hints(self.function, self.task, [parameter.name for parameter in self._plain])


def unchecked(args: tuple[Any, ...], kwargs: Mapping[str, Any], task: str) -> tuple[bytes, Body | None]:
    """The arguments of a call whose function is not here: written as they are, checked when it runs.

    Raises ArgumentsRefused for what JSON cannot have, and for a second Body.
    """
    from pydantic_core import to_json

    bodies = [value for value in [*args, *kwargs.values()] if isinstance(value, Body)]
    if len(bodies) > 1:
        raise ArgumentsRefused(f"{task}: a task takes at most one Body")
    positional = [value for value in args if not isinstance(value, Body)]
    named = {key: value for key, value in kwargs.items() if not isinstance(value, Body)}
    try:
        written = to_json({"": positional, **named} if positional else named, bytes_mode="base64")
    except ValueError as error:
        raise ArgumentsRefused(f"{task}: the arguments cannot be written as JSON: {error}") from None
    return written, bodies[0] if bodies else None


def json_adapter(fields: Mapping[str, Any], task: str) -> "TypeAdapter[Any]":
    """What checks, writes and reads a JSON object of these fields. Raises TaskRefused for types that cannot be."""
    # Here and not at the top, so that `import aspool` stays light.
    from typing import NewType

    from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
    from typing_extensions import TypedDict

    shape = TypedDict("Arguments", fields)  # type: ignore[misc]  # its fields are those of the function
    # By way of a NewType, since pydantic applies a TypedDict's own config to validation alone: bytes and NaN
    # would be written in one way and read in another.
    config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
    try:
        new_type: Any = NewType  # pydantic takes one of a TypedDict, the type checkers do not
        return TypeAdapter(new_type("Written", shape), config=config)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise TaskRefused(f"{task}: its parameters cannot be written down: {error}") from None


def type_hints(function: Callable[..., Any], task: str, names: Sequence[str]) -> dict[str, Any]:
    """The type hints of a function with these names, resolved. Raises TaskRefused.

    The others need not be there: a Job's resources may be known under TYPE_CHECKING only.
    """
    function = inspect.unwrap(function)
    module = sys.modules.get(getattr(function, "__module__", ""), None)
    hints = getattr(function, "__annotations__", {})
    wanted = types.SimpleNamespace(__annotations__={name: hints[name] for name in names if name in hints})
    try:
        return typing.get_type_hints(
            wanted, getattr(module, "__dict__", getattr(function, "__globals__", None)), include_extras=True
        )
    except Exception as error:
        raise TaskRefused(f"{task}: a type hint cannot be resolved: {error}") from None


def _explain(refusal: ValueError) -> str:
    """The first complaint, in one line: parameter, what is wrong, what was given."""
    error = typing.cast("ValidationError", refusal)
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = error.error_count() - 1
    text = f"{where}: {first['msg']}"
    if first["type"] not in ("missing", "extra_forbidden"):
        text += f" (given {_short(first['input'])})"
    return text + (f", and {more} more" if more else "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
