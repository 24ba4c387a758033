"""What is counted of a worker's events, and how counts are added up."""

import json
from typing import Any

import anyio
import pytest

from aspool import SPOOL_IGNORE, SPOOL_RETRY, Bury, MemorySpool, Spooler, WorkerSettings
from aspool.events import Event, JobEnded, JobOverdue, JobStarted, WorkerStopped
from aspool.observe.metrics import BOUNDS, OTHER, OUTCOMES, Counts, Record, left_by, merged, nothing, outcome_of
from aspool.outcomes import Buried, Cancelled, Done, HandedBack, Outcome, PutOff
from aspool.worker import Worker


def counted(*events: Event, known: tuple[str, ...] = ("app.send",)) -> Record:
    counts = Counts(known)
    for event in events:
        counts(event)
    return counts.record()


def ended(
    outcome: Outcome, *, task: str = "app.send", duration: float = 0.2, id: str = "id", attempt: int = 1
) -> JobEnded:
    return JobEnded(id, task, attempt, duration, outcome)


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (Done(), "done"),
        (Cancelled(), "cancelled"),
        (HandedBack(), "handed_back"),
        (Buried("why"), "buried"),
        (PutOff(9.0, attempt=2, crashes=0), "retried"),
        (PutOff(9.0, attempt=2, crashes=2), "retried"),
        (PutOff(9.0, attempt=1, crashes=0, reason="it returned SPOOL_RETRY"), "repeated"),
        (PutOff(9.0, attempt=1, crashes=2, reason="it waits, and then runs alone"), "crashed"),
        (PutOff(9.0, attempt=1, crashes=0, unknown=True), "unknown"),
    ],
)
def test_outcomes(outcome: Outcome, name: str) -> None:
    event = ended(outcome, attempt=2)
    assert outcome_of(event) == name
    outcomes = counted(event)["tasks"]["app.send"]["outcomes"]
    assert outcomes == {each: int(each == name) for each in OUTCOMES}


def test_runs() -> None:
    record = counted(
        JobStarted("a", "app.send", 1, 0.02),
        JobStarted("b", "app.send", 1, 99_999.0),
        JobStarted("c", "app.send", 1, -5.0),
        ended(Done(), id="a", duration=0.005),
        ended(Done(), id="b", duration=0.0051),
        JobOverdue("c", "app.send", ""),
    )
    assert record["running"] == 1
    told = record["tasks"]["app.send"]
    assert (told["started"], told["overdue"]) == (3, 1)
    assert told["seconds"]["counts"][:3] == [1, 1, 0]  # a bound belongs to what is below it
    assert told["seconds"]["sum"] == pytest.approx(0.0101)
    assert record["lateness"]["counts"][0] == record["lateness"]["counts"][2] == record["lateness"]["counts"][-1] == 1
    assert record["lateness"]["sum"] == pytest.approx(99_999.02)


def test_names_from_outside_are_not_kept() -> None:
    events = [ended(Buried("it expired"), task=f"forged {number}") for number in range(1000)]
    record = counted(*events, ended(Done(), task="(handler)"))
    assert record["tasks"].keys() == {OTHER, "(handler)"}
    assert record["tasks"][OTHER]["outcomes"]["buried"] == 1000


def test_tasks_that_are_defined_later_are_known() -> None:
    tasks: dict[str, Any] = {}
    counts = Counts(tasks)
    tasks["late"] = object()
    counts(ended(Done(), task="late"))
    assert counts.record()["tasks"].keys() == {"late"}


def test_what_was_refused_never_ran() -> None:
    record = counted(ended(Buried("it expired")))
    assert (record["running"], record["tasks"]["app.send"]["started"]) == (0, 0)


def test_a_stopped_worker_runs_nothing() -> None:
    assert counted(JobStarted("a", "app.send", 1, 0.0), WorkerStopped(1))["running"] == 0


def test_changes_say_whether_there_is_news() -> None:
    counts = Counts(())
    before = counts.changes
    counts(JobStarted("a", "app.send", 1, 0.0))
    assert counts.changes > before


def test_a_record_is_a_copy_and_json() -> None:
    counts = Counts({"app.send"})
    counts(ended(Done()))
    record = counts.record()
    text = json.dumps(record)
    counts(ended(Done()))
    assert json.loads(text) == record
    assert json.dumps(record) == text


def test_records_are_added_up() -> None:
    one = counted(JobStarted("a", "app.send", 1, 0.3), ended(Done(), id="b", duration=1.0))
    other = counted(JobStarted("c", "app.send", 1, 0.3), ended(Done(), task="wash"), known=("app.send", "wash"))
    total = merged([json.loads(json.dumps(record)) for record in (one, other, nothing())])
    assert total["running"] == 2
    assert total["tasks"]["app.send"]["started"] == 2
    assert total["tasks"]["app.send"]["outcomes"]["done"] == 1
    assert total["tasks"]["wash"]["outcomes"]["done"] == 1
    assert total["lateness"] == {"counts": [2 if bound == 0.5 else 0 for bound in (*BOUNDS, None)], "sum": 0.6}
    assert one["running"] == 1  # they are as they were


def test_what_a_dead_worker_did_stays() -> None:
    past = left_by([counted(JobStarted("a", "app.send", 1, 0.0), ended(Done(), id="b"))])
    past = left_by([past, counted(ended(Done()))])
    assert past["running"] == 0
    assert past["tasks"]["app.send"]["outcomes"]["done"] == 2


@pytest.mark.parametrize("record", [{}, {"version": 2}, {"version": None, "tasks": 3}])
def test_records_of_another_version_are_left_out(record: dict[str, Any]) -> None:
    assert merged([record, nothing()]) == nothing()


@pytest.mark.anyio
async def test_a_real_worker() -> None:
    spooler = Spooler(MemorySpool())

    @spooler.task(name="work", retries=1, backoff=lambda _: 0.0)
    def work(how: str) -> Any:
        if how == "fails":
            raise ValueError(how)
        if how == "gives up":
            raise Bury(how)
        return {"repeats": SPOOL_RETRY, "ignores": SPOOL_IGNORE}.get(how)

    for how in ("works", "fails", "gives up", "ignores", "repeats"):
        await work.spool(how)
    counts = Counts(spooler.tasks)
    with anyio.fail_after(60):
        await Worker(spooler, WorkerSettings(burst=True), observers=[counts]).run()
    record = counts.record()
    outcomes = record["tasks"]["work"]["outcomes"]
    assert outcomes == dict.fromkeys(OUTCOMES, 0) | {"done": 1, "buried": 2, "retried": 1, "unknown": 1, "repeated": 1}
    assert record["tasks"]["work"]["started"] == 6
    assert record["running"] == 0
