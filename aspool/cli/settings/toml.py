"""aspool.toml and [tool.aspool] of pyproject.toml, read and written."""

import json
import os
import tomllib
from collections.abc import Mapping
from typing import Any

from ...settings import did_you_mean, kind, may_be_none, misfit
from ..failures import Misuse
from ..parameters import NoDuration, seconds_of
from .found import NONE, OPTIONS, Found

OWN, PROJECT = "aspool.toml", "pyproject.toml"
OTHER_KEYS = ("app", "ini")  # which are no settings


def read(path: str | None) -> dict[str, Found]:
    """What a file says; without a path that in the working directory, if there is one. Raises Misuse."""
    if path is not None:
        return _checked(path, _table(path, _parsed(path), required=True))
    if os.path.exists(OWN):
        return _checked(OWN, _parsed(OWN))
    if os.path.exists(PROJECT):
        return _checked(PROJECT, _table(PROJECT, _parsed(PROJECT), required=False))
    return {}


def _parsed(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is no TOML: {error}") from None


def _table(path: str, parsed: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """Of a pyproject.toml only what is for aspool."""
    if os.path.basename(path) != PROJECT:
        return parsed
    tool = parsed.get("tool", {})
    if required and "aspool" not in tool:
        raise Misuse(f"{path} has no table [tool.aspool]")
    table = tool.get("aspool", {})
    if not isinstance(table, dict):
        raise Misuse(f"{path}: tool.aspool must be a table, not {table!r}")
    return table


def _checked(path: str, table: Mapping[str, Any]) -> dict[str, Found]:
    return {key: Found(_value(path, key, value), f"{path}:{key}") for key, value in table.items()}


def _value(path: str, key: str, value: Any) -> Any:
    if key in OTHER_KEYS:
        return _fitting(path, key, value, None if isinstance(value, str) else "a text")
    option = OPTIONS.get(key)
    if isinstance(value, dict) and option is None:
        raise Misuse(f"{path} has a table [{key}]: options stand at the top, without a table")
    if option is None:
        raise Misuse(f"{path} has a key {key}, which is no option{did_you_mean(key, [*OPTIONS, *OTHER_KEYS])}")
    if isinstance(value, str) and kind(option) in (int, float):
        if value == NONE and may_be_none(option):
            return None
        if kind(option) is float:
            try:
                return seconds_of(value)
            except NoDuration as error:
                raise Misuse(f"{path}: {key}: {error}") from None
    choices = option.metadata["choices"]
    if choices and value not in choices:
        return _fitting(path, key, value, f"one of {', '.join(choices)}")
    return _fitting(path, key, value, misfit(option, value))


def _fitting(path: str, key: str, value: Any, wanted: str | None) -> Any:
    if wanted is not None:
        raise Misuse(f"{path}: {key} must be {wanted}, not {value!r}")
    return tuple(value) if isinstance(value, list) else value


def written(values: Mapping[str, Any]) -> str:
    """Values as lines of TOML. Raises Misuse for a text that TOML cannot have: one that is not UTF-8."""
    return "".join(f"{name} = {_literal(name, value)}\n" for name, value in values.items())


def _literal(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(name, one) for one in value)}]"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misuse(f"{name} is not UTF-8, as a text in TOML must be: {value!r}") from None
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which TOML wants to be escaped, too
    return NONE if value is None else str(value).lower()
