"""Check of the schedules: whether their records can be read, and whether workers know them."""

import os
from collections.abc import Iterator, Mapping, Sequence

import anyio

from ... import schedule_record
from ...errors import SpoolUnusable
from ...spools.directory import DirectorySpool
from ...spools.directory.limits.slots import file_name
from ...spools.directory.schedules import AREA
from ...spools.directory.tree import PRIVATE
from ...turn import Kept
from .. import output
from ..timetable import Known, timetable_of
from .finding import Finding, ok, warn

SHOWN = 5


def firing(path: str) -> Finding | list[Finding]:
    """What cannot be read does not fire, nor what no worker knows."""
    area = os.path.join(path, PRIVATE, AREA)
    if not os.path.isdir(area):
        return ok("schedules", "none")
    spool = DirectorySpool(path)
    try:
        odd = _odd(area, anyio.run(spool.records))
        known = timetable_of(spool).schedules
    except SpoolUnusable as error:
        return warn("schedules", f"they cannot be seen: {error}", "see the other lines")
    found = [*_unreadable(odd), *_idle(known)]
    return found or ok("schedules", f"{len(known):,}" if known else "none")


def _odd(area: str, records: Mapping[str, Kept]) -> list[str]:
    good = {file_name(name) for name, kept in records.items() if schedule_record.read(kept.record) is not None}
    return [name for name in sorted(os.listdir(area)) if name not in good and os.path.lexists(os.path.join(area, name))]


def _unreadable(odd: Sequence[str]) -> Iterator[Finding]:
    if odd:
        advice = "remove the files, if no newer aspool wrote them: workers make the schedules of their code anew"
        what = f"{len(odd)} in {PRIVATE}/{AREA} cannot be read, and do not fire: {_shown(odd)}"
        yield warn("schedules", what, advice)


def _idle(schedules: Sequence[Known]) -> Iterator[Finding]:
    unknown = [known.name for known in schedules if known.state == "unknown"]
    if unknown:
        advice = "start a worker whose code has them and their tasks, or: aspool schedules remove NAME"
        what = f"no worker knows {len(unknown)} of them, which do not fire: {_shown(unknown)}"
        yield warn("schedules", what, advice)
    late = [known for known in schedules if known.is_late]
    if late:
        longest = output.duration(max(known.late for known in late))
        what = f"{len(late)} should have fired up to {longest} ago: {_shown([known.name for known in late])}"
        yield warn("schedules", what, "see the workers' log: they may not know the tasks, or be short of time")


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
