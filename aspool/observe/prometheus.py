"""The metrics as Prometheus reads them: what was counted, and how the spools and the workers stand. Values -> text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from .metrics import BOUNDS, Histogram, Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class SpoolView:
    """How many messages of each state a spool has. `oldest`: when the one that waits longest became due; `counted`:
    when they were counted. Both are UNIX timestamps.
    """

    address: str
    states: Mapping[str, int] = field(default_factory=dict)
    oldest: float | None = None
    counted: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """How a schedule stands. `next` and `last` are UNIX timestamps of moments; `runs` are all that it ever had."""

    name: str
    spool: str
    state: str  # on, off or paused
    runs: int = 0
    next: float | None = None
    last: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that is told at `now`, a UNIX timestamp. `workers` by state, "ready" and "starting", say."""

    now: float
    counts: Record
    workers: Mapping[str, int] = field(default_factory=dict)
    deaths: int = 0
    spools: tuple[SpoolView, ...] = ()
    schedules: tuple[ScheduleView, ...] = ()


def exposition(view: View) -> bytes:
    """The text that a Prometheus server reads; its type is CONTENT_TYPE."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(view))
    return generate_latest(registry)


class _Collector:
    """The view as families of metrics (prometheus_client.registry.Collector)."""

    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterable[Metric]:
        yield from _of_jobs(self._view.counts)
        yield from _of_workers(self._view)
        yield from _of_spools(self._view)
        yield from _of_schedules(self._view.schedules)

    def describe(self) -> Iterable[Metric]:
        return ()


def _of_jobs(counts: Record) -> Iterator[Metric]:
    started = CounterMetricFamily("aspool_jobs_started", "Runs that began.", labels=["task"])
    ended = CounterMetricFamily(
        "aspool_jobs_ended", "Runs that ended, and messages that were refused.", labels=["task", "outcome"]
    )
    overdue = CounterMetricFamily("aspool_jobs_overdue", "Jobs that did not stop when they had to.", labels=["task"])
    seconds = HistogramMetricFamily("aspool_job_duration_seconds", "How long runs took.", labels=["task"])
    for task, told in sorted(counts["tasks"].items()):
        started.add_metric([task], told["started"])
        overdue.add_metric([task], told["overdue"])
        for outcome, number in told["outcomes"].items():
            ended.add_metric([task, outcome], number)
        seconds.add_metric([task], *_buckets(told["seconds"]))
    lateness = HistogramMetricFamily("aspool_job_lateness_seconds", "How long after their due moment runs began.")
    lateness.add_metric([], *_buckets(counts["lateness"]))
    running = GaugeMetricFamily("aspool_jobs_running", "Jobs that run now.", value=counts["running"])
    yield from (started, ended, overdue, seconds, lateness, running)


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """A histogram as Prometheus has it: each bucket with all that is in those before."""
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(histogram["counts"]), strict=True)), histogram["sum"]


def _of_workers(view: View) -> Iterator[Metric]:
    workers = GaugeMetricFamily("aspool_workers", "Worker processes.", labels=["state"])
    for state, number in view.workers.items():
        workers.add_metric([state], number)
    yield workers
    yield CounterMetricFamily("aspool_worker_deaths", "Workers that died.", value=view.deaths)


def _label(text: str) -> str:
    """A path or a name that need not be UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _of_spools(view: View) -> Iterator[Metric]:
    messages = GaugeMetricFamily("aspool_messages", "Messages in the spool.", labels=["spool", "state"])
    oldest = GaugeMetricFamily(
        "aspool_oldest_waiting_seconds", "For how long the oldest waiting message has been due.", labels=["spool"]
    )
    counted = GaugeMetricFamily(
        "aspool_messages_counted_timestamp_seconds", "When the messages were counted.", labels=["spool"]
    )
    for spool in view.spools:
        address = _label(spool.address)
        for state, number in spool.states.items():
            messages.add_metric([address, state], number)
        if spool.counted is not None:
            waits = 0.0 if spool.oldest is None else max(0.0, view.now - spool.oldest)
            oldest.add_metric([address], waits)
            counted.add_metric([address], spool.counted)
    yield from (messages, oldest, counted)


def _of_schedules(schedules: Iterable[ScheduleView]) -> Iterator[Metric]:
    labels = ["schedule", "spool"]
    on = GaugeMetricFamily("aspool_schedule_on", "1 for a schedule that fires, 0 for one that does not.", labels=labels)
    runs = CounterMetricFamily("aspool_schedule_runs", "How often the schedule has fired.", labels=labels)
    moments = [
        GaugeMetricFamily("aspool_schedule_next_timestamp_seconds", "When it fires next.", labels=labels),
        GaugeMetricFamily("aspool_schedule_last_timestamp_seconds", "For which moment it fired last.", labels=labels),
    ]
    for schedule in schedules:
        values = [_label(schedule.name), _label(schedule.spool)]
        on.add_metric(values, int(schedule.state == "on"))
        runs.add_metric(values, schedule.runs)
        for family, moment in zip(moments, (schedule.next, schedule.last), strict=True):
            if moment is not None:
                family.add_metric(values, moment)
    yield from (on, runs, *moments)
