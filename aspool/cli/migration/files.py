"""What was found in a spool directory, in words: which files will run under aspool, and how."""

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import SpoolUnusable
from ..checks import contents, directory, disk
from ..checks.finding import Finding, fail, ok, warn
from ..output import at, count
from .kinds import Kind
from .survey import Survey, survey

if TYPE_CHECKING:
    from collections import Counter

SHOWN = 5
_HOW: dict[Kind, str] = {
    "uwsgidecorators": "they run under aspool worker --uwsgi MODULE, which has these functions",
    "uwsgi_tasks": "they run under aspool worker --uwsgi MODULE, with uwsgi_tasks installed",
    "uwsgiconf": "they run under aspool worker --uwsgi MODULE, with uwsgiconf installed",
    "raw": "uwsgi.spooler gets them under --uwsgi, @spooler.handler in an application of aspool",
    "aspool": "an application of aspool with these tasks runs them",
}


def look_at(path: str, now: float, *, is_ordered: bool | None) -> tuple[list[Finding], Survey]:
    """Look at a spool directory; `is_ordered`: whether uWSGI looks at priorities, None if nobody said."""
    try:
        os.lstat(path)
    except PermissionError:
        return [fail("directory", f"{path} cannot be reached by this user", "run this as its owner")], Survey()
    except OSError:
        return [_missing(path)], Survey()
    there = directory.existence(path)
    if there.level == "fail":
        return [there], Survey()
    if not os.access(path, os.R_OK | os.X_OK):
        return [there, replace(directory.ownership(path), level="fail")], Survey()
    findings = [there, *(one for one in _place(path) if one.level != "ok")]
    try:
        found = survey(path, now)
    except OSError as error:
        raise SpoolUnusable(f"{path} cannot be read: {error.strerror}: run this as its owner") from None
    findings += [*_kinds(found), *_pickles(path, found), *_waiting(found, is_ordered=is_ordered), *_broken(found)]
    never = [replace(one, level="fail") for one in contents.never_run(path)]
    return [*findings, *(one for one in [*never, *contents.put_aside(path)] if one.advice)], found


def _missing(path: str) -> Finding:
    above = os.path.dirname(path)
    if os.path.isdir(above):
        return ok("directory", f"{path} does not exist yet: the first use makes it")
    return fail("directory", f"{path} does not exist, nor does {above}", f"mkdir -p {above}")


def _place(path: str) -> Iterator[Finding]:
    for check in (directory.ownership, directory.mode, directory.location, directory.private_area, disk.file_system):
        yield check(path)


def _kinds(found: Survey) -> Iterator[Finding]:
    if not found.total:
        yield ok("messages", "no task files wait in it")
    for kind, named in sorted(found.kinds.items()):
        yield ok(kind, f"{count(named.total(), 'message')}{_of(named)}: {_HOW[kind]}")


def _of(named: "Counter[str]") -> str:
    """Which functions they call, the most frequent first."""
    told = [f"{name} {number:,}" for name, number in named.most_common(SHOWN) if name]
    more = len(named) - len(told) - ("" in named)
    return f" ({', '.join(told)}{f', and {more} more' if more > 0 else ''})" if told else ""


def _pickles(path: str, found: Survey) -> Iterator[Finding]:
    if not found.pickled:
        return
    text = f"{count(found.pickled, 'message')} with pickles"
    if os.stat(path).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail("pickles", f"{text}: nothing is unpickled where others may write", f"chmod go-w {path}")
    elif found.of_others:
        several = "belong" if found.of_others > 1 else "belongs"
        text = f"{text}, of which {found.of_others} {several} to another user than the directory: not unpickled"
        yield fail("pickles", text, "look where they come from")
    else:
        yield ok("pickles", f"{text}: they are read under --uwsgi only, and from files of the worker's user")


def _waiting(found: Survey, *, is_ordered: bool | None) -> Iterator[Finding]:
    if found.later:
        moment = f"{at(found.latest):%Y-%m-%d %H:%M} UTC"
        yield ok("later", f"{count(found.later, 'message')} for later, the last for {moment}")
    if found.young:
        yield warn("new", f"{count(found.young, 'file')} just being written, or cut", "look again in a minute")
    if found.below and not is_ordered:
        told = ", ".join(f"{name}: {number:,}" for name, number in sorted(found.below.items())[:SHOWN])
        without = "without spooler-ordered uWSGI never looks there, and aspool does"
        yield warn("priorities", f"{count(found.below.total(), 'message')} in numbered directories ({told}): {without}",
                   "see whether they are still wanted: aspool runs them at once")  # fmt: skip
    if found.priorities:
        told = ", ".join(repr(name) for name, _ in found.priorities.most_common(SHOWN))
        text = f"{count(found.priorities.total(), 'message')} with a priority that is no number: {told}"
        yield warn("priorities", text, "it runs; but a program that spools it again must give a number")


def _broken(found: Survey) -> Iterator[Finding]:
    for path, why in sorted(found.broken)[:SHOWN]:
        yield fail("broken", f"{path}: {why}", "move it away; aspool would keep it in .aspool/corrupt, unrun")
    if (more := len(found.broken) - SHOWN) > 0:
        yield fail("broken", f"and {more:,} more like these", "move them away")


def counts(found: Survey) -> dict[str, object]:
    """The numbers for programs."""
    return {
        "kinds": {kind: dict(named) for kind, named in found.kinds.items()},
        "pickled": found.pickled,
        "later": found.later,
        "young": found.young,
        "in_priorities": found.below.total(),
        "broken": len(found.broken),
    }
