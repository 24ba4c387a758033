"""`aspool worker`: its settings are made in `settings`; what the process does then is in `serving`."""

from typing import Any

import click

from .settings.given import given
from .settings.options import settings_options


@click.command()
@settings_options
@click.pass_context
def worker(ctx: click.Context, /, **_: Any) -> None:
    """Run the tasks of APP until a signal comes.

    APP is module:attribute; the attribute is "spooler" if none is given, and the current directory is importable.
    On SIGTERM or SIGINT (Ctrl-C) the worker claims no more and lets running jobs go on for --grace seconds;
    on a second signal it hands them back at once. S is seconds, or a number with m, h or d behind it.

    Every option can also be set in the environment (--max-tasks is ASPOOL_MAX_TASKS), in aspool.toml or pyproject.toml,
    and read from a uwsgi.ini; `aspool config` shows what is set where.
    """
    from .serving import serve

    found = given(ctx)
    ctx.exit(serve(found.required_app(), found.placed))
