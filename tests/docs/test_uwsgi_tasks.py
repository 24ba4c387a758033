"""Each row of the tables for people who come from uwsgi_tasks, run: aspool's form does what the row says."""

import os
import subprocess
import sys
from asyncio import sleep
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import aspool
from aspool import (
    SPOOL_IGNORE,
    SPOOL_OK,
    SPOOL_RETRY,
    ArgumentsRefused,
    Body,
    Job,
    MemorySpool,
    MomentRefused,
    NameRefused,
    Retry,
    Spooler,
    TaskRefused,
    current_job,
)
from aspool.testing import Clock, drain_sync, use

from .pages import ROOT
from .tables import Tables

TABLES = Tables(ROOT / "docs" / "coming-from-uwsgi-tasks.md", "uwsgi_tasks", others=("Timers and crons",))
row = TABLES.row


def test_every_row_has_a_test() -> None:
    TABLES.check(at_least=40)


@pytest.fixture
def spooler(tmp_path: Path) -> Iterator[Spooler]:
    """Nothing runs until it is drained."""
    made = Spooler(tmp_path / "spool", spools={"mail": tmp_path / "mail"})
    with use(made):
        yield made


@pytest.fixture
def clock(spooler: Spooler) -> Iterator[Clock]:
    with use(Spooler(MemorySpool())) as other:  # the blocks share one clock
        other.clock.stop()
        yield other.clock


def states(spooler: Spooler) -> list[str]:
    return [ran.state for ran in drain_sync(spooler)]


# --- making and spooling tasks -------------------------------------------------------------------------------


@row("@task", "send(…)", "execute_now()", "execute_async()", "executor=AUTO", "without uWSGI")
def test_a_call_runs_and_spool_spools(spooler: Spooler) -> None:
    sent: list[str] = []

    @spooler.task
    def send(to: str) -> None:
        sent.append(to)

    @spooler.task(retries=1)
    async def send_async(to: str) -> None:
        sent.append(to)

    send("called")
    assert sent == ["called"]
    tickets = [send.spool_sync("spooled"), send_async.spool_sync("and async")]
    assert sent == ["called"]
    assert [ticket.sync.status() for ticket in tickets] == ["waiting", "waiting"]
    assert states(spooler) == ["done", "done"]
    assert sorted(sent) == ["and async", "called", "spooled"]


@row("executor=SPOOLER")
def test_many_at_a_time_or_one_of_a_task(spooler: Spooler) -> None:
    running = {"many": 0, "one": 0}
    most = dict(running)

    async def count(name: str) -> None:
        running[name] += 1
        most[name] = max(most[name], running[name])
        await turns()
        running[name] -= 1

    many = spooler.task(name="many")(count)
    one = spooler.task(name="one", concurrency=1)(count)
    spooler.spool_many_sync([many.call("many"), one.call("one")] * 5)
    drain_sync(spooler)
    assert most["many"] > most["one"] == 1


async def turns() -> None:
    """Long enough for whatever may begin to begin."""
    for _ in range(100):
        await sleep(0)


