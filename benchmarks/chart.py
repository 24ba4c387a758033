"""The chart of the page: the figures that most people ask for, as bars."""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import latency
from .enqueue import BARE, BATCH, MANY, ONE, SQLITE, SQLITE_WAL, SYNC, UWSGI
from .figures import number
from .record import Line

PLACE = "ext4"  # where people have their spools
OURS, OTHERS = "#00796b", "#b0bec5"
INK, FAINT = "#263238", "#78909c"


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure, and what to call it."""

    label: str
    scenario: str
    contender: str

    @property
    def is_ours(self) -> bool:
        return not any(other in self.contender for other in ("uWSGI", "SQLite", "bare"))


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars that may be compared."""

    title: str
    group: str
    figure: str
    bars: Sequence[Bar]
    logarithmic: bool = False


def _of(scenario: str, *contenders: str) -> list[Bar]:
    return [Bar(contender, scenario, contender) for contender in contenders]


_SPOOLS = (SYNC, ONE, MANY, BATCH)
_SITUATIONS = {
    "idle": "an idle worker",
    "busy": "a worker that runs a 10 ms task",
    "50,000 wait": "50,000 future tasks in the directory",
}
PANELS = (
    Panel("Spooled in a second, durability “process”", "enqueue", "tasks/s",
          _of('spool, durability "process"', *_SPOOLS, BARE, UWSGI)),
    Panel("Spooled in a second, durability “disk”", "enqueue", "tasks/s",
          _of('spool, durability "disk"', *_SPOOLS, SQLITE, SQLITE_WAL)),
    Panel("No-ops run in a second", "drain", "tasks/s", [
        Bar(f"{contender}, {name}", f"no-ops, {processes}", contender)
        for name, processes in (("1 process", "one process"), ("2 processes", "two processes"))
        for contender in ("aspool", "uWSGI")
    ]),
    Panel("spool() to start, median ms, log scale", "latency", "p50 ms", [
        Bar(f"{ours}, {name}", scenario, contender)
        for name, scenario in _SITUATIONS.items()
        for ours, contender in (("aspool", "aspool"), ("uWSGI", latency.UWSGI if name == "idle" else latency.SAME))
    ], logarithmic=True),
)  # fmt: skip


def draw(lines: Iterable[Line], path: Path) -> None:
    """Write the chart as SVG; the same results give the same file."""
    matplotlib = importlib.import_module("matplotlib")  # not where types are checked
    matplotlib.use("svg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    values = _values(lines)
    style = {"font.size": 9, "svg.hashsalt": "aspool", "text.color": INK, "axes.labelcolor": INK}
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(2, 2, figsize=(10, 6), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12, wspace=0.04, hspace=0.04)
        for axis, panel in zip(axes.flat, PANELS, strict=True):
            _draw_panel(axis, panel, values)
        figure.savefig(path, facecolor="white", metadata={"Date": None, "Title": "How fast aspool is"})
        pyplot.close(figure)


def _values(lines: Iterable[Line]) -> dict[tuple[str, str, str, str], float]:
    return {
        (line["group"], line["scenario"], line["contender"], figure): value
        for line in lines
        if line["kind"] == "median" and line["place"] == PLACE
        for figure, value in line["figures"].items()
    }


def _draw_panel(axis: Any, panel: Panel, values: dict[tuple[str, str, str, str], float]) -> None:
    found = [
        (bar, values[key])
        for bar in panel.bars
        if (key := (panel.group, bar.scenario, bar.contender, panel.figure)) in values
    ]
    axis.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    colours = [OURS if bar.is_ours else OTHERS for bar, _ in found]
    labels = [bar.label for bar, _ in found]
    bars = axis.barh(range(len(found)), [value for _, value in found], color=colours, height=0.7, log=panel.logarithmic)
    axis.set_yticks(range(len(found)), labels)
    axis.bar_label(bars, [number(value) for _, value in found], padding=4, color=INK)
    axis.invert_yaxis()
    axis.margins(x=0.16)
    axis.set_xticks([], minor=False)
    axis.set_xticks([], minor=True)
    axis.tick_params(length=0, colors=INK)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.spines["left"].set_color(FAINT)
