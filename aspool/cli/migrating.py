"""`aspool migrate --check`: what is looked at, and the report. What each part looks at is in `migration`."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from ..errors import FAILED
from . import output
from .checks.finding import Finding
from .checks.report import report
from .failures import Misuse
from .looking import json_option
from .migration import files, options


@dataclass(frozen=True, slots=True)
class _Part:
    """One thing that was looked at; `counts` are those of a spool."""

    about: str
    findings: list[Finding]
    counts: dict[str, Any] = field(default_factory=dict)


@click.command()
@click.argument("sources", nargs=-1, metavar="[MODULE|PATH]...")
@click.option("--check", is_flag=True, help="look, and change nothing; without it there is nothing to do")
@click.option("--ini", metavar="FILE[:SECTION]", help="look at a uwsgi.ini, and at the spools that it names")
@click.option("-d", "--spool", "spools", metavar="DIR", multiple=True, help="look at this directory, too")
@json_option
def migrate(sources: Sequence[str], check: bool, ini: str | None, spools: Sequence[str], as_json: bool) -> None:
    """Say what of a program for uWSGI will run on aspool as it is, what will not, and what to do about it.

    It looks at the options of a uwsgi.ini, at the task files of its spools, and at the sources of a program: a
    directory, a file, or a module by its name. Nothing is imported or unpickled, no file is changed, and a uWSGI that
    works there is not disturbed.

    Exit code 0 if all will run, 1 if something will not. In a pipe: level, check, text and advice between tabs.
    """
    if not check:
        raise Misuse("nothing need be converted, so aspool migrate only looks: aspool migrate --check --ini uwsgi.ini")
    if ini is None and not spools and not sources:
        raise Misuse("there is nothing to look at: name a uwsgi.ini with --ini, a spool with -d, or the sources")
    parts = list(_parts(ini, spools, sources))
    if as_json:
        output.print_json([_jsonable(part) for part in parts])
    else:
        for part in parts:
            report(part.about, part.findings)
    if any(one.level == "fail" for part in parts for one in part.findings):
        click.get_current_context().exit(FAILED)


def _parts(ini: str | None, spools: Sequence[str], sources: Sequence[str]) -> Iterator[_Part]:
    paths = [os.path.abspath(path) for path in spools]
    is_ordered = None
    if ini is not None:
        looked = options.look_at(ini, os.environ)
        yield _Part(ini, looked.findings)
        is_ordered = looked.is_ordered
        paths += looked.spools
    now = time.time()
    for path in dict.fromkeys(paths):
        findings, found = files.look_at(path, now, is_ordered=is_ordered)
        yield _Part(path, findings, files.counts(found))
    if sources:
        from .migration import functions  # it knows the shims, and so loads them

        yield _Part(", ".join(sources), functions.look_at(sources))


def _jsonable(part: _Part) -> dict[str, Any]:
    said = {"about": part.about, "findings": [asdict(one) for one in part.findings]}
    return said | ({"messages": part.counts} if part.counts else {})
