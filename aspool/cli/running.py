"""`aspool run`: a script that was written for uWSGI, with aspool's modules `uwsgi` and `uwsgidecorators`."""

import os
import sys
from typing import Any

import click

from ..compat.running import put_in_place, run_as_main, stay_as_mule
from ..errors import FAILED
from .failures import INTERRUPTED, Misuse
from .settings.given import given
from .settings.options import some_settings_options

_SETTINGS = ("spools", "external", "uwsgi_options", "uwsgi_strict", "mules", "farms", "tz")


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--uwsgi", "script", metavar="SCRIPT", help="run this file")
@click.option("-m", "--module", metavar="MODULE", help="run this module instead")
@click.option("--mule", type=click.IntRange(min=1), metavar="N", help="as the mule of this number, not as a worker")
@some_settings_options(*_SETTINGS)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(
    ctx: click.Context, /, script: str | None, module: str | None, mule: int | None, args: tuple[str, ...], **_: Any
) -> None:
    """Run a Python script that imports `uwsgi` as a process of a web worker would run in uWSGI.

    What it spools goes into the spool; `aspool worker --uwsgi` runs it. ARGS are the script's own: options of aspool
    stand before them. The exit code is the script's. The current directory is importable.
    """
    target = script or module
    if target is None or (script and module):
        raise Misuse("name one program to run: --uwsgi SCRIPT or -m MODULE")
    if script is not None and not os.path.isfile(script):
        raise Misuse(f"there is no file {script} to run")
    found = given(ctx, uwsgi=(target,))
    if mule is not None and mule > found.settings.mules:
        raise Misuse(f"--mule {mule}: the program has {found.settings.mules} mules; say how many with --mules")
    # As Python does it: the script's own directory comes first.
    sys.path[:0] = [os.path.dirname(os.path.realpath(script)), os.getcwd()] if script else [os.getcwd()]
    sys.argv = [target, *args]
    program = put_in_place(found.placed, mule or 0)
    try:
        run_as_main(target, is_module=script is None)
        if mule is not None:
            stay_as_mule(program)
    except (Exception, KeyboardInterrupt) as error:
        _tell(error)
        ctx.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED)


def _tell(error: BaseException) -> None:
    """As Python does, from the script's first line on."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _is_ours(filename: str) -> bool:
    return "runpy" in filename or filename in (__file__, run_as_main.__code__.co_filename)
