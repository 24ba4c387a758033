"""The settings that were given in whatever way, and where each of them was."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from ...errors import CallError
from ...placing import placed
from ...settings import Settings, did_you_mean
from ..failures import Misuse
from ..places import VARIABLE
from .found import OPTIONS
from .options import PREFIX, flag, found_in_files, ini_of, variable
from .telling import warn
from .uwsgi_program import read

SHORT_GRACE = 0.5  # seconds, in which a mule, which is a process, can be ended without its worker
_OTHER_VARIABLES = (VARIABLE, f"{PREFIX}APP", f"{PREFIX}CONFIG", f"{PREFIX}INI")


@dataclass(frozen=True, slots=True)
class Given:
    """`settings` as they were written, `placed` with absolute paths; `where` has the options that were given."""

    app: str | None
    settings: Settings
    placed: Settings
    where: Mapping[str, str]

    def required_app(self) -> str:
        """The application, or the modules of a program of uWSGI. Raises Misuse when there is none, or both."""
        if self.settings.uwsgi and self.app is not None:
            raise Misuse(
                f"app contradicts uwsgi: leave out one of them (app: {self.where['app']}, uwsgi: {self.where['uwsgi']})"
            )
        if self.settings.uwsgi:
            return ", ".join(self.placed.uwsgi)
        if self.app is None:
            raise Misuse(
                "no application: give APP as module:attribute, as app:spooler, or ASPOOL_APP, or app in aspool.toml; "
                "for a program that was written for uWSGI --uwsgi MODULE"
            )
        return self.app


def given(ctx: click.Context, **fixed: Any) -> Given:
    """What the options of a command, the environment and the files say. Raises Misuse for what cannot be.

    `fixed` are settings that the command gives itself.
    """
    _warn_of_variables(os.environ)
    known = [name for name in OPTIONS if name in ctx.params and name not in fixed]
    where = _where(ctx, "app") | {name: place for name in known for place in _where(ctx, name).values()}
    values = {name: ctx.params[name] for name in where if name != "app"} | fixed
    try:
        if values.get("uwsgi"):
            values = _of_program(ctx, values, where)
        settings = Settings(**values)
        return Given(ctx.params.get("app"), settings, placed(settings), where)
    except CallError as error:
        raise Misuse(f"{error}{_places(str(error), where)}") from None


def _of_program(ctx: click.Context, values: dict[str, Any], where: dict[str, str]) -> dict[str, Any]:
    """With what a program of uWSGI finds in its ini, and runs as there: one task at a time, in the machine's zone.

    What blocks the event loop, as a task then does, cannot end within any grace.
    """
    _check_modules(values["uwsgi"])
    ini = ini_of(ctx)
    found = {} if ini is None else read(ini, os.environ)
    for name, one in found.items():
        where.setdefault(name, one.where)
    in_ini = {name: one.value for name, one in found.items()}
    both = {"uwsgi_options": in_ini.get("uwsgi_options", ()) + values.get("uwsgi_options", ())}
    zone = {"tz": name} if (name := os.environ.get("TZ", "").removeprefix(":")) else {}
    all_given = {"concurrency": 1} | zone | in_ini | values | both
    return ({"harakiri_grace": SHORT_GRACE} if all_given["concurrency"] == 1 else {}) | all_given


def _check_modules(modules: Sequence[str]) -> None:
    """Raises Misuse for one that is written as an application is."""
    for text in modules:
        module, colon, attribute = text.rpartition(":")
        if colon and not os.path.isfile(text):
            raise Misuse(
                f"--uwsgi {text}: a program of uWSGI is a module, or its file, without {attribute!r}: it sets "
                f"uwsgi.spooler itself; try --uwsgi {module}"
            )


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