@row("executor=RUNTIME")
def test_inline_runs_at_once_in_the_caller(spooler: Spooler) -> None:
    @spooler.task(executor="inline")
    def double(number: int) -> int:
        return 2 * (number or 1 // 0)

    assert double.spool_sync(4).sync.result() == 8
    with pytest.raises(ZeroDivisionError):
        double.spool_sync(0)
    assert states(spooler) == []


@row("mule=n", "spooler")
def test_a_spool_of_its_own(spooler: Spooler, tmp_path: Path) -> None:
    spools: list[str] = []

    @spooler.task(spool="mail")
    def send() -> None: ...

    with pytest.raises(aspool.UnknownSpool, match="there are default, mail"):
        send.using(spool="post").spool_sync()
    send.spool_sync()
    send.using(spool="default").spool_sync()
    send.using(spool=tmp_path / "other").spool_sync()
    for name in ("default", "mail"):
        spools += [name] * len(spooler.spools[name].messages())  # type: ignore[attr-defined]  # memory spools
    assert spools == ["default", "mail"]
    assert len(spooler.spool_of(tmp_path / "other").messages()) == 1  # type: ignore[attr-defined]


@row("get_task(args, kwargs)")
def test_a_call_is_a_value(spooler: Spooler) -> None:
    @spooler.task
    def send(to: str) -> None: ...

    with pytest.raises(ArgumentsRefused):
        send.call(1)  # type: ignore[arg-type]
    tickets = spooler.spool_many_sync([send.call("a"), send.using(id="b").call("b")])
    assert tickets[1].id == "b"
    assert states(spooler) == ["done", "done"]


@row("add_setup(…)", ".executor, .setup", ".function, .function_name")
def test_options_of_a_call_leave_the_task_alone(spooler: Spooler) -> None:
    def send() -> None: ...

    task = spooler.task(retries=5, executor="thread")(send)
    before = task.options
    assert task.using(priority=1, retries=9).task is task
    assert task.options is before
    assert (before.retries, before.executor) == (5, "thread")
    with pytest.raises(AttributeError):
        before.retries = 9  # type: ignore[misc]
    assert (task.function, task.name) == (send, f"{__name__}.{send.__qualname__}")


@row("pickled arguments", "arguments over 64 KiB")
def test_arguments_travel_as_json(spooler: Spooler) -> None:
    got: list[Any] = []

    @spooler.task
    def take(text: str, when: datetime, body: Body) -> None:
        got.append((len(text), when, len(body.file.read())))

    with pytest.raises(ArgumentsRefused, match="when"):
        take.spool_sync("", object(), Body(b""))  # type: ignore[arg-type]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    take.spool_sync("x" * 200_000, moment, Body(b"y" * 300_000))
    assert states(spooler) == ["done"]
    assert got == [(200_000, moment, 300_000)]


# --- options -------------------------------------------------------------------------------------------------


@row('priority="5"')
def test_priority_is_a_number(spooler: Spooler) -> None:
    seen: list[int] = []

    @spooler.task(priority=5)
    def work(number: int) -> None:
        seen.append(number)

    with pytest.raises(NameRefused):
        work.using(priority="5").spool_sync(0)  # type: ignore[arg-type]
    for priority in (10, None, 2):
        work.using(priority=priority).spool_sync(priority or 5)
    drain_sync(spooler, concurrency=1)
    assert seen == [2, 5, 10]


@row("at")
def test_at_is_a_moment(spooler: Spooler, clock: Clock) -> None:
    @spooler.task
    def work() -> None: ...

    later = work.using(at=timedelta(seconds=10.5))
    clock.move(100)
    later.spool_sync()
    work.using(at=clock.timestamp() + 10.5).spool_sync()
    work.using(at=clock.now + timedelta(seconds=10.5)).spool_sync()
    assert states(spooler) == []
    clock.move(10.49)
    assert states(spooler) == []
    clock.move(0.02)
    assert states(spooler) == ["done"] * 3
    with pytest.raises(MomentRefused, match="naive"):
        work.using(at=datetime(2026, 1, 1)).spool_sync()
    with pytest.raises(TaskRefused, match="has no option at"):
        spooler.task(at=timedelta(1))(work.function)  # type: ignore[call-overload]


@row("spooler_return", "return SPOOL_OK", "return SPOOL_RETRY", "return SPOOL_IGNORE")
def test_the_returns_of_the_spooler(spooler: Spooler, clock: Clock) -> None:
    returns: list[Any] = [None, SPOOL_OK, -2, -1, 0, False, "text"]

    @spooler.task(retries=0)
    def work(at: int) -> Any:
        return returns[at]

    for at in range(len(returns)):
        work.spool_sync(at)
    assert states(spooler) == ["done"] * len(returns)
    returns[:2] = [SPOOL_RETRY, SPOOL_IGNORE]
    work.spool_sync(0)
    for attempt in (1, 1, 1):  # it does not count
        (ran,) = drain_sync(spooler, frequency=7)
        assert (ran.state, ran.attempt) == ("scheduled", attempt)
        clock.move(7)
    returns[0] = SPOOL_OK
    assert states(spooler) == ["done"]
    work.spool_sync(1)
    assert states(spooler) == ["scheduled"]
    clock.move(29)
    assert states(spooler) == []
    clock.move(2)
    assert states(spooler) == ["scheduled"]


@row("retry_count=n", "retry_timeout=s", "retries used up")
def test_three_runs_with_five_seconds_between(spooler: Spooler, clock: Clock) -> None:
    n, s = 3, 5

    @spooler.task(retries=n - 1, backoff=lambda _: s)
    def work() -> None:
        raise ValueError

    ticket = work.spool_sync()
    for state in ("retrying", "retrying", "dead"):
        assert states(spooler) == [state]
        clock.move(s - 0.1)
        assert states(spooler) == []
        clock.move(0.2)
    assert ticket.sync.status() == "dead"
    assert (spooler.task()(lambda: None).options.retries, work.using(retries=0).options.per_message) == (
        3, {"retries": 0}
    )  # fmt: skip
    with pytest.raises(TaskRefused, match="backoff"):
        spooler.task(backoff=timedelta(seconds=5))(work.function)  # type: ignore[call-overload]


@row("buffer", ".buffer")
def test_the_buffer_travels(spooler: Spooler) -> None:
    seen: list[dict[str, Any]] = []

    @spooler.task(backoff=0)
    def work(job: Job, last: bool = False) -> None:
        seen.append(dict(job.buffer))
        job.buffer["n"] += 1
        if job.attempt == 1 and not last:
            raise ValueError
        if not last:
            job.again_sync(last=True)

    work.using(buffer={"n": 1}).spool_sync()
    drain_sync(spooler)
    assert seen == [{"n": 1}, {"n": 2}, {"n": 3}]
    with pytest.raises(ArgumentsRefused, match="at most 32768"):
        work.using(buffer={"n": "x" * 33_000})


# --- in the task ---------------------------------------------------------------------------------------------


@row("get_current_task()", ".args, .kwargs")
def test_the_current_job(spooler: Spooler) -> None:
    jobs: list[Job] = []

    @spooler.task
    def work(job: Job, number: int) -> None:
        def below() -> None:
            jobs.extend([job, current_job()])

        below()

    work.spool_sync(1)
    drain_sync(spooler)
    assert jobs[0] is jobs[1]
    assert not hasattr(jobs[0], "args")


@row(".at = …", ".retry_timeout = s", "current_task(…)")
def test_the_next_run_is_when_the_job_says(spooler: Spooler, clock: Clock) -> None:
    attempts: list[tuple[bool, int, int]] = []

    @spooler.task(backoff=0, retries=4)
    def work(job: Job, first: bool = True) -> None:
        attempts.append((first, job.attempt, job.retries_left))
        if job.attempt == 1:
            job.at = timedelta(seconds=20)
            raise ValueError
        if first:
            job.at = timedelta(seconds=20)
            job.again_sync(first=False)

    work.spool_sync()
    for count in (1, 2, 3, 4):
        drain_sync(spooler)
        assert len(attempts) == count
        clock.move(19.9)
        assert states(spooler) == []
        clock.move(0.2)
    assert attempts == [(True, 1, 4), (True, 2, 3), (False, 1, 4), (False, 2, 3)]


@row(".retry_count", "RetryTaskException(count=n)")
def test_the_runs_that_are_left(spooler: Spooler, clock: Clock) -> None:
    n, seen = 3, []

    @spooler.task(retries=n - 1, backoff=0)
    def counted(job: Job) -> None:
        seen.append(job.retries_left + 1)
        raise Retry

    @spooler.task(retries=9, backoff=0)
    def in_all() -> None:
        raise Retry(count=n - 1)

    @spooler.task(retries=0, backoff=0)
    def renewed(job: Job) -> None:
        if len(seen) < 20:
            seen.append(0)
            job.retries_left = n - 1
        raise Retry

    counted.spool_sync()
    assert states(spooler) == ["retrying", "retrying", "dead"]
    assert seen == [3, 2, 1]
    in_all.spool_sync()
    assert states(spooler) == ["retrying", "retrying", "dead"]
    renewed.spool_sync()
    assert states(spooler) == ["retrying"] * (16 + n - 1) + ["dead"]


@row(".retry()", "RetryTaskException()", "RetryTaskException(timeout=s)", "another exception")
def test_retries_that_a_task_asks_for(spooler: Spooler, clock: Clock) -> None:
    went_on: list[int] = []

    @spooler.task(retries=2, backoff=lambda _: 5)
    def work(job: Job) -> None:
        if job.attempt == 1:
            raise Retry
        if job.attempt == 2:
            raise Retry(delay=10)
        went_on.append(job.attempt)
        raise ValueError

    @spooler.task(retry_on=())
    def once() -> None:
        raise ValueError

    work.spool_sync()
    for wait, state in ((5, "retrying"), (10, "retrying"), (0, "dead")):
        (ran,) = drain_sync(spooler)
        assert ran.state == state
        clock.move(wait - 0.1)
        assert states(spooler) == []
        clock.move(0.2)
    assert went_on == [3]
    once.spool_sync()
    assert states(spooler) == ["dead"]


# --- setting up ----------------------------------------------------------------------------------------------

APP = """
import os, django
django.setup()
from aspool import Spooler
spooler = Spooler("./spool")

@spooler.task
def nightly() -> None:
    print("nightly with", django.is_set_up)

@spooler.task(executor="process", working_dir="/usr", retries=0)
def where(parent: int) -> None:
    print("in", os.getcwd(), "in another process:", os.getpid() != parent)
"""
DJANGO = """
is_set_up = False

def setup():
    global is_set_up
    is_set_up = True
"""


@row("set_uwsgi_callbacks()", "django_setup()", "executor=MULE", "working_dir")
def test_a_worker_imports_the_application(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "django.py").write_text(DJANGO)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}

    def run(command: str) -> str:
        return subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, check=True, timeout=60, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ).stdout  # fmt: skip

    commands = ["aspool send app nightly --id nightly"] * 2 + ["aspool send app where parent=$$"]
    assert run("; ".join(commands)).splitlines()[:2] == ["nightly", "nightly"]
    said = run("aspool worker app --burst --log-level error")
    assert said.splitlines()[1:].count("nightly with True") == 1
    assert "in /usr in another process: True" in said
    run("aspool send app where parent=0 && mv app.py moved && sed s:/usr:/nowhere: moved > app.py")
    assert "FileNotFoundError" in run("aspool worker app --burst --log-level error")
    with pytest.raises(TaskRefused, match='working_dir needs executor="process"'):
        Spooler(MemorySpool()).task(working_dir="/usr")(print)
