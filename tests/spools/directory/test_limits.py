"""Limits over several worker processes, also killed ones; what waits costs nothing, what lies there does no harm."""

import fcntl
import math
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool
from aspool.ids import new_id
from aspool.message import Message
from aspool.outcomes import Done, HandedBack
from aspool.protocol import WorkerSide
from aspool.spools.directory import look, marks
from aspool.spools.directory.claim import FileClaim
from aspool.spools.directory.limits.slots import Slot, file_name
from aspool.spools.directory.locks import HAVE_OFD
from aspool.spools.directory.marks import Mark
from aspool.spools.directory.names import PREFIX
from aspool.testing.conformance import claimed, nothing, put
from aspool.testing.conformance_limits import served_with

pytestmark = pytest.mark.skipif(not HAVE_OFD, reason="limits over processes are tested where OFD locks are")
DEADLINE = 60.0
_WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)


def message(task: str, due: float | None = None) -> Message:
    now = time.time()
    return Message(id=new_id(), task=task, spooled=now, due=now if due is None else due)


class Crew:
    """Worker processes on one spool."""

    def __init__(self, root: Path) -> None:
        self.path, self.log = root / "spool", root / "log"
        self.spool = DirectorySpool(self.path, durability="process")
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, limit: int, seconds: float = 0.0, *more: str) -> None:
        program = Path(__file__).with_name("limited_worker.py")
        command = [sys.executable, str(program), str(self.path), str(limit), str(self.log), str(seconds), *more]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        self.workers.append(worker)

    def put(self, count: int, *tasks: str) -> list[Message]:
        messages = [message(tasks[at % len(tasks)]) for at in range(count)]
        for start in range(0, count, 50):
            self.spool.put_blocking(messages[start : start + 50])
        return messages

    def kill(self, at: int) -> None:
        worker = self.workers.pop(at)
        worker.kill()
        worker.wait()
        assert worker.stdout is not None
        worker.stdout.close()

    def waiting(self) -> int:
        return sum(entry.name.startswith(PREFIX) for entry in os.scandir(self.path))

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not is_so():
            assert time.monotonic() < deadline, f"{self.waiting()} messages are left"
            time.sleep(0.01)

    def done(self) -> list[list[str]]:
        """Task, id and what was wrong of each job that has ended."""
        return [line.split(" ", 2) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    made = Crew(tmp_path)
    yield made
    while made.workers:
        made.kill(0)


def test_never_two_at_once_in_four_processes(crew: Crew) -> None:
    for _ in range(4):
        crew.start(1)
    messages = crew.put(1000, "limited", "free")
    crew.until(lambda: not crew.waiting())
    done = crew.done()
    assert sorted(id for _, id, _ in done) == sorted(message.id for message in messages)
    assert {wrong for _, _, wrong in done} == {""}


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.heavy)])
def test_never_two_at_once_though_holders_are_killed(crew: Crew, kills: int) -> None:
    for _ in range(4):
        crew.start(1, 0.002)
    messages = crew.put(50 * (kills + 2), "limited", "free")
    for left in range(50 * kills, 0, -50):
        crew.until(lambda left=left: crew.waiting() <= left)  # type: ignore[misc]  # mypy sees no default there
        crew.kill(random.randrange(4))
        crew.start(1, 0.002)
    crew.until(lambda: not crew.waiting())
    done = crew.done()
    assert {id for _, id, _ in done} == {message.id for message in messages}
    assert {wrong for _, _, wrong in done} == {""}


def test_a_strict_order_over_three_processes(crew: Crew) -> None:
    messages = crew.put(300, "t")
    for _ in range(3):
        crew.start(1, 0.0, "ordered")
    crew.until(lambda: len(crew.done()) > 50)
    crew.kill(0)
    messages += crew.put(100, "t")
    crew.until(lambda: not crew.waiting())
    done = list(dict.fromkeys(id for _, id, _ in crew.done()))  # a killed worker may have done one that ran again
    assert done == [message.id for message in messages]


