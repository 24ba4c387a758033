"""What is kept of ends: for how long, on what disk, and who removes it."""

import logging
import os
from pathlib import Path

import pytest

from aspool import DirectorySpool, clock
from aspool.outcomes import Buried, Cancelled, Done, Kept
from aspool.spools.directory.following.results import LATEST, Results, sweep_results
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import message, put, settle
from aspool.testing.conformance_following import KEPT, RECORD, served

pytestmark = pytest.mark.anyio


def kept(directory: DirectorySpool) -> list[str]:
    return sorted(os.listdir(directory.path / PRIVATE / "results"))


@pytest.fixture
def results(directory: DirectorySpool) -> Results:
    directory.put_blocking([])
    return Results(directory._tree)


def test_a_record_is_kept_until_its_moment(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    results.keep("abc", Kept(RECORD, 60))
    results.keep("long", Kept(RECORD, 1e300))
    assert results.read("abc") == results.read("long") == RECORD
    monkeypatch.setattr(clock, "now", lambda: now + 61)
    assert (results.read("abc"), results.read("long")) == (None, RECORD)
    monkeypatch.setattr(clock, "now", lambda: LATEST + 1)
    assert results.read("long") is None


@pytest.mark.parametrize("record", [b"", b"{}", b"null", b'{"state": "running"}', b"\xff", b"[" * 20_000])
def test_what_is_no_record_counts_as_none(directory: DirectorySpool, results: Results, record: bytes) -> None:
    results.keep("abc", Kept(record, 60))
    assert kept(directory) == ["abc"]
    assert results.read("abc") is None


async def test_a_full_disk_does_not_hold_up_the_end(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aspool.spools.directory.following.results.write_note", refuse)
    await put(directory, message(), message(), message())
    async with served(directory) as here:
        for outcome in (Done(KEPT), Cancelled("no", KEPT), Buried("no", kept=KEPT)):
            claim = await here.claim()
            await settle(directory, [claim], outcome)
        assert await here.state(claim.message.id) == "dead"
    assert [item.state for item in directory.browse()] == ["dead"]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1, "once a minute"
    assert "No space left on device" in said[0]


async def test_the_record_is_there_before_the_message_goes(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    unlink = os.unlink

    def noting(path: str, *, dir_fd: int | None = None) -> None:
        if path.startswith("uwsgi"):
            seen.extend(p.read_bytes() for p in (directory.path / PRIVATE / "results").iterdir())
        unlink(path, dir_fd=dir_fd)

    await put(directory, message())
    async with served(directory) as here:
        claim = await here.claim()
        monkeypatch.setattr("aspool.spools.directory.finish.os.unlink", noting)
        await settle(directory, [claim], Done(KEPT))
    assert seen == [RECORD]


def test_the_sweep_takes_what_has_expired(directory: DirectorySpool, results: Results) -> None:
    results.keep("old", Kept(RECORD, -1))
    results.keep("young", Kept(RECORD, 60))
    (directory.path / PRIVATE / "results" / "junk").mkdir()
    os.utime(directory.path / PRIVATE / "results" / "junk", (1, 1))
    assert sweep_results(directory._tree) == 1
    assert kept(directory) == ["junk", "young"]


def test_many_short_ones_do_not_wait_for_the_hour(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("aspool.spools.directory.following.results.time.monotonic", lambda: now)
    results.sweep()
    assert not results.wants_sweep()
    for _ in range(1000):
        results.keep("abc", Kept(RECORD, 40))
    now += 39
    assert not results.wants_sweep(), "none can have expired"
    now += 2
    assert results.wants_sweep()
    results.sweep()
    assert not results.wants_sweep()


async def test_a_worker_sweeps_them(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.spools.directory.following.results.MANY", 3)
    monkeypatch.setattr("aspool.spools.directory.following.results.LEAST_PAUSE", 0.0)
    await put(directory, message(), message(), message())
    async with served(directory) as here:
        for _ in range(3):
            await settle(directory, [await here.claim()], Done(Kept(RECORD, 0.01)))
        while kept(directory):
            await directory.wait(0.05)
    assert Path(directory.path / PRIVATE / "results").is_dir()
