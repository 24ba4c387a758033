"""The settings that were given in whatever way, and where each of them was."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import click
from click.core import ParameterSource

from ...errors import CallError
from ...placing import placed
from ...settings import Settings, did_you_mean
from ..failures import Misuse
from ..places import VARIABLE
from .found import OPTIONS
from .options import PREFIX, flag, found_in_files, variable
from .telling import warn

_OTHER_VARIABLES = (VARIABLE, f"{PREFIX}APP", f"{PREFIX}CONFIG", f"{PREFIX}INI")


@dataclass(frozen=True, slots=True)
class Given:
    """`settings` as they were written, `placed` with absolute paths; `where` has the options that were given."""

    app: str | None
    settings: Settings
    placed: Settings
    where: Mapping[str, str]

    def required_app(self) -> str:
        """The application. Raises Misuse when there is none."""
        if self.app is None:
            raise Misuse(
                "no application: give APP as module:attribute, as app:spooler, or ASPOOL_APP, or app in aspool.toml"
            )
        return self.app


def given(ctx: click.Context) -> Given:
    """What the options of a command, the environment and the files say. Raises Misuse for what cannot be."""
    _warn_of_variables(os.environ)
    where = _where(ctx, "app") | {name: place for name in OPTIONS for place in _where(ctx, name).values()}
    try:
        settings = Settings(**{name: ctx.params[name] for name in where if name != "app"})
        return Given(ctx.params["app"], settings, placed(settings), where)
    except CallError as error:
        raise Misuse(f"{error}{_places(str(error), where)}") from None


def _where(ctx: click.Context, name: str) -> dict[str, str]:
    """Where an option was given, by its name; empty if it was not."""
    source = ctx.get_parameter_source(name)
    in_files = found_in_files(ctx)
    if source is ParameterSource.COMMANDLINE:
        return {name: _flag(name, ctx.params[name])}
    if source is ParameterSource.ENVIRONMENT:
        return {name: variable(name)}
    return {name: in_files[name].where} if name in in_files else {}


def _flag(name: str, value: object) -> str:
    if name not in OPTIONS:
        return "argument"
    return flag(OPTIONS[name]) if value is not False else f"--no-{flag(OPTIONS[name])[2:]}"


def _places(sentence: str, where: Mapping[str, str]) -> str:
    """Where the options of a sentence were given."""
    named = [name for name in where if re.search(rf"\b{name}\b", sentence)]
    return f" ({', '.join(f'{name}: {where[name]}' for name in named)})" if named else ""


def _warn_of_variables(environ: Mapping[str, str]) -> None:
    known = [*_OTHER_VARIABLES, *(variable(name) for name in OPTIONS)]
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            warn(f"the variable {name} is no option and has no effect{did_you_mean(name, known)}")
