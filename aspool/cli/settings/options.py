"""The options of the command line for settings, one for each, and for the files that they may stand in: for click."""

import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ...settings import kind, may_be_none
from ..parameters import seconds
from . import toml, uwsgi_options
from .found import NONE, OPTIONS, Found
from .telling import warn

if TYPE_CHECKING:
    from dataclasses import Field

Command = Callable[..., Any]
PREFIX = "ASPOOL_"
_LAYERS = f"{__name__}.layers"  # the strongest first
_INI = f"{__name__}.ini"
_RUNTIME_DIRS = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")


def settings_options(command: Command) -> Command:
    """APP, one option for each setting, and --config and --ini, whose files are read before the others count."""
    command = some_settings_options(*OPTIONS)(command)
    return click.argument("app", required=False, envvar=f"{PREFIX}APP")(command)


def some_settings_options(*names: str) -> Callable[[Command], Command]:
    """The same for some of the settings, without APP."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = _option(OPTIONS[name])(command)
        for file_option in (_ini, _config):
            command = file_option(command)
        return command

    return decorate


def flag(option: "Field[Any]") -> str:
    """Its name on the command line."""
    return "--" + (option.metadata["flag"] or option.name).replace("_", "-")


def variable(name: str) -> str:
    """Its name in the environment."""
    return f"{PREFIX}{name.upper()}"


def _option(option: "Field[Any]") -> Callable[[Command], Command]:
    name, help = flag(option), option.metadata["help"] + _default(option)
    if kind(option) is bool:
        both = f"{name}/--no-{name[2:]}"
        return click.option(both, option.name, default=None, envvar=variable(option.name), help=help)
    return click.option(
        *(["-d", name] if option.name == "spools" else [name]),  # as all verbs have it
        option.name,
        type=_Text(option),
        multiple=kind(option) is tuple,
        envvar=variable(option.name),
        metavar=_metavar(option),
        help=help,
    )


def _default(option: "Field[Any]") -> str:
    default = option.default
    if default is None or default == () or default is False:
        return ""
    shown = "on" if default is True else format(default, "g") if isinstance(default, float) else default
    return f"  [default: {shown}]"


def _metavar(option: "Field[Any]") -> str:
    if choices := option.metadata["choices"]:
        return f"[{'|'.join(choices)}]"
    return option.metadata["metavar"] or {int: "N", float: "S"}.get(kind(option), "TEXT")


class _Text(click.ParamType):  # type: ignore[type-arg]  # it is generic in newer versions of click only
    """A value as a text of the command line or the environment; files have values already."""

    name = "text"

    def __init__(self, option: "Field[Any]") -> None:
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value.lower() == NONE and kind(self._option) in (int, float) and may_be_none(self._option):
            return None
        if kind(self._option) is float:
            return seconds(value)
        if kind(self._option) is int:
            return click.INT(value, param, ctx)
        if choices := self._option.metadata["choices"]:
            return click.Choice(choices, case_sensitive=False)(value, param, ctx)
        return value

    def split_envvar_value(self, rv: str) -> list[str]:
        """Several values in one variable: words as a shell has them."""
        try:
            return shlex.split(rv)
        except ValueError as error:
            raise click.BadParameter(f"{rv!r} cannot be split into words as a shell does: {error}") from None


# --- files -------------------------------------------------------------------------------------------------------


def found_in_files(ctx: click.Context) -> Mapping[str, Found]:
    """What the files say, and the environment about directories."""
    toml_, ini, surroundings = _layers(ctx)
    return surroundings | ini | toml_


def _layers(ctx: click.Context) -> list[dict[str, Found]]:
    layers: list[dict[str, Found]] = ctx.meta.setdefault(_LAYERS, [{}, {}, _surroundings()])
    return layers


def _put(ctx: click.Context, layer: int, found: dict[str, Found]) -> None:
    _layers(ctx)[layer] = found
    ctx.default_map = {name: one.value for name, one in found_in_files(ctx).items() if one.value is not None}


def _surroundings() -> dict[str, Found]:
    """Where run-time files belong, as systemd or the session says."""
    for name in _RUNTIME_DIRS:
        if directory := os.environ.get(name, "").partition(":")[0]:
            return {"runtime_dir": Found(directory, f"default (${name})")}
    return {}


def _read_config(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    if not ctx.resilient_parsing:
        _put(ctx, 0, toml.read(path))


def _read_ini(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is None or ctx.resilient_parsing:
        return
    found, warnings = uwsgi_options.read(name, os.environ)
    for sentence in warnings:
        warn(sentence)
    _put(ctx, 1, found)
    ctx.meta[_INI] = name


def ini_of(ctx: click.Context) -> str | None:
    """The FILE[:SECTION] of --ini, however it was given."""
    name: str | None = ctx.meta.get(_INI)
    return name


_config = click.option(
    "--config", metavar="FILE", envvar=f"{PREFIX}CONFIG", is_eager=True, expose_value=False, callback=_read_config,
    help="read options from this TOML file  [default: aspool.toml, or pyproject.toml, if they are there]",
)  # fmt: skip
_ini = click.option(
    "--ini", metavar="FILE[:SECTION]", envvar=f"{PREFIX}INI", is_eager=True, expose_value=False, callback=_read_ini,
    help="read the spooler options of a uwsgi.ini; whatever else says is stronger",
)  # fmt: skip
