"""A worker inside an application whose event loop is busy: are its trips to the disk still short?"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .reports import script, wait_for_report
from .scale import scaled
from .scenario import Figures, Goal, Scenario

LONGEST = 100.0  # ms
TURN = 200  # µs of work in each turn of the loop
AS_IT_IS, PYTHONS_OWN = "as it is", "0.005"  # switch intervals, the second in seconds


def scenarios() -> Sequence[Scenario]:
    seconds = scaled(60, 10)
    busy = Scenario(
        group="busy_loop",
        name="a worker in a busy event loop",
        contenders={
            "inline": partial(measure, seconds, TURN, AS_IT_IS, "inline"),
            "threads": partial(measure, seconds, TURN, AS_IT_IS, "threads"),
            "inline, 5 ms": partial(measure, seconds, TURN, PYTHONS_OWN, "inline"),
            "threads, 5 ms": partial(measure, seconds, TURN, PYTHONS_OWN, "threads"),
            "loop at rest": partial(measure, seconds, 0, AS_IT_IS, "inline"),
        },
        goals=tuple(
            Goal(figure=f"longest {call} ms", of=name, at_most=LONGEST)
            for name in ("inline", "threads")
            for call in ("claim", "finish", "spool")
        ),
        rounds=1,
        notes=f"{seconds} s in which each turn of the loop has {TURN} µs of work to do; a task is spooled every 10 ms, "
        'and 50 side by side every second, with durability "disk". inline: claims and finishes run on the loop while '
        "the disk is quick. threads: they always go through a thread, as on a slow disk. 5 ms: with Python's own "
        "switch interval instead of the worker's: a thread gets the interpreter from a loop that never sleeps only "
        "where the interval is shorter than a turn of the loop. The loop at rest shows what the disk alone takes.",
    )
    return (busy,)


def measure(seconds: int, turn: int, interval: str, way: str, directory: Path) -> Figures:
    """The longest calls of so many seconds."""
    with script(directory, "busy", seconds, turn, interval, way) as process:
        return wait_for_report(directory, "busy", seconds + 120, process)
