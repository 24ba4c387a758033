"""The page of the documentation that shows the results: what stands between its markers is made from a run."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .chart import draw
from .figures import number
from .record import Line

EXPLANATION = Path(__file__).parents[1] / "docs" / "explanation"
PAGE, CHART = EXPLANATION / "speed.md", EXPLANATION / "speed.svg"
_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(lines: Sequence[Line], page: Path = PAGE, chart: Path = CHART) -> None:
    """Draw the chart, and put the tables of this run in the place of the last one's."""
    draw(lines, chart)
    page.write_text(with_tables(page.read_text(encoding="utf-8"), lines), encoding="utf-8")


def with_tables(text: str, lines: Sequence[Line]) -> str:
    """The text of the page with new tables: one block for each group, and one for the machine."""

    def block(found: "re.Match[str]") -> str:
        name = found[2]
        made = _machine(lines) if name == "machine" else _group([line for line in lines if line["group"] == name])
        return f"{found[1]}\n{made or '*Not measured in this run.*'}\n\n{found[3]}"

    return _BLOCK.sub(block, text)


# --- the machine -----------------------------------------------------------------------------------------


def _machine(lines: Iterable[Line]) -> str:
    """What was measured on; groups that were measured another day say so."""
    machines = [line for line in lines if line["kind"] == "machine"]
    return "\n\n".join(
        f"{', '.join(groups)}:\n\n{_facts(facts)}" for facts, groups in _gathered(machines, _comparable).items()
    )


def _gathered(lines: Iterable[Line], key: Callable[[Line], Any]) -> dict[Any, list[str]]:
    groups: dict[Any, list[str]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(str(line["group"]))
    return groups


def _comparable(machine: Line) -> tuple[tuple[str, str], ...]:
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    places = "; ".join(f"{name}: {kind}" for name, kind in machine["file_systems"].items())
    return (
        ("date", str(machine["date"])[:10]),
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"),
        ("system", f"{machine['kernel']}, {machine['python']}"),
        ("packages", packages),
        ("file systems", places),
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_escaped(value)} |" for name, value in facts)])


# --- the tables ------------------------------------------------------------------------------------------


def _group(lines: Sequence[Line]) -> str:
    scenarios = [line for line in lines if line["kind"] == "scenario"]
    return "\n\n".join("\n\n".join(_scenario(scenario, lines)) for scenario in scenarios)


def _scenario(scenario: Line, lines: Iterable[Line]) -> Iterator[str]:
    """A heading, the table, the goals, and what a reader must know."""
    own = [line for line in lines if line.get("scenario") == scenario["scenario"]]
    found = [line for line in own if line["kind"] == "median"]
    figures = list(dict.fromkeys(figure for line in found for figure in line["figures"]))
    unit = f", {figures[0]}" if len(figures) == 1 else ""
    yield f"**{_escaped(scenario['scenario'][:1].upper() + scenario['scenario'][1:])}**{unit}"
    yield "\n".join(_table(scenario["contenders"], found, figures))
    if goals := "\n".join(_goals([line for line in own if line["kind"] == "goal"])):
        yield goals
    if scenario["notes"]:
        yield _escaped(scenario["notes"])


def _table(contenders: Sequence[str], medians: Sequence[Line], figures: Sequence[str]) -> Iterator[str]:
    """A row for each contender; a column for each figure on each place."""
    columns = [(place, figure) for place in _places(medians) for figure in figures]
    heads = [place if len(figures) == 1 else f"{figure}, {place}" for place, figure in columns]
    yield f"| | {' | '.join(map(_escaped, heads))} |"
    yield f"|---|{'--:|' * len(columns)}"
    values = {(line["contender"], line["place"]): line["figures"] for line in medians}
    for contender in contenders:
        cells = [_cell(values.get((contender, place), {}).get(figure)) for place, figure in columns]
        yield f"| {_escaped(contender)} | {' | '.join(cells)} |"


def _goals(goals: Sequence[Line]) -> Iterator[str]:
    """One line for each goal, with what came out on each place."""
    for goal, results in _by(goals, "goal").items():
        found = ", ".join(map(_result, results))
        yield f"- {_escaped(goal)}: {found}"


def _result(line: Line) -> str:
    if line["value"] is None:
        return f"not measured on {line['place']}"
    verdict = "met" if line["met"] else "**missed**"
    return f"{number(line['value'])} on {line['place']}, {verdict}"


def _by(lines: Iterable[Line], key: str) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(str(line[key]), []).append(line)
    return found


def _places(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(line["place"] for line in lines))


def _cell(value: float | None) -> str:
    return "" if value is None else number(value)


def _escaped(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([|*_<])", r"\\\1", text)
