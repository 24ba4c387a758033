"""One run of the benchmarks: every scenario on every place, shown and written down as it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine, runner
from .figures import verdict
from .places import Place, places
from .record import Record
from .scenario import Scenario
from .terminal import Screen


@dataclass(frozen=True, slots=True)
class Session:
    """Where results go, and how many rounds there are, if not each scenario's own number.

    `quick`: one round, and each scenario on one place only, the places in turn.
    """

    screen: Screen
    results: Record
    rounds: int | None = None
    quick: bool = False

    def run(self, scenarios: Sequence[Scenario], directory: Path | None, only: str | None = None) -> int:
        """Run them all, in this directory or on file systems of our own; how many goals were missed."""
        names = {place for scenario in scenarios for place in scenario.places if only in (None, place)}
        with places(directory, sorted(names)) as found:
            for place in found:
                self._introduce(place)
            groups = dict.fromkeys(scenario.group for scenario in scenarios)
            return sum(self._run_group([each for each in scenarios if each.group == group], found) for group in groups)

    def _introduce(self, place: Place) -> None:
        self.screen.say(f"{place.name}: {place.kind}, {place.path}")
        if place.warning:
            self.screen.warn(place.warning)

    def _run_group(self, scenarios: Sequence[Scenario], found: Sequence[Place]) -> int:
        self.results.machine(scenarios[0].group, machine.facts(), found)
        missed = 0
        for turn, scenario in enumerate(scenarios):
            self.results.scenario(scenario)
            own = [place for place in found if place.name in scenario.places]
            if self.quick and own:
                own = [own[turn % len(own)]]
            missed += sum(self._run_scenario(scenario, place) for place in own)
        return missed

    def _run_scenario(self, scenario: Scenario, place: Place) -> int:
        done = []
        rounds = self.rounds or (1 if self.quick else scenario.rounds)
        for run in runner.runs(scenario, place, rounds, self.screen.now):
            self.results.run(scenario, place, run)
            done.append(run)
        verdicts = [verdict(goal, done) for goal in scenario.goals]
        self.results.summary(scenario, place, done, verdicts)
        self.screen.results(scenario, place, done, verdicts)
        return sum(not each.is_met for each in verdicts)
