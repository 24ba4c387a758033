"""What a job changed of its message: where it is, who reads it, who removes it."""

import json
import os
from pathlib import Path

import pytest

from aspool import DirectorySpool, clock
from aspool.message import Message
from aspool.outcomes import Buried, Cancelled, Changes, Done, HandedBack, Outcome, PutOff
from aspool.spools.directory import descriptors
from aspool.spools.directory.claim import FileClaim
from aspool.spools.directory.following.changes import changed_message, write_changes
from aspool.spools.directory.names import foreign
from aspool.spools.directory.tree import PRIVATE, Tree
from aspool.testing.conformance import message, nothing, put, settle
from aspool.testing.conformance_following import served
from aspool.wire import encode

pytestmark = pytest.mark.anyio


def changed(directory: DirectorySpool) -> list[str]:
    return sorted(os.listdir(directory.path / PRIVATE / "changes"))


def again(**options: object) -> PutOff:
    return PutOff(clock.now() - 1, 1, 0, changes=Changes(**options))  # type: ignore[arg-type]  # of a test's own


@pytest.mark.parametrize("outcome", [Done(), Cancelled(), Buried("no")])
async def test_they_go_with_the_message(directory: DirectorySpool, outcome: Outcome) -> None:
    sent = message()
    await put(directory, sent)
    async with served(directory) as here:
        await settle(directory, [await here.claim()], again(buffer={"a": 1}, retries=3))
        written = json.loads((directory.path / PRIVATE / "changes" / sent.id).read_bytes())
        assert written == {"buffer": {"a": 1}, "retries": 3}
        await settle(directory, [await here.claim()], HandedBack())
        assert changed(directory) == [sent.id]
        await settle(directory, [await here.claim()], outcome)
    assert changed(directory) == []


@pytest.mark.parametrize("how", ["delete", "requeue", "cancel"])
async def test_they_go_by_hand(directory: DirectorySpool, how: str) -> None:
    sent = message()
    await put(directory, sent)
    async with served(directory) as here:
        due = clock.now() + 1000
        await settle(directory, [await here.claim()], PutOff(due, 1, 0, changes=Changes({"a": 1})))
        (listed,) = directory.browse()
        if how == "cancel":
            assert await directory.cancel(sent.id, None)
        else:
            assert directory.delete(listed) if how == "delete" else directory.requeue(listed, due)
    assert changed(directory) == []


async def test_a_first_run_does_not_look_for_them(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(tree: Tree, message: Message) -> None:
        asked.append(message.id)

    def remove(tree: Tree, area: str, id: str) -> None:
        asked.append(f"removed {id}")

    monkeypatch.setattr("aspool.spools.directory.claim.changed_message", read)
    monkeypatch.setattr("aspool.spools.directory.finish.remove_note", remove)
    await put(directory, message(), message())
    async with served(directory) as here:
        await settle(directory, [await here.claim()], Done())
        claim = await here.claim()
        assert asked == []
        await settle(directory, [claim], PutOff(clock.now() - 1, 1, 0))
        claim = await here.claim()
        assert asked == [claim.message.id]
        await settle(directory, [claim], Done())


async def test_a_message_of_uwsgi_has_them_too(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    path = directory.path / "uwsgi_spoolfile_on_host_77_1_0_1700000000_123456"
    path.write_bytes(encode({b"aspool.task": b"t"}, 17))
    async with served(directory) as here:
        await settle(directory, [await here.claim()], again(buffer={"a": 1}))
        assert changed(directory) == [foreign(path.name, 0).id]
        claim = await here.claim()
        assert claim.message.buffer == {"a": 1}
        await settle(directory, [claim], Done())
    assert changed(directory) == []


async def test_a_crash_finds_what_the_run_before_left(directory: DirectorySpool) -> None:
    await put(directory, message())
    async with served(directory) as here:
        await settle(directory, [await here.claim()], again(buffer={"a": 1}, retries=7))
        claim = await here.claim()
        assert isinstance(claim, FileClaim)
        descriptors.close_descriptor(claim.fd)  # as a death does
        other = DirectorySpool(directory.path)
        async with served(other) as there:
            claim = await there.claim()
            assert (claim.crashed, claim.message.buffer) == (True, {"a": 1})
            assert claim.message.options == {"retries": 7}
            await settle(other, [claim], Done())


def test_a_full_disk_is_an_error(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The put-off waits, held, for room: the next run must not begin without them."""
    directory.put_blocking([])

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aspool.spools.directory.following.changes.write_note", refuse)
    with pytest.raises(OSError, match="No space"):
        write_changes(directory._tree, "abc", Changes({"a": 1}))


@pytest.mark.parametrize("buffer", [{"a": object()}, {"a": "x" * 40_000}, {(1, 2): 3}])
def test_a_buffer_that_cannot_travel_is_lost_and_said(
    directory: DirectorySpool, caplog: pytest.LogCaptureFixture, buffer: dict[str, object]
) -> None:
    directory.put_blocking([])
    write_changes(directory._tree, "abc", Changes(buffer))
    assert changed(directory) == []
    assert "what the job of abc changed is lost" in caplog.text


@pytest.mark.parametrize(
    ("content", "retries"),
    [(b'{"buffer": {"a": 1}, "retries": null}', 2), (b'{"buffer": {"a": 1}, "retries": true}', 2),
     (b'{"buffer": {"a": 1}, "retries": -3}', 2), (b'{"buffer": {"a": 1}}', 2),
     (b'{"buffer": {"a": 1}, "retries": 0, "more": []}', 0)],
)  # fmt: skip
def test_what_is_read_is_checked(directory: DirectorySpool, content: bytes, retries: int) -> None:
    directory.put_blocking([])
    Path(directory.path / PRIVATE / "changes" / "abc").write_bytes(content)
    got = changed_message(directory._tree, message(id="abc", options={"retries": 2}))
    assert got is not None
    assert (got.buffer, got.options) == ({"a": 1}, {"retries": retries})


async def test_options_from_outside_may_be_anything(directory: DirectorySpool) -> None:
    sent = message(options={"retries": "many"})
    await put(directory, sent)
    async with served(directory) as here:
        await settle(directory, [await here.claim()], again(buffer={"a": 1}))
        await settle(directory, [await here.claim()], again(buffer={"a": 2}))
        claim = await here.claim()
        assert (claim.message.buffer, claim.message.options) == ({"a": 2}, {"retries": "many"})
        await settle(directory, [claim], Done())


@pytest.mark.parametrize("ending", ["died", "abandoned"])
async def test_a_cancelled_job_does_not_run_again_when_its_worker_ends(directory: DirectorySpool, ending: str) -> None:
    """Whoever cancelled it was told so."""
    sent = message()
    await put(directory, sent)
    async with served(directory) as here:
        claim = await here.claim()
        here.running.add(sent.id)
        assert await DirectorySpool(directory.path).cancel(sent.id, None)
        assert here.cancelled == [sent.id]
        assert isinstance(claim, FileClaim)
        if ending == "abandoned":
            directory.abandon(claim)
        descriptors.close_descriptor(claim.fd)
        other = DirectorySpool(directory.path)
        async with served(other):
            assert await nothing(other)
        async with other.following(sent.id, None) as follower:
            assert (await follower.look()).state == "cancelled"
    assert changed(directory) == []
    assert directory.browse() == []
