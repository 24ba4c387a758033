"""`aspool doctor`: which checks run in which order, and the report. What each looks at is in `checks`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import click

from ..errors import FAILED, UNUSABLE, CallError
from ..protocol import Spool
from ..spools.directory import DirectorySpool
from . import output
from .checks import contents, directory, disk, schedules, system, workers
from .checks.finding import Finding, fail
from .checks.report import report
from .looking import json_option
from .places import app_argument, spool_option, spools_of

Check = Callable[[str], Finding | list[Finding]]
OUTSIDE: Sequence[Check] = (directory.mode, directory.location, disk.file_system, disk.room)
INSIDE: Sequence[Check] = (
    directory.private_area,
    system.unnamed_files,
    system.attributes,
    system.file_locks,
    disk.clock,
    lambda _: system.instant_wakeup(),
    lambda _: system.capacity(),
    workers.same_user,
    workers.living,
    workers.paused,
    schedules.firing,
    contents.never_run,
    contents.leftovers,
    contents.put_aside,
    contents.directory_size,
)


@click.command()
@app_argument
@spool_option
@json_option
def doctor(app: str | None, address: str | None, as_json: bool) -> None:
    """Check a spool directory and the system below it: one line per check, and what to do.

    Nothing is changed. Exit code 1 if a check fails, 3 if there is no directory to check.
    In a pipe: level, check, text and advice between tabs.
    """
    found = {spool.address: _examine(_path(spool)) for spool in spools_of(app, address)}
    if as_json:
        output.print_json(
            [{"spool": spool, "findings": [asdict(one) for one in findings]} for spool, findings in found.items()]
        )
    else:
        for spool, findings in found.items():
            report(spool, findings)
    everything = [one for findings in found.values() for one in findings]
    if any(one.level == "fail" for one in everything):
        missing = any(one.level == "fail" and one.check == "directory" for one in everything)
        click.get_current_context().exit(UNUSABLE if missing else FAILED)


def _path(spool: Spool) -> str:
    if not isinstance(spool, DirectorySpool):
        raise CallError(f"the doctor knows spools that are directories, which {spool.address} is not")
    return str(spool.path)


def _examine(path: str) -> list[Finding]:
    """All checks that make sense: none without a directory, none inside one that this user may not use."""
    there = directory.existence(path)
    if there.level == "fail":
        return [there]
    usable = directory.ownership(path)
    return [there, usable, *_run(path, [*OUTSIDE, *(() if usable.level == "fail" else INSIDE)])]


def _run(path: str, checks: Iterable[Check]) -> Iterable[Finding]:
    for check in checks:
        try:
            found = check(path)
        except OSError as error:
            found = fail("check", f"it could not be made: {error}", "see whether the directory can be read and written")
        yield from found if isinstance(found, list) else [found]
