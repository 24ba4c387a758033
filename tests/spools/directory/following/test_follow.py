"""Following a message: from another process than its worker's, through every rename, to whatever end."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool, SpoolUnusable, clock
from aspool.ids import new_id
from aspool.outcomes import Buried, Done, Kept
from aspool.protocol import Follower, Progress, Standing, Whereabouts
from aspool.spools.directory import descriptors
from aspool.spools.directory.following import tickets
from aspool.spools.directory.following.finding import paths_of
from aspool.spools.directory.following.results import Results
from aspool.spools.directory.locks import HAVE_OFD, try_lock, unlock
from aspool.spools.directory.marks import Mark
from aspool.spools.directory.names import foreign
from aspool.spools.directory.tree import PRIVATE, Tree
from aspool.testing.conformance import claimed, message, nothing, put, served, settle
from aspool.testing.conformance_following import KEPT, RECORD, until, until_state
from aspool.wire import encode

pytestmark = pytest.mark.anyio

# A worker that does with the next message what each line of its input says.
WORKER = """
import asyncio, sys, time
from aspool import DirectorySpool
from aspool.outcomes import *
from aspool.protocol import Entry, Progress, WorkerSide

def cancelled(id):
    print("cancelled", id, flush=True)
    return True

async def main():
    spool = DirectorySpool(sys.argv[1], durability="process")
    async with spool.serving(WorkerSide(lambda: 30.0, cancel=cancelled)):
        board = spool.scoreboard(2)
        seat = None
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line == "claim\\n":
                while not (claims := await spool.claim(1, time.time())):
                    await spool.wait(0.05)
                entry = Entry(claims[0].message.id, "t", 1, time.time())
                seat = board.take(entry)
            elif line == "progress\\n":
                entry.got_on(Progress(1, 4, "on its way"))
                board.write(seat, entry)
            else:
                board.free(seat)
                await spool.finish([(claims[0], eval(line))])
            print("ok", flush=True)

