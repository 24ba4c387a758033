"""`aspool worker`: its options, made from WorkerSettings. What the process does then is in `standalone`."""

import logging
import sys
import typing
from collections.abc import Callable
from dataclasses import Field, fields
from importlib.metadata import version
from typing import Any

import click

from ..settings import WorkerSettings
from .app import load_spooler
from .parameters import seconds

LEVELS = ("debug", "info", "warning", "error")
Command = Callable[..., Any]


def settings_options(command: Command) -> Command:
    """One option for each field of WorkerSettings."""
    hints = typing.get_type_hints(WorkerSettings)
    for field in reversed(fields(WorkerSettings)):
        command = _option(field, hints[field.name])(command)
    return command


def _option(field: "Field[Any]", hint: Any) -> Callable[[Command], Command]:
    name = "--" + field.name.replace("_", "-")
    kind = _plain_type(hint)
    default = field.default
    told = "" if default is None or kind is bool else f"  [default: {default:g}]"
    text = f"{field.metadata['help']}{told}"
    env: dict[str, Any] = {"envvar": f"ASPOOL_{field.name.upper()}", "help": text, "default": default}
    if kind is bool:
        return click.option(f"{name}/--no-{name[2:]}" if default else name, is_flag=True, **env)
    if kind is float:
        return click.option(name, type=seconds, metavar="S", **env)
    return click.option(name, type=click.IntRange(min=0), metavar="N", **env)


def _plain_type(hint: Any) -> Any:
    """`float | None` -> float."""
    return next((part for part in typing.get_args(hint) if part is not type(None)), hint)


@click.command()
@click.argument("app")
@settings_options
@click.option("--log-level", type=click.Choice(LEVELS, case_sensitive=False), default="info", envvar="ASPOOL_LOG_LEVEL",
              help="what is told on stderr  [default: info]")  # fmt: skip
def worker(app: str, log_level: str, **options: Any) -> None:
    """Run the tasks of APP until a signal comes.

    APP is module:attribute; the attribute is "spooler" if none is given, and the current directory is importable.
    On SIGTERM or SIGINT (Ctrl-C) the worker claims no more and lets running jobs go on for --grace seconds;
    on a second signal it hands them back at once. S is seconds, or a number with m, h or d behind it.
    Every option can also be set in the environment: --max-tasks is ASPOOL_MAX_TASKS.
    """
    from .standalone import run_worker

    settings = WorkerSettings(**options)
    spooler = load_spooler(app)
    _set_up_logging(log_level)
    for spool in spooler.spools.values():
        click.echo(f"aspool {version('aspool')}: {app} works on {spool.address}")
    sys.stdout.flush()
    run_worker(spooler, settings)


def _set_up_logging(level: str) -> None:
    """To stderr, one line per event; an application that set up logging itself keeps what it set up."""
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("aspool").setLevel(level.upper())
