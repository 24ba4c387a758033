"""`aspool listen`: a listener as a process of its own, without workers. What it does is in `aspool.net`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import click

from ..protocol import Spool
from ..settings import ListenerSettings, Settings
from .failures import Misuse
from .places import address_or_default
from .settings.given import given
from .settings.options import some_settings_options

LISTENER = [option.name for option in fields(ListenerSettings)]
PLACES = ("spools", "external", "base_dir", "project", "runtime_dir")
PROGRAM = ("pidfile", "log_level", "log_format", "log_config")


@click.command()
@click.argument("where", nargs=-1, metavar="[WHERE]...")
@some_settings_options(*PLACES, *LISTENER, *PROGRAM)
@click.pass_context
def listen(ctx: click.Context, /, where: tuple[str, ...], **_: Any) -> None:
    """Take tasks as uwsgi packets, from nginx, uWSGI or another aspool, and spool them, until a signal comes.

    WHERE is HOST:PORT, :PORT (on 127.0.0.1), *:PORT or unix:PATH, and may be given several times. The tasks are run by
    an `aspool worker`, or by a uWSGI, which work on the same spool: that of -d, or $ASPOOL_SPOOL, or ./spool.

    The options may also be set in the environment, in aspool.toml or in pyproject.toml, as those of `aspool worker`,
    which has them too. On SIGTERM, SIGINT or SIGHUP what is being received has a moment to come.
    """
    found = given(ctx, **({"listen": where} if where else {}))
    if not found.settings.listen:
        raise Misuse("nothing says where to listen: give WHERE, as 127.0.0.1:3031 or unix:/run/aspool/socket")
    _run(found.placed)


def _run(settings: Settings) -> None:
    import anyio

    from ..addresses import spool_at
    from ..net.listener import Listener
    from ..net.own_process import raise_limit, switch_quickly
    from ..observe.logs import set_up_logs
    from ..placing import named_spools
    from ..spooler import DEFAULT
    from ..supervisor import pidfile
    from ..supervisor.standard import have_standard_streams

    have_standard_streams()
    set_up_logs(settings)
    raise_limit(settings.max_connections)
    switch_quickly()
    spools = named_spools(settings) or {DEFAULT: spool_at(address_or_default(None))}
    with pidfile.held(settings.pidfile):
        anyio.run(_listen, Listener(settings), spools)


async def _listen(listener: Any, spools: Mapping[str, Spool]) -> None:
    from importlib.metadata import version
    from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, getsignal

    from anyio import create_task_group, open_signal_receiver

    from ..supervisor.standard import say

    for spool in spools.values():
        await spool.open()
    listener.open()
    async with create_task_group() as group:
        await group.start(listener.serve, spools)
        hangup = () if getsignal(SIGHUP) is SIG_IGN else (SIGHUP,)  # as nohup has it
        with open_signal_receiver(SIGTERM, SIGINT, *hangup) as signals:  # the next one ends it at once
            for address in listener.addresses:
                say(f"aspool {version('aspool')}: listens on {address} for {next(iter(spools.values())).address}")
            async for _ in signals:
                break
        group.cancel_scope.cancel()
    for spool in spools.values():
        await spool.aclose()