def cpu_seconds(worker: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(worker: "subprocess.Popen[bytes]") -> int:
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")))


@pytest.mark.anyio
async def test_who_waits_for_a_slot_is_asleep(crew: Crew) -> None:
    crew.put(200, "limited")
    async with served_with(crew.spool, {"limited": 1}):
        held = await claimed(crew.spool, 1)
        for _ in range(3):
            crew.start(1)
        crew.put(1, "free")
        crew.until(lambda: len(crew.done()) == 1)  # all of them have looked, or one has
        worker = crew.workers[0]
        before = -1
        while before != switches(worker):  # it has tried all it knows
            before = switches(worker)
            await anyio.sleep(0.2)
        used = [cpu_seconds(worker) for worker in crew.workers]
        slept = [switches(worker) for worker in crew.workers]
        assert await nothing(crew.spool)
        await anyio.sleep(0.5)  # what is measured is this time
        assert max(now - then for now, then in zip(map(cpu_seconds, crew.workers), used, strict=True)) < 0.1
        assert max(now - then for now, then in zip(map(switches, crew.workers), slept, strict=True)) < 20
        await crew.spool.finish([(claim, Done()) for claim in held])
    crew.until(lambda: not crew.waiting())


@pytest.mark.anyio
async def test_what_waits_is_as_it_was(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await put(spool, message("one"), message("one"))
    files = sorted((tmp_path / "spool").glob(f"{PREFIX}*"))
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    async with served_with(spool, {"one": 1}):
        (claim,) = await claimed(spool, 1)
        assert isinstance(claim, FileClaim)
        assert await nothing(spool)
        (other,) = [file for file in files if file.name != claim.name]
        assert (other.read_bytes(), other.stat().st_mtime_ns) == before[other]
        with other.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it
        await spool.finish([(claim, HandedBack())])


@pytest.mark.anyio
async def test_an_unknown_task_is_shown_as_such_and_is_another_workers_at_once(tmp_path: Path) -> None:
    spool, other = (DirectorySpool(tmp_path / "spool", durability="process") for _ in range(2))
    await put(spool, message("strange", due=time.time() - 100))
    (file,) = (tmp_path / "spool").glob(f"{PREFIX}*")
    mtime = file.stat().st_mtime_ns
    async with served_with(spool, {}):
        assert await nothing(spool)
        assert [item.state for item in spool.browse()] == ["unknown"]
        assert file.stat().st_mtime_ns == mtime
        async with served_with(other, {"strange": math.inf}):
            (claim,) = await claimed(other, 1)
            assert not claim.crashed
            await other.finish([(claim, Done())])


@pytest.mark.anyio
async def test_the_death_of_a_worker_is_counted_after_others_did_not_know_the_task(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await put(spool, message("strange"))
    (file,) = (tmp_path / "spool").glob(f"{PREFIX}*")
    with file.open("r+b") as held:
        marks.write_mark(held.fileno(), Mark.RUNNING)  # and its worker is dead
    async with served_with(spool, {}):
        assert await nothing(spool)
    async with served_with(spool, {"strange": math.inf}):
        (claim,) = await claimed(spool, 1)
        assert (claim.crashed, claim.message.crashes) == (True, 1)
        await spool.finish([(claim, Done())])


@pytest.mark.anyio
async def test_a_file_in_the_place_of_slots_stops_that_task_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await spool.open()
    (tmp_path / "spool" / ".aspool" / "slots" / file_name("one")).mkdir()
    await put(spool, message("one"), message("other"))
    async with served_with(spool, {"one": 1, "other": 1}):
        (claim,) = await claimed(spool, 1)
        assert claim.message.task == "other"
        assert await nothing(spool)
        await spool.finish([(claim, Done())])
    assert "the slots of one cannot be used" in caplog.text


@pytest.mark.anyio
async def test_strange_files_pause_nothing(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await spool.pause("quiet")
    area = tmp_path / "spool" / ".aspool" / "paused"
    (real,) = area.iterdir()
    assert real.stat().st_mode & 0o777 == 0o600
    (area / "notes.txt").write_text("t")
    (area / file_name("t")).write_text("u")
    (area / file_name("u")).symlink_to("/dev/zero")
    os.mkfifo(area / file_name("v"))
    (area / file_name("w")).mkdir()
    (area / file_name("x")).write_bytes(b"\xff" * 100_000)
    (area / "spool").mkdir()
    assert await spool.paused() == {"quiet"}
    (area / "spool").rmdir()
    (area / "spool").touch()  # by hand
    assert await spool.paused() == {"quiet", None}


@pytest.mark.anyio
async def test_more_may_wait_than_can_be_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "LIMIT", 100)
    monkeypatch.setattr(look, "LEAST", 10)
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    limited = [message("one") for _ in range(500)]
    await put(spool, *limited, *[message("unknown") for _ in range(150)])
    await put(spool, *[message("other", due=time.time() + 0.001) for _ in range(150)])
    async with served_with(spool, {"one": 1, "other": math.inf}):
        with anyio.fail_after(20):
            claims = await claimed(spool, 151)
            assert sum(claim.message.task == "one" for claim in claims) == 1
            (sight,) = spool._served()._look._sights
            assert len(sight.parked) + len(sight.held_back) <= 110
            order = []
            while claims:
                order += [claim.message.id for claim in claims if claim.message.task == "one"]
                await spool.finish([(claim, Done()) for claim in claims])
                claims = await claimed(spool, 1) if len(order) < 500 else []
    assert sorted(order) == sorted(message.id for message in limited)


@pytest.mark.anyio
async def test_claims_without_limits_ask_the_system_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await put(spool, *[message("t") for _ in range(5)])
    async with served_with(spool, {"t": math.inf}):
        served = spool._served()
        monkeypatch.setattr(served._gate, "_slots", None)
        claims = await claimed(spool, 5)
        assert [claim.slots for claim in claims if isinstance(claim, FileClaim)] == [()] * 5
        await spool.finish([(claim, Done()) for claim in claims])
        monkeypatch.undo()
    assert not list((tmp_path / "spool" / ".aspool" / "slots").iterdir())


@pytest.mark.anyio
async def test_an_ordered_spool_waits_for_a_head_that_is_busy_for_a_moment(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process", ordered=True)
    first, second = message("t"), message("t")
    await put(spool, first, second)
    (head,) = (tmp_path / "spool").glob(f"*{first.id}*")
    with head.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _WRITE_LOCK)
        async with served_with(spool, {"t": math.inf}), anyio.create_task_group() as group:

            async def let_go() -> None:
                file.close()

            while not spool.has_looked:
                await spool.wait(0.01)
            group.start_soon(let_go)
            claims = await claimed(spool, 1)
            assert claims[0].message.id == first.id
            await spool.finish([(claim, Done()) for claim in claims])


@pytest.mark.anyio
async def test_what_is_put_before_the_head_comes_first(tmp_path: Path) -> None:
    spool, writer = (DirectorySpool(tmp_path / "spool", durability="process", ordered=True) for _ in range(2))
    now = time.time()
    await put(spool, message("t", due=now - 5), message("t", due=now - 3))
    async with served_with(spool, {"t": math.inf}):
        claims = await claimed(spool, 1)
        writer.put_blocking([early := message("t", due=now - 4)])
        await spool.finish([(claim, Done()) for claim in claims])
        (claim,) = await spool.claim(1, time.time())
        assert claim.message.id == early.id
        await spool.finish([(claim, Done())])


@pytest.mark.anyio
async def test_the_side_is_asked_for_each_message(tmp_path: Path) -> None:
    asked: list[str | None] = []

    def limit(task: str | None) -> float:
        asked.append(task)
        return math.inf

    spool = DirectorySpool(tmp_path / "spool", durability="process")
    await put(spool, message("a"), Message(id=new_id(), raw={b"k": b"v"}, due=time.time()))
    async with spool.serving(WorkerSide(lambda: 30.0, limit)):
        claims = await claimed(spool, 2)
        await spool.finish([(claim, Done()) for claim in claims])
    assert sorted(map(str, asked)) == ["None", "a"]


@pytest.mark.anyio
async def test_who_may_not_claim_in_order_during_a_scan_sleeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process", ordered=True)
    await put(spool, message("t"))
    async with served_with(spool, {"t": math.inf}):
        while spool.next_due() is None:
            await spool.wait(0.01)
        served = spool._served()
        with monkeypatch.context() as patched:
            patched.setattr(served._look, "next_scan", lambda: None)  # it does not begin yet
            served._look.want_all()
            assert await spool.claim(1, time.time()) == []
            assert spool.next_due() is None
        served._scan_wanted.set()
        while spool.next_due() is None:  # the end of the scan is news
            await spool.wait(60)
        claims = await spool.claim(1, time.time())
        assert len(claims) == 1
        await spool.finish([(claim, Done()) for claim in claims])


@pytest.mark.anyio
async def test_a_claim_under_way_does_not_open_the_slots_of_a_replaced_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    spool = DirectorySpool(path, durability="process")
    async with served_with(spool, {"one": 1}):
        served = spool._served()
        reopen = served._tree.reopen

        def reopen_while_another_thread_claims() -> None:
            slot = served._gate.admit("one")
            assert isinstance(slot, Slot)
            slot.free()
            reopen()

        monkeypatch.setattr(served._tree, "reopen", reopen_while_another_thread_claims)
        path.rename(tmp_path / "old")
        path.mkdir(0o700)
        served._reopen()
        await put(spool, message("one"))
        claims = await claimed(spool, 1)
        assert (path / ".aspool" / "slots" / file_name("one")).exists()
        await spool.finish([(claim, Done()) for claim in claims])
