"""What is to run in every worker, in one of them: what overlaps, and what must not be lost by that."""

import pytest

from aspool import MemorySpool
from aspool.message import Message
from aspool.outcomes import Done, PutOff
from aspool.schedule_record import fresh
from aspool.schedules import FileMonitor, Overlap, Schedule, ScheduleOptions, Signal, Timer, Trigger
from aspool.testing.clock import Clock
from aspool.worker.entry import Entry
from aspool.worker.here import Here

from ..start import START
from .tickers import moments

MINUTES = [START + 60, START + 120]


def entry(trigger: Trigger, *, overlap: Overlap = "skip", jitter: float = 0.0) -> Entry:
    options = ScheduleOptions(target="workers", overlap=overlap, jitter=jitter)
    schedule = Schedule(name="a", task="a", trigger=trigger, options=options)
    return Entry("a", MemorySpool(), fresh(schedule, START), b"")


def only(spool: MemorySpool) -> Message:
    (message,) = spool.messages()
    return message


def test_what_may_overlap_runs_for_each_moment(clock: Clock, memory: MemorySpool) -> None:
    Here(memory).run(entry(Timer(60), overlap="queue"), MINUTES)
    assert moments(memory) == MINUTES


@pytest.mark.parametrize("trigger", [Timer(60), Signal("s")])
def test_what_must_not_overlap_is_left_out_until_the_last_run_is_over(
    clock: Clock, memory: MemorySpool, trigger: Trigger
) -> None:
    here, one = Here(memory), entry(trigger)
    here.run(one, MINUTES)
    assert moments(memory) == MINUTES[1:], "of several the last"
    message = only(memory)
    here.run(one, [START + 180])
    assert here.ended(message, PutOff(START + 200, 1, 0)) is one, "it is to be tried again"
    here.run(one, [START + 240])
    assert moments(memory) == MINUTES[1:]
    assert here.ended(message, Done()) is one
    here.run(one, [START + 300])
    assert moments(memory) == [START + 120, START + 300]


def test_the_last_change_of_a_file_is_not_lost(clock: Clock, memory: MemorySpool) -> None:
    """The run that goes on may have read the file before it changed."""
    here, one = Here(memory), entry(FileMonitor("/prices"))
    here.run(one, [START + 60])
    first = only(memory)
    for later in (START + 61, START + 62):
        here.run(one, [later])
    assert moments(memory) == [START + 60]
    here.ended(first, Done())
    assert moments(memory) == [START + 60, START + 62], "one run for both"
    here.ended(memory.messages()[-1], Done())
    assert moments(memory) == [START + 60, START + 62]


def test_two_spools_may_have_a_schedule_of_one_name(clock: Clock, memory: MemorySpool) -> None:
    here, one, other = Here(memory), entry(Timer(60)), entry(Timer(60))
    here.run(one, [START + 60])
    here.run(other, [START + 60])
    ended = [here.ended(message, Done()) for message in memory.messages()]
    assert {id(found) for found in ended} == {id(one), id(other)}
    assert (one.running, other.running) == (set(), set())
    assert here.ended(memory.messages()[0], Done()) is None


def test_each_worker_has_another_jitter(clock: Clock) -> None:
    dues = set()
    for _ in range(5):
        memory = MemorySpool()
        Here(memory).run(entry(Timer(60), jitter=30.0), [START])
        dues.add(only(memory).due)
    assert len(dues) == 5
    assert all(START <= due <= START + 30 for due in dues)
