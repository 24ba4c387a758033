"""What a supervisor tells of itself, with fake processes and a real directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from anyio import create_task_group, fail_after
from prometheus_client.parser import text_string_to_metric_families

from aspool import DirectorySpool, Spooler
from aspool.events import JobStarted
from aspool.observe.metrics import Counts
from aspool.supervisor.order import Counted, Leaving
from aspool.supervisor.outlook import Outlook
from aspool.testing.conformance import message

from .fake_processes import Fakes, supervised

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def looked_at(spool: DirectorySpool, **options: object) -> AsyncIterator[tuple[Fakes, Outlook]]:
    async with supervised(**options) as fakes, create_task_group() as group:
        outlook = Outlook(fakes.supervisor)
        group.start_soon(outlook.keep_posting)
        await fakes.until(lambda: fakes.started)
        yield fakes, outlook
        group.cancel_scope.cancel()
    assert spool.notices() == []


async def begun(fakes: Fakes, spool: DirectorySpool) -> None:
    while len(fakes.supervisor.claiming) < len(fakes.supervisor.places):
        fakes.started[-1].is_ready(spool.address)
        await fakes.settle()
    await fakes.until(lambda: spool.notices() and spool.notices()[0]["workers"][-1]["state"] == "ready")


async def test_it_is_said_in_each_spool(directory: DirectorySpool) -> None:
    async with looked_at(directory, processes=2) as (fakes, outlook):
        assert (outlook.ready(), outlook.record()["state"]) == ((False, "no worker has begun yet"), "starting")
        await begun(fakes, directory)
        (notice,) = directory.notices()
        assert (notice["app"], notice["state"], notice["processes"]) == ("app", "ready", 2)
        assert [(worker["number"], worker["state"]) for worker in notice["workers"]] == [(1, "ready"), (2, "ready")]
        fakes.started[0].says(Leaving("max_rss=100 MB is reached", wants_successor=True))
        await fakes.until(lambda: directory.notices()[0]["workers"][0]["state"] == "leaving")
        assert directory.notices()[0]["workers"][0]["reason"] == "max_rss=100 MB is reached"


async def test_workers_that_die_are_not_ready(directory: DirectorySpool) -> None:
    async with looked_at(directory, restart_wait=1000.0, longest_restart_wait=1000.0) as (fakes, outlook):
        await begun(fakes, directory)
        assert outlook.ready() == (True, "")
        fakes.started[0].end(-11)
        await fakes.until(lambda: not fakes.supervisor.processes)
        is_ready, reason = outlook.ready()
        assert not is_ready
        assert "was killed by signal 11" in reason
        await fakes.until(lambda: directory.notices()[0]["state"] == "failing")


async def test_status_and_metrics(directory: DirectorySpool) -> None:
    spooler = Spooler(directory)

    @spooler.task(name="mail")
    async def mail() -> None: ...

    counts = Counts(spooler.tasks)
    counts(JobStarted("1", "mail", 1, 0.2))
    async with looked_at(directory) as (fakes, outlook):
        await begun(fakes, directory)
        await directory.put([message(), message()])
        fakes.started[0].says(Counted(dict(counts.record())))
        with fail_after(30):
            while not (status := await outlook.status())["spools"][0]["counts"].get("waiting"):
                pass
            assert status["spools"][0]["counts"]["waiting"] == 2
            assert (status["spools"][0]["error"], status["schedules"]) == (None, [])
            text = (await outlook.metrics()).decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        started = families["aspool_jobs_started"].samples[0]
        assert (started.labels["task"], started.value) == ("mail", 1)
        fakes.started[0].end(0)
        await fakes.until(lambda: len(fakes.started) == 2)
        assert b'aspool_jobs_started_total{task="mail"} 1.0' in await outlook.metrics(), "what the dead did counts"
