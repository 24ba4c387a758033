"""Results as JSON lines. Each line has its `kind` and its `group`, so that a group can be measured again by itself."""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from .figures import Run, Verdict, described, medians
from .places import Place
from .scenario import Scenario

Line = Mapping[str, Any]


class Record:
    """Writes lines to a file as they come, so that an interrupted run leaves what it had."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def machine(self, group: str, facts: Line, places: Sequence[Place]) -> None:
        kinds = {place.name: place.kind for place in places}
        self._write(kind="machine", group=group, **facts, file_systems=kinds)

    def scenario(self, scenario: Scenario) -> None:
        self._write(
            kind="scenario", group=scenario.group, scenario=scenario.name, contenders=list(scenario.contenders),
            notes=scenario.notes,
        )  # fmt: skip

    def run(self, scenario: Scenario, place: Place, run: Run) -> None:
        self._write(kind="run", **_where(scenario, place), **_rounded(dataclasses.asdict(run)))

    def summary(self, scenario: Scenario, place: Place, runs: Sequence[Run], verdicts: Sequence[Verdict]) -> None:
        for contender, figures in medians(runs).items():
            rounds = len([run for run in runs if run.contender == contender and run.figures])
            self._write(
                kind="median", **_where(scenario, place), contender=contender, rounds=rounds, figures=_rounded(figures)
            )
        for verdict in verdicts:
            self._write(
                kind="goal", **_where(scenario, place), goal=described(verdict.goal), value=_rounded(verdict.value),
                met=verdict.is_met,
            )  # fmt: skip

    def _write(self, **line: Any) -> None:
        if self._file is not None:
            print(json.dumps(line, ensure_ascii=False), file=self._file, flush=True)


def read(path: Path) -> list[Line]:
    """All lines of a file, in their order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def merge(new: Path, into: Path) -> None:
    """Put the groups of a new file in the place of the same groups of an older one."""
    lines = read(new)
    groups = {line["group"] for line in lines}
    kept = [line for line in (read(into) if into.exists() else []) if line["group"] not in groups]
    partial = into.with_suffix(".partial")
    partial.write_text("".join(_texts([*kept, *lines])), encoding="utf-8")
    os.replace(partial, into)


def _texts(lines: Iterable[Line]) -> Iterator[str]:
    return (json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _where(scenario: Scenario, place: Place) -> dict[str, str]:
    return {"group": scenario.group, "scenario": scenario.name, "place": place.name}


def _rounded(value: Any) -> Any:
    """Six digits are more than any figure is worth."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return {key: _rounded(each) for key, each in value.items() if each != ""} if isinstance(value, dict) else value
