"""The text for Prometheus, read back as a Prometheus server does."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aspool.events import JobEnded, JobStarted
from aspool.observe.metrics import BOUNDS, OUTCOMES, Counts, nothing
from aspool.observe.prometheus import ScheduleView, SpoolView, View, exposition
from aspool.outcomes import Buried, Done

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(view: View) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(view).decode())
        for sample in family.samples
    }


def counts() -> Any:
    made = Counts({"app.send"})
    made(JobStarted("a", "app.send", 1, 0.3))
    made(JobStarted("b", "app.send", 1, 70.0))
    made(JobEnded("a", "app.send", 1, 0.2, Done()))
    made(JobEnded("x", 'for"ged\n', 1, 0.0, Buried("why")))
    return made.record()


VIEW = View(
    now=1000.0,
    counts=counts(),
    workers={"ready": 2, "starting": 1},
    deaths=3,
    spools=(
        SpoolView("/srv/spool", {"waiting": 7, "dead": 1}, oldest=970.0, counted=999.0),
        SpoolView("/srv/empty", {"waiting": 0}, counted=999.0),
        SpoolView("/srv/not counted yet"),
    ),
    schedules=(
        ScheduleView("nightly", "/srv/spool", "on", runs=5, next=2000.0, last=500.0),
        ScheduleView("rest", "/srv/spool", "paused"),
    ),
)


def test_jobs() -> None:
    found = samples(VIEW)
    send = ("task", "app.send")
    assert found["aspool_jobs_started_total", (send,)] == 2
    assert found["aspool_jobs_ended_total", (("outcome", "done"), send)] == 1
    assert found["aspool_jobs_ended_total", (("outcome", "retried"), send)] == 0
    assert found["aspool_jobs_ended_total", (("outcome", "buried"), ("task", "(other)"))] == 1
    assert found["aspool_jobs_overdue_total", (send,)] == 0
    assert found["aspool_jobs_running", ()] == 1


def test_histograms_are_added_up() -> None:
    found = samples(VIEW)
    buckets = [found["aspool_job_lateness_seconds_bucket", (("le", str(bound)),)] for bound in BOUNDS]
    assert buckets == [0 if bound < 0.3 else 1 if bound < 70 else 2 for bound in BOUNDS]
    assert found["aspool_job_lateness_seconds_bucket", (("le", "+Inf"),)] == 2
    assert found["aspool_job_lateness_seconds_count", ()] == 2
    assert found["aspool_job_lateness_seconds_sum", ()] == pytest.approx(70.3)
    assert found["aspool_job_duration_seconds_count", (("task", "app.send"),)] == 1


def test_workers() -> None:
    found = samples(VIEW)
    assert found["aspool_workers", (("state", "ready"),)] == 2
    assert found["aspool_worker_deaths_total", ()] == 3


def test_spools() -> None:
    found = samples(VIEW)
    assert found["aspool_messages", (("spool", "/srv/spool"), ("state", "waiting"))] == 7
    assert found["aspool_oldest_waiting_seconds", (("spool", "/srv/spool"),)] == 30.0
    assert found["aspool_oldest_waiting_seconds", (("spool", "/srv/empty"),)] == 0.0
    assert found["aspool_messages_counted_timestamp_seconds", (("spool", "/srv/spool"),)] == 999.0
    assert not [name for name, labels in found if ("spool", "/srv/not counted yet") in labels]


def test_schedules() -> None:
    found = samples(VIEW)
    nightly, rest = (("schedule", "nightly"), ("spool", "/srv/spool")), (("schedule", "rest"), ("spool", "/srv/spool"))
    assert (found["aspool_schedule_on", nightly], found["aspool_schedule_on", rest]) == (1, 0)
    assert found["aspool_schedule_runs_total", nightly] == 5
    assert found["aspool_schedule_next_timestamp_seconds", nightly] == 2000.0
    assert found["aspool_schedule_last_timestamp_seconds", nightly] == 500.0
    assert ("aspool_schedule_next_timestamp_seconds", rest) not in found


def test_what_comes_from_outside_breaks_nothing() -> None:
    view = View(1.0, nothing(), spools=(SpoolView('/srv/"\n\\\udc80', {"waiting": 1}, counted=1.0),))
    assert any('"' in value for _, labels in samples(view) for _, value in labels)


def test_the_page_tells_of_each_metric_and_of_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "observe.md").read_text()
    table, _, alerts = page.partition("### What to alert on")
    families = {family.name + "_total" * (family.type == "counter")
                for family in text_string_to_metric_families(exposition(VIEW).decode())}  # fmt: skip
    assert set(re.findall(r"^\| `(aspool_\w+)`", table, re.MULTILINE)) == families
    assert {name.removesuffix("_bucket") for name in re.findall(r"aspool_[a-z_]+", alerts)} <= families
    assert set(re.findall(r'outcome="(\w+)"', alerts)) <= set(OUTCOMES)
    assert set(re.findall(r"^\| `(\w+)` \| [a-z ,]*", table.partition("| outcome |")[2], re.MULTILINE)) == set(OUTCOMES)


def test_names_follow_the_conventions() -> None:
    for family in text_string_to_metric_families(exposition(VIEW).decode()):
        assert family.name.startswith("aspool_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