asyncio.run(main())
"""


class Worker:
    """Another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    async def does(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert await self.says() == "ok"

    async def says(self) -> str:
        assert self.process.stdout is not None
        return (await anyio.to_thread.run_sync(self.process.stdout.readline)).strip()


@asynccontextmanager
async def worker(path: Path) -> AsyncIterator[Worker]:
    command = [sys.executable, "-c", WORKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            other = Worker(process)
            assert await other.says() == "ready"
            yield other
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = set(descriptors._open)
    yield
    left = {os.readlink(f"/proc/self/fd/{fd}") for fd in descriptors._open - before}
    assert [path for path in left if "uwsgi_spoolfile" in path or "inotify" in path] == []


@contextmanager
def no_search(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody reads all names."""

    def read(*args: object) -> dict[str, str]:
        raise AssertionError("a search")

    with monkeypatch.context() as patched:
        patched.setattr("aspool.spools.directory.following.search.paths_of", read)
        yield


async def look(spool: DirectorySpool, id: str, put: Whereabouts | None = None) -> Standing:
    async with spool.following(id, put) as follower:
        return await follower.look()


async def test_every_state_is_seen_from_another_process(directory: DirectorySpool) -> None:
    sent = message(priority=3)
    await put(directory, sent)
    with anyio.fail_after(20):
        async with worker(directory.path) as other, directory.following(sent.id, None) as follower:
            assert (await follower.look()).state == "waiting"
            await other.does("claim")
            await until_state(follower, "running")
            await other.does("progress")
            told = Progress(1, 4, "on its way")
            assert (await until(follower, lambda standing: standing.progress == told)).state == "running"
            await other.does("PutOff(time.time() + 1000, 1, 0)")
            assert (await until_state(follower, "retrying")).attempt == 2
            assert await directory.reschedule(sent.id, None, clock.now(), None)
            await other.does("claim")
            await until_state(follower, "running")
            await other.does("HandedBack()")
            await until_state(follower, "retrying")
            await other.does("claim")
            assert await directory.cancel(sent.id, None)
            assert await other.says() == f"cancelled {sent.id}"
            await other.does(f"Done(Kept({RECORD!r}, 60))")
            assert (await until_state(follower, "done")).record == RECORD
        assert (await look(directory, sent.id)).record == RECORD


async def test_a_killed_worker_runs_it_no_more(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    with anyio.fail_after(20):
        async with worker(directory.path) as other, directory.following(sent.id, None) as follower:
            await follower.look()
            await other.does("claim")
            await until_state(follower, "running")
            other.process.kill()
            assert (await until_state(follower, "retrying")).attempt == 1
        async with served(directory):
            (claim,) = await claimed(directory, 1)
            assert claim.message.crashes == 1
            await settle(directory, [claim], Done())


async def test_an_order_outlives_a_worker_that_is_killed(directory: DirectorySpool) -> None:
    """Nobody takes it, but the message waits again: it is removed."""
    sent = message()
    await put(directory, sent)
    answers: list[bool] = []
    with anyio.fail_after(20):
        async with worker(directory.path) as other:
            await other.does("claim")
            os.kill(other.process.pid, 19)  # SIGSTOP
            async with anyio.create_task_group() as group:
                group.start_soon(_answer, answers, directory, sent.id)
                while not os.listdir(directory.path / PRIVATE / "orders"):
                    await anyio.sleep(0.005)
                other.process.kill()
    assert answers == [True]
    assert list(directory.browse()) == []
    assert os.listdir(directory.path / PRIVATE / "orders") == []


async def _answer(answers: list[bool], spool: DirectorySpool, id: str) -> None:
    answers.append(await spool.cancel(id, None))


async def test_hundreds_at_once(directory: DirectorySpool) -> None:
    sent = [message() for _ in range(300)]
    await put(directory, *sent)
    ends: list[Standing] = []

    async def follow(id: str, where: Whereabouts) -> None:
        async with directory.following(id, where) as follower:
            ends.append(await until_state(follower, "done"))

    async with served(directory), anyio.create_task_group() as group:
        for one in sent:
            group.start_soon(follow, one.id, Whereabouts(one.due, None))
        await settle(directory, await claimed(directory, 300), Done(KEPT))
    assert [end.record for end in ends] == [RECORD] * 300
    inotify = [fd for fd in os.listdir("/proc/self/fd") if "inotify" in _target(fd)]
    assert inotify == [], "the last one closed the door"


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


async def test_whoever_knows_where_it_was_put_need_not_search(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [message(), message(priority=2, due=clock.now() + 50), message(due=1.1234567)]
    await put(directory, *sent)
    with no_search(monkeypatch):
        for one in sent:
            where = Whereabouts(one.due, one.priority)
            assert (await look(directory, one.id, where)).state in ("waiting", "scheduled")
            assert await directory.reschedule(one.id, where, clock.now() + 100, 5)
            assert (await look(directory, one.id, where)).state == "scheduled", "its new place is known too"
    other = DirectorySpool(directory.path)
    for one in sent:
        assert (await look(other, one.id, Whereabouts(one.due, one.priority))).state == "scheduled"
        with no_search(monkeypatch):
            assert (await look(other, one.id)).state == "scheduled"


async def test_many_who_search_share_one_reading(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [message() for _ in range(50)]
    await put(directory, *sent)
    readings: list[int] = []

    def read(tree: Tree, ids: frozenset[str]) -> dict[str, str]:
        readings.append(len(ids))
        return paths_of(tree, ids)

    monkeypatch.setattr("aspool.spools.directory.following.search.paths_of", read)
    async with anyio.create_task_group() as group:
        for one in sent:
            group.start_soon(look, directory, one.id)
    assert readings == [1, 49]


async def test_how_many_places_are_remembered(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "REMEMBERED", 2)
    sent = [message() for _ in range(3)]
    await put(directory, *sent)
    for one in sent:
        await look(directory, one.id, Whereabouts(one.due, None))
    assert list(directory._tickets._paths) == [sent[1].id, sent[2].id]


async def test_a_message_of_uwsgi_is_followed_too(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    path = directory.path / "uwsgi_spoolfile_on_host_77_1_0_1700000000_123456"
    path.write_bytes(encode({b"aspool.task": b"t"}, 17))
    id = foreign(path.name, 0).id
    async with directory.following(id, None) as follower:
        assert (await follower.look()).state == "waiting"
        fd = os.open(path, os.O_RDWR)
        assert try_lock(fd), "as uWSGI does while it runs it; no event tells of that"
        await until_state(follower, "running")
        path.unlink()
        os.close(fd)
        await until_state(follower, "done")
    assert (await look(directory, id)).state == "unknown"


async def test_what_uwsgi_finished_is_over_though_its_id_is_left(directory: DirectorySpool) -> None:
    await put(directory, message(id="mine", unique=True))
    async with directory.following("mine", None) as follower:
        assert (await follower.look()).state == "waiting"
        (path,) = directory.path.glob("uwsgi*")
        path.unlink()
        assert (await _end(follower)).state == "unknown"
        assert await directory.cancel("mine", None) is False


async def _end(follower: Follower) -> Standing:
    with anyio.fail_after(10):
        while not (standing := await follower.look()).is_over:
            await follower.changed()
    return standing


@pytest.mark.skipif(not HAVE_OFD, reason="without OFD locks a look takes the lock for a moment itself")
async def test_a_lock_of_a_moment_is_no_run(directory: DirectorySpool) -> None:
    """As a worker's that may not begin the message now."""
    sent = message()
    await put(directory, sent)
    (path,) = directory.path.glob("uwsgi*")
    fd = os.open(path, os.O_RDWR)
    async with directory.following(sent.id, None) as follower:
        assert (await follower.look()).state == "waiting"
        assert try_lock(fd)
        async with anyio.create_task_group() as group:
            group.start_soon(_free, fd)
            assert (await follower.look()).state == "waiting"
    os.close(fd)


async def _free(fd: int) -> None:
    unlock(fd)


async def test_removed_by_hand(directory: DirectorySpool) -> None:
    sent = [message(), message(), message()]
    await put(directory, *sent)
    for one, listed in zip(sent, directory.browse(), strict=True):
        async with directory.following(one.id, None) as follower:
            assert (await follower.look()).state == "waiting"
            if one is sent[0]:
                (directory.path / listed.name).unlink()
            else:
                assert directory.delete(listed)
            assert (await _end(follower)).state == ("unknown" if one is sent[0] else "cancelled")


async def test_a_dead_message_lives_again(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    record = b'{"state": "dead", "reason": "no", "traceback": "", "error": null}'
    async with served(directory), directory.following(sent.id, None) as follower:
        await follower.look()
        await settle(directory, await claimed(directory, 1), Buried("no", kept=Kept(record, 60)))
        assert (await until_state(follower, "dead")).record == record
        (listed,) = directory.browse(frozenset({"dead"}))
        assert directory.requeue(listed, clock.now() + 1000)
        while (await follower.look()).state == "dead":
            await follower.changed()
        assert (await follower.look()).state == "scheduled"
    assert (await look(directory, sent.id)).record is None


async def test_what_is_put_aside_as_broken_is_unknown(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    (path,) = directory.path.glob("uwsgi*")
    async with directory.following(sent.id, None) as follower:
        await follower.look()
        path.write_bytes(b"\x11\xff\xff\x00 no packet")
        os.utime(path, (1e9, 1e9))
        async with served(directory):
            assert await nothing(directory)
            assert (await _end(follower)).state == "unknown"
    assert len(os.listdir(directory.path / PRIVATE / "corrupt")) == 2


async def test_a_message_that_ended_takes_no_room_though_it_is_followed(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    async with served(directory), directory.following(sent.id, None) as follower:
        await follower.look()
        await settle(directory, await claimed(directory, 1), Done())
        await until_state(follower, "done")
        assert not [fd for fd in os.listdir("/proc/self/fd") if sent.id in _target(fd)]
        assert (await follower.look()).state == "done", "and so it stays"


async def test_ids_that_are_none(directory: DirectorySpool) -> None:
    await put(directory, message())
    for id in ("", ".", "..", "../version", "a/b", "x" * 300, "\0", "é", "\udcff", "*"):
        assert (await look(directory, id, Whereabouts(1.0, 3))).state == "unknown"
        assert not await directory.cancel(id, None)
        assert not await directory.reschedule(id, None, 5.0, 1)


@pytest.mark.parametrize("kind", ["link", "dangling", "directory", "fifo"])
async def test_what_lies_in_the_place_of_a_message_but_is_none(directory: DirectorySpool, kind: str) -> None:
    directory.put_blocking([])
    id = new_id()
    path = directory.path / f"uwsgi_spoolfile_on_0000000001000000_{id}_0_0"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/etc/passwd" if kind == "link" else "/nonexistent")
    assert (await look(directory, id, Whereabouts(1.0, None))).state == "unknown"
    assert not await directory.cancel(id, Whereabouts(1.0, None))
    assert os.path.lexists(path)


async def test_a_spool_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(SpoolUnusable, match="no directory"):
        await look(DirectorySpool(tmp_path / "file"), "abc")


async def test_too_many_open_files_are_said(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = message()
    await put(directory, sent)

    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("aspool.spools.directory.following.standing.descriptors.open_descriptor", refuse)
    with pytest.raises(SpoolUnusable, match="Too many open files"):
        await look(directory, sent.id, Whereabouts(sent.due, None))


async def test_a_follower_that_is_cancelled_leaves_nothing(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    with anyio.move_on_after(0.05) as scope:
        async with directory.following(sent.id, None) as follower:
            await until_state(follower, "running")
    assert scope.cancelled_caught
    with anyio.fail_after(10):  # a thread closes it
        while [fd for fd in os.listdir("/proc/self/fd") if "inotify" in _target(fd)]:
            await anyio.sleep(0.005)


async def test_uwsgi_may_finish_in_the_middle_of_a_look(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.put_blocking([])
    path = directory.path / "uwsgi_spoolfile_on_host_77_1_0_1700000000_123456"
    path.write_bytes(encode({b"aspool.task": b"t"}, 17))
    fd = os.open(path, os.O_RDWR)
    assert try_lock(fd)
    async with directory.following(foreign(path.name, 0).id, None) as follower:
        assert (await follower.look()).state == "running"

        async def finish(seconds: float) -> None:
            path.unlink()
            os.close(fd)

        monkeypatch.setattr("aspool.spools.directory.following.follow.sleep", finish)
        assert (await follower.look()).state == "done"


@pytest.mark.parametrize("mark", [True, False])
async def test_a_cancel_that_was_killed_half_way_is_done_or_has_not_been(
    directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch, *, mark: bool
) -> None:
    """What a ticket tells, and what a worker does, is the same."""
    sent = message()
    await put(directory, sent)

    def die(*args: object, **kwargs: object) -> None:
        raise OSError(5, "as a kill would")

    monkeypatch.setattr(os if mark else Results, "unlink" if mark else "keep_cancelled", die)
    with pytest.raises(SpoolUnusable):
        await directory.cancel(sent.id, None)
    monkeypatch.undo()
    state = (await look(directory, sent.id)).state
    async with served(directory):
        if state == "cancelled":
            assert await nothing(directory)
        else:
            await settle(directory, await claimed(directory, 1), Done())
    assert state == ("cancelled" if mark else "waiting")
    assert directory.browse() == []


async def test_the_mark_of_a_stranger_removes_nothing(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    (path,) = directory.path.glob("uwsgi*")
    content = bytearray(path.read_bytes())
    content[3] = Mark.CANCELLED
    path.write_bytes(content)
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert claim.message.id == sent.id
        await settle(directory, [claim], Done())
