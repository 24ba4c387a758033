"""Counts what a worker does, as an observer of its events; and adds up the counts of many workers. Plain values.

What becomes of them outside is in `prometheus`.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping
from typing import Any, TypedDict

from ..events import Event, JobEnded, JobOverdue, JobStarted, WorkerStopped
from ..outcomes import Buried, Cancelled, Done, HandedBack, PutOff
from ..task import HANDLER

VERSION = 1  # of a record: after a reload the workers may be newer than their supervisor
OUTCOMES = ("done", "retried", "repeated", "buried", "cancelled", "handed_back", "unknown", "crashed")
OTHER = "(other)"  # tasks that this worker does not know: their names come from outside, and are without number
# Upper ends of the histograms, in seconds; what is longer is in a last one.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)


class Histogram(TypedDict):
    """How many were how long: one count per bound, not added up, and one for what is longer."""

    counts: list[int]
    sum: float


class TaskCounts(TypedDict):
    """What became of the runs of one task."""

    started: int
    overdue: int
    outcomes: dict[str, int]
    seconds: Histogram


class Record(TypedDict):
    """All that is counted, as JSON can have it."""

    version: int
    running: int
    lateness: Histogram
    tasks: dict[str, TaskCounts]


def _histogram() -> Histogram:
    return {"counts": [0] * (len(BOUNDS) + 1), "sum": 0.0}


def _task_counts() -> TaskCounts:
    outcomes: dict[str, int] = dict.fromkeys(OUTCOMES, 0)  # all of them: a rate needs a 0 to begin with
    return {"started": 0, "overdue": 0, "outcomes": outcomes, "seconds": _histogram()}


def nothing() -> Record:
    """The record of a worker that has done nothing."""
    return {"version": VERSION, "running": 0, "lateness": _histogram(), "tasks": {}}


class Counts:
    """The counts of one worker: an observer. `known`: the names of its tasks, which may still grow.

    `changes` grows with every event that was counted: who sends records sees by it whether there is news.
    """

    def __init__(self, known: Container[str]) -> None:
        self._known = known
        self._record = nothing()
        self._running: set[tuple[str, str]] = set()
        self.changes = 0

    def __call__(self, event: Event) -> None:
        """Count an event. On the event loop."""
        self.changes += 1
        if isinstance(event, JobStarted):
            self._running.add((event.task, event.id))
            self._of(event.task)["started"] += 1
            _add(self._record["lateness"], event.lateness)
        elif isinstance(event, JobEnded):
            self._running.discard((event.task, event.id))
            counts = self._of(event.task)
            counts["outcomes"][outcome_of(event)] += 1
            _add(counts["seconds"], event.duration)
        elif isinstance(event, JobOverdue):
            self._of(event.task)["overdue"] += 1
        elif isinstance(event, WorkerStopped):
            self._running.clear()  # what was handed back ends without a word

    def _of(self, task: str) -> TaskCounts:
        name = task if task == HANDLER or task in self._known else OTHER
        return self._record["tasks"].setdefault(name, _task_counts())

    def record(self) -> Record:
        """What was counted so far: a copy, as JSON can have it."""
        return merged([{**self._record, "running": len(self._running)}])


def outcome_of(event: JobEnded) -> str:
    """What became of a run, as one of OUTCOMES.

    "retried": charged and put off; "repeated": it returned SPOOL_RETRY; "unknown": left for a worker that knows its
    task; "crashed": put off because its workers died.
    """
    outcome = event.outcome
    if isinstance(outcome, PutOff):
        if outcome.unknown:
            return "unknown"
        if outcome.attempt >= event.attempt:
            return "retried"
        return "crashed" if outcome.crashes >= 2 else "repeated"  # from the second death on it is put off for it
    return _NAMES[type(outcome)]


_NAMES: dict[type, str] = {Done: "done", Buried: "buried", Cancelled: "cancelled", HandedBack: "handed_back"}


def _add(histogram: Histogram, seconds: float) -> None:
    seconds = max(0.0, seconds)  # the clock may be set back
    histogram["counts"][bisect_left(BOUNDS, seconds)] += 1
    histogram["sum"] += seconds


def merged(records: Iterable[Mapping[str, Any]]) -> Record:
    """All of them together, as one record. Records of another version, which say other things, are left out."""
    total = nothing()
    for record in records:
        if record.get("version") != VERSION:
            continue
        total["running"] += record["running"]
        _merge(total["lateness"], record["lateness"])
        for name, told in record["tasks"].items():
            counts = total["tasks"].setdefault(name, _task_counts())
            counts["started"] += told["started"]
            counts["overdue"] += told["overdue"]
            for outcome in OUTCOMES:
                counts["outcomes"][outcome] += told["outcomes"][outcome]
            _merge(counts["seconds"], told["seconds"])
    return total


def _merge(histogram: Histogram, other: Histogram) -> None:
    histogram["counts"] = [one + more for one, more in zip(histogram["counts"], other["counts"], strict=True)]
    histogram["sum"] += other["sum"]


def left_by(records: Iterable[Mapping[str, Any]]) -> Record:
    """What remains of workers that have ended: they run nothing, but what they did counts for ever."""
    return {**merged(records), "running": 0}
