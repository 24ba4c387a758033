"""From runs to medians, ratios and verdicts. Values only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .scenario import Figures, Goal


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender: its figures, or why there are none."""

    contender: str
    round: int
    figures: Figures
    error: str = ""
    seconds: float = 0.0  # that it took with all its preparations


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a goal; `value` is None when it was not measured."""

    goal: Goal
    value: float | None

    @property
    def is_met(self) -> bool:
        return self.value is not None and _fits(self.goal, self.value)

    def __str__(self) -> str:
        if self.value is None:
            return f"{described(self.goal)} … not measured"
        return f"{described(self.goal)} … {number(self.value)}, {'met' if self.is_met else 'missed'}"


def medians(runs: Iterable[Run]) -> dict[str, dict[str, float]]:
    """Of each contender, each figure's median over the rounds."""
    values: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for figure, value in run.figures.items():
            values.setdefault(run.contender, {}).setdefault(figure, []).append(value)
    return {
        contender: {figure: median(each) for figure, each in figures.items()} for contender, figures in values.items()
    }


def ratios(runs: Sequence[Run], figure: str, of: str, to: str) -> list[float]:
    """The ratio in each round that has both: what disturbs a machine disturbs neighbours alike."""
    above, below = (_by_round(runs, figure, contender) for contender in (of, to))
    return [above[round] / below[round] for round in sorted(above) if below.get(round)]


def verdict(goal: Goal, runs: Sequence[Run]) -> Verdict:
    """The median of the goal's figure, or of its ratios, against its limits."""
    if goal.to is None:
        values = list(_by_round(runs, goal.figure, goal.of).values())
    else:
        values = ratios(runs, goal.figure, goal.of, goal.to)
    return Verdict(goal, median(values) if values else None)


def described(goal: Goal) -> str:
    """`p50 ms: aspool / uWSGI ≤ 2`."""
    what = goal.of if goal.to is None else f"{goal.of} / {goal.to}"
    limits = ((sign, limit) for sign, limit in (("≥", goal.at_least), ("≤", goal.at_most)) if limit is not None)
    return f"{goal.figure}: {what} {' and '.join(f'{sign} {limit:,g}' for sign, limit in limits)}"


def number(value: float) -> str:
    """As exact as such measurements are: three digits, or whole thousands' separators."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{1 if abs(value) >= 10 else 2}f}"


def _by_round(runs: Iterable[Run], figure: str, contender: str) -> Mapping[int, float]:
    return {run.round: run.figures[figure] for run in runs if run.contender == contender and figure in run.figures}


def _fits(goal: Goal, value: float) -> bool:
    least, most = goal.at_least, goal.at_most
    return (least is None or value >= least) and (most is None or value <= most)
