"""Which spool a verb is about: -d, an APP, or the environment; and that looking at one makes nothing."""

import os
from collections.abc import Callable
from typing import Any

import click

from ..addresses import spool_at
from ..application import load_spooler
from ..browsing import Browsable
from ..errors import CallError, SpoolUnusable, UnknownSpool
from ..protocol import Spool
from ..spools.directory import DirectorySpool

DEFAULT_ADDRESS = "./spool"
VARIABLE = "ASPOOL_SPOOL"
Command = Callable[..., Any]
_NAMED = f"{__name__}.app"

_HELP = f"the spool: a directory or a URL  [default: ${VARIABLE}, or {DEFAULT_ADDRESS}]"
spool_option = click.option("-d", "--spool", "address", metavar="ADDRESS", help=_HELP)
app_option = click.option("--app", metavar="APP", help="the spools of an application, module:attribute; -d names one")


def app_argument(command: Command) -> Command:
    """APP as an argument; as --app too, as other verbs have it."""
    argument = click.argument("app", required=False, callback=lambda ctx, _, value: value or ctx.meta.get(_NAMED))
    option = click.option("--app", "named", metavar="APP", help="the same as APP", expose_value=False, is_eager=True,
                          callback=lambda ctx, _, value: ctx.meta.update({_NAMED: value}))  # fmt: skip
    return argument(option(command))


def address_or_default(address: str | None) -> str:
    """What -d says, or the environment."""
    return address or os.environ.get(VARIABLE) or DEFAULT_ADDRESS


def spools_of(app: str | None, address: str | None) -> list[Spool]:
    """The spools of an APP, of which -d may name one; or the spool of an address."""
    if app is None:
        return [spool_at(address_or_default(address))]
    if "/" in app and ":" not in app and os.path.isdir(app):
        raise UnknownSpool(f"{app} is a directory, and APP is module:attribute: write -d {app}")
    spools = load_spooler(app).spools
    if address is None:
        return list(spools.values())
    if address not in spools:
        raise UnknownSpool(f"{app} has no spool called {address!r}; there are {', '.join(spools)}")
    return [spools[address]]


def browsable(spool: Spool) -> Browsable:
    """A spool that can be looked at. Raises SpoolUnusable when there is none yet: looking makes none."""
    if isinstance(spool, DirectorySpool):
        _check_directory(str(spool.path))
    if not isinstance(spool, Browsable):
        raise CallError(f"{spool.address} cannot be looked at from the command line")
    return spool


def is_missing(spool: Spool) -> bool:
    """Whether it is a directory that nobody has made yet."""
    return isinstance(spool, DirectorySpool) and not os.path.lexists(spool.path)


def _check_directory(path: str) -> None:
    if not os.path.lexists(path):
        raise SpoolUnusable(f"there is no spool at {path}: name another one with -d, or spool something first")
    try:
        names = os.listdir(path)
    except OSError:
        return  # opening it says what is wrong
    if names and not any(
        name == ".aspool" or name.startswith("uwsgi_spoolfile_on_") or name.isdecimal() for name in names
    ):
        raise SpoolUnusable(f"{path} is a directory, but no spool: there is nothing of aspool or uWSGI in it")
