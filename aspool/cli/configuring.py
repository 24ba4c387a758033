"""`aspool config`: each option, its value, and where that was given."""

import shlex
from collections.abc import Iterator
from typing import Any

import click

from . import output
from .looking import json_option
from .output import Column
from .settings import toml
from .settings.found import OPTIONS
from .settings.given import Given, given
from .settings.options import settings_options

Row = tuple[str, Any, str]
DEFAULT = "default"
COLUMNS = (Column("option"), Column("value"), Column("from", styles={DEFAULT: "dim"}))


@click.command()
@settings_options
@click.option("--all", "everything", is_flag=True, help="also the options that nobody gave")
@click.option("--toml", "as_toml", is_flag=True, help="print an aspool.toml of what was found")
@json_option
@click.pass_context
def config(ctx: click.Context, /, everything: bool, as_toml: bool, as_json: bool, **_: Any) -> None:
    """Show each option that was given to `aspool worker`, its value, and where it came from.

    It takes the same options, and reads the same variables and files: a flag is stronger than a variable of the
    environment, that than aspool.toml, that than a uwsgi.ini. APP is not imported. Exit code 2 if the options
    contradict each other.

    In a pipe: option, value and place between tabs. --toml makes an aspool.toml of a uwsgi.ini.
    """
    found = given(ctx)
    rows = [row for row in _rows(found) if everything or as_toml or not row[2].startswith(DEFAULT)]
    if as_toml:
        changed = {name: value for name, value, place in rows if not place.startswith(DEFAULT)}
        click.echo(toml.written({name: value for name, value in changed.items() if value is not None}), nl=False)
    elif as_json:
        output.print_json({name: {"value": value, "from": place} for name, value, place in rows})
    else:
        title = output.count(len(rows), "option")
        output.print_table(title, COLUMNS, [(name, _told(value), place) for name, value, place in rows])


def _rows(found: Given) -> Iterator[Row]:
    if found.app is not None:
        yield "app", found.app, found.where["app"]
    for name in OPTIONS:
        yield name, getattr(found.settings, name), found.where.get(name, DEFAULT)


def _told(value: Any) -> str:
    """As it may be written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return shlex.join(value) if isinstance(value, tuple) else "none" if value is None else str(value)
