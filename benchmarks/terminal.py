"""What is shown while benchmarks run: what runs now, then a table for each scenario and place, then the goals."""

import sys
from collections.abc import Iterable, Sequence
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .figures import Run, Verdict, described, number
from .places import Place
from .scenario import Scenario

WIDTH = 120  # of tables in a file


def is_terminal() -> bool:
    """Whether somebody watches."""
    return sys.stdout.isatty()


class Screen:
    """Tables on the standard output; on a terminal also a line that says what runs now."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True, width=None if is_terminal() else WIDTH)

    def now(self, text: str) -> None:
        """Replaced by the next one; says nothing where nobody watches."""
        if self.console.is_terminal:
            self.console.print(f"[dim]{escape(text)}[/]\x1b[K", end="\r")

    def say(self, text: str) -> None:
        self.console.print(f"{escape(text)}\x1b[K" if self.console.is_terminal else escape(text))

    def warn(self, text: str) -> None:
        self.console.print(f"[bold yellow]{escape(text)}[/]")

    def results(self, scenario: Scenario, place: Place, runs: Sequence[Run], verdicts: Iterable[Verdict]) -> None:
        """One scenario on one place."""
        self.console.print(_table(scenario, place, runs))
        for text in dict.fromkeys(f"{run.contender} failed: {run.error}" for run in runs if run.error):
            self.console.print(f"  [red]{escape(text)}[/]")
        for verdict in verdicts:
            self.console.print(f"  [{'green' if verdict.is_met else 'red'}]{escape(str(verdict))}[/]")
        self.console.print()

    def listed(self, scenario: Scenario) -> None:
        """What a scenario would measure."""
        self.say(f"{scenario.group}: {scenario.name}")
        self.say(f"    {' · '.join(scenario.contenders)}")
        for goal in scenario.goals:
            self.say(f"    goal: {described(goal)}")


def _table(scenario: Scenario, place: Place, runs: Sequence[Run]) -> Table:
    figures = list(dict.fromkeys(figure for run in runs for figure in run.figures))
    title = f"{escape(scenario.group)}: {escape(scenario.name)}, {escape(place.kind)}"
    table = Table("", title=title, title_justify="left", title_style="bold")
    for figure in figures:
        table.add_column(escape(figure), justify="right")
    for contender in dict.fromkeys(run.contender for run in runs):
        own = [run for run in runs if run.contender == contender]
        failed = "" if any(run.figures for run in own) else " [red](failed)[/]"
        table.add_row(f"{escape(contender)}{failed}", *(_cell(own, figure) for figure in figures))
    return table


def _cell(runs: Sequence[Run], figure: str) -> str:
    """The median, and how far the rounds were apart."""
    values = [run.figures[figure] for run in runs if figure in run.figures]
    if not values:
        return ""
    spread = f" [dim]({number(min(values))} to {number(max(values))})[/]" if len(values) > 1 else ""
    return f"{number(median(values))}{spread}"
