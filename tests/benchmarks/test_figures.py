"""Medians, ratios and verdicts."""

import pytest

from benchmarks.figures import Run, Verdict, described, medians, number, ratios, verdict
from benchmarks.scenario import Goal

RUNS = [
    Run("aspool", 1, {"tasks/s": 10.0, "MiB": 5.0}),
    Run("uWSGI", 1, {"tasks/s": 20.0}),
    Run("aspool", 2, {"tasks/s": 30.0, "MiB": 7.0}),
    Run("uWSGI", 2, {"tasks/s": 30.0}),
    Run("aspool", 3, {"tasks/s": 80.0, "MiB": 6.0}),
    Run("uWSGI", 3, {}, "it died"),
]


def test_medians_are_of_each_figure_of_each_contender() -> None:
    assert medians(RUNS) == {"aspool": {"tasks/s": 30.0, "MiB": 6.0}, "uWSGI": {"tasks/s": 25.0}}


def test_ratios_are_of_rounds_that_both_took_part_in() -> None:
    assert ratios(RUNS, "tasks/s", "aspool", "uWSGI") == [0.5, 1.0]
    assert ratios(RUNS, "MiB", "aspool", "uWSGI") == []


@pytest.mark.parametrize(
    ("goal", "value", "is_met"),
    [
        (Goal(figure="tasks/s", at_least=30), 30.0, True),
        (Goal(figure="tasks/s", at_least=31), 30.0, False),
        (Goal(figure="tasks/s", to="uWSGI", at_least=0.75), 0.75, True),
        (Goal(figure="tasks/s", to="uWSGI", at_most=0.7), 0.75, False),
        (Goal(figure="tasks/s", at_least=1, at_most=29), 30.0, False),
        (Goal(figure="MiB", to="uWSGI", at_most=1), None, False),
        (Goal(figure="MiB", of="nobody", at_most=1), None, False),
    ],
)
def test_a_goal_is_met_or_missed(goal: Goal, value: float | None, is_met: bool) -> None:
    assert verdict(goal, RUNS) == Verdict(goal, value)
    assert verdict(goal, RUNS).is_met is is_met


def test_goals_in_words() -> None:
    goal = Goal(figure="p50 ms", to="uWSGI", at_most=2.0)
    assert described(goal) == "p50 ms: aspool / uWSGI ≤ 2"
    assert str(Verdict(goal, 1.5)) == "p50 ms: aspool / uWSGI ≤ 2 … 1.50, met"
    assert str(Verdict(goal, None)) == "p50 ms: aspool / uWSGI ≤ 2 … not measured"


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (99.96, "100.0"), (12.34, "12.3"), (1.234, "1.23"), (0.12345, "0.123"), (0, "0")],
)
def test_numbers_are_as_exact_as_they_deserve(value: float, text: str) -> None:
    assert number(value) == text
