"""The directory spool: what is on the disk, and what other programs and people may do to it."""

import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from aspool import Body, DirectorySpool, SpoolUnusable
from aspool.outcomes import Buried, Done, PutOff
from aspool.protocol import Stored
from aspool.spools.directory import names
from aspool.spools.directory.publish import Item
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import claimed, message, nothing, put, served, settle

pytestmark = pytest.mark.anyio


def task_files(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("uwsgi_spoolfile_on_*") if PRIVATE not in p.parts)


def aside(path: Path, area: str) -> list[str]:
    return sorted(p.name for p in (path / PRIVATE / area).iterdir())


async def test_the_name_says_due_id_attempt_and_crashes(directory: DirectorySpool) -> None:
    await put(directory, message(id="abc", due=2_000_000_000.25, spooled=1.0))
    (name,) = task_files(directory.path)
    assert name == "uwsgi_spoolfile_on_2000000000250000_abc_0_0"
    found = (directory.path / name).stat()
    assert found.st_mtime == 2_000_000_001, "rounded up, so that uWSGI is never early"
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700


async def test_modes_whatever_the_umask(directory: DirectorySpool) -> None:
    before = os.umask(0)
    try:
        await put(directory, message(priority=3))
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in directory.path.rglob("*") if p.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE((directory.path / name).stat().st_mode) for name in task_files(directory.path)} == {0o600}


async def test_a_umask_that_strips_the_owner_is_made_good(directory: DirectorySpool) -> None:
    before = os.umask(0o777)
    try:
        await put(directory, message())
        await put(directory, message())
    finally:
        os.umask(before)
    assert {stat.S_IMODE((directory.path / name).stat().st_mode) for name in task_files(directory.path)} == {0o600}


@pytest.mark.parametrize("what", ["small", "large", "many", "slow disk", "durable"])
async def test_only_a_few_small_messages_are_written_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    directory = DirectorySpool(tmp_path / "spool", durability="disk" if what == "durable" else "process")
    await directory.open()
    if what == "slow disk":
        monkeypatch.setattr("aspool.spools.directory.pace.Pace.is_quick", False)
    body = Body(b"x" * 100_000) if what == "large" else None
    writers: list[int] = []
    publish = directory._publisher.publish

    def noting(items: Sequence[Item]) -> list[Stored | Exception]:
        writers.append(threading.get_ident())
        return publish(items)

    monkeypatch.setattr(directory._publisher, "publish", noting)
    answers = await directory.put([message(body=body) for _ in range(100 if what == "many" else 2)])
    assert all(isinstance(answer, Stored) for answer in answers)
    assert ({threading.get_ident()} == set(writers)) is (what == "small")
    await directory.aclose()


async def test_a_put_off_message_keeps_its_file(directory: DirectorySpool) -> None:
    await put(directory, message(id="abc", body=Body(b"x" * 100_000)))
    async with served(directory):
        claims = await claimed(directory, 1)
        inode = (directory.path / task_files(directory.path)[0]).stat().st_ino
        await settle(directory, claims, PutOff(3_000_000_000.5, 2, 1))
        (name,) = task_files(directory.path)
        assert name == "uwsgi_spoolfile_on_3000000000500000_abc_2_1"
        assert (directory.path / name).stat().st_ino == inode, "renamed, not rewritten"
        assert (directory.path / name).stat().st_mtime == 3_000_000_001


async def test_a_buried_message_lies_in_dead_with_its_reason(directory: DirectorySpool) -> None:
    await put(directory, message(id="abc", priority=7))
    async with served(directory):
        await settle(directory, await claimed(directory, 1), Buried("it had enough", "Traceback: …", 4, 0))
    assert task_files(directory.path) == []
    (listed,) = directory.browse(frozenset({"dead"}))
    assert (listed.id, listed.reason, listed.priority, listed.attempt) == ("abc", "it had enough", 7, 4)
    assert directory.read(listed).history["traceback"] == "Traceback: …"
    assert directory.requeue(listed, time.time())
    assert aside(directory.path, "dead") == []
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert (claim.message.id, claim.message.priority, claim.message.attempt) == ("abc", 7, 0)
        await settle(directory, [claim], Done())


async def test_touch_in_the_future_is_obeyed_and_in_the_past_is_not(directory: DirectorySpool) -> None:
    later, sooner = message(), message(due=time.time() + 500)
    await put(directory, later, sooner)
    for name in task_files(directory.path):
        moment = time.time() + 100 if later.id in name else 5
        os.utime(directory.path / name, (moment, moment))
    async with served(directory):
        assert await nothing(directory)
        (claim,) = await claimed(directory, 1, time.time() + 101)
        assert claim.message.id == later.id
        await settle(directory, [claim], Done())


async def test_a_file_removed_by_hand_while_it_runs_is_no_error(directory: DirectorySpool) -> None:
    await put(directory, message(), message())
    async with served(directory):
        claims = await claimed(directory, 2)
        for name in task_files(directory.path):
            (directory.path / name).unlink()
        await settle(directory, claims[:1], Done())
        await settle(directory, claims[1:], PutOff(time.time(), 1, 0))
        assert await nothing(directory)


async def test_a_file_moved_by_hand_into_a_priority_runs_from_there(directory: DirectorySpool) -> None:
    sent = message()
    await put(directory, sent)
    (directory.path / "5").mkdir()
    (name,) = task_files(directory.path)
    (directory.path / name).rename(directory.path / "5" / name)
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert (claim.message.id, claim.message.priority) == (sent.id, 5)
        await settle(directory, [claim], Done())


async def test_a_priority_that_appears_while_served_is_found(directory: DirectorySpool) -> None:
    async with served(directory):
        assert await nothing(directory)
        sent = message(priority=123)
        await put(directory, sent)
        (claim,) = await claimed(directory, 1)
        assert claim.message.priority == 123
        await settle(directory, [claim], Done())


async def test_directories_in_priority_directories_run_too(directory: DirectorySpool) -> None:
    await put(directory, message(id="inner"))
    (name,) = task_files(directory.path)
    (directory.path / "5" / "2").mkdir(parents=True)
    (directory.path / name).rename(directory.path / "5" / "2" / name)
    async with served(directory):
        await settle(directory, await claimed(directory, 1), Done())
        assert await nothing(directory)


BAD_FILES = {
    "random": os.urandom(500),
    "cut": b"\x11\x15\x00\x00\x05\x00hello\x05",
    "other modifier": b"\x05\x00\x00\x00",
    "empty key": b"\x11\x05\x00\x00\x00\x00\x01\x00x",
    "bad front": b"\x11\x15\x00\x00\x0c\x00aspool.front\x05\x00-1-1-",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
async def test_broken_files_are_kept_in_corrupt(directory: DirectorySpool, content: bytes) -> None:
    await directory.open()
    path = directory.path / "uwsgi_spoolfile_on_host_1_1_1_1_1"
    path.write_bytes(content)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    await put(directory, message())
    async with served(directory):
        await settle(directory, await claimed(directory, 1), Done())
        assert await nothing(directory)
    (listed,) = directory.browse(frozenset({"corrupt"}))
    assert listed.reason
    assert (directory.path / listed.name).read_bytes() == content


async def test_short_files_wait_until_they_are_old(directory: DirectorySpool) -> None:
    await directory.open()
    path = directory.path / "uwsgi_spoolfile_on_host_1_1_1_1_1"
    path.write_bytes(b"\x11")
    async with served(directory):
        assert await nothing(directory)
        assert path.exists(), "a uWSGI may be writing it at this moment"
        assert await nothing(directory, time.time() + 120)
    assert len(aside(directory.path, "corrupt")) == 2


async def test_a_cut_file_of_ours_is_noticed_at_once(directory: DirectorySpool) -> None:
    await put(directory, message(body=Body(b"x" * 1000)))
    path = directory.path / task_files(directory.path)[0]
    os.truncate(path, path.stat().st_size - 1)
    async with served(directory):
        assert await nothing(directory)
    (listed,) = directory.browse(frozenset({"corrupt"}))
    assert "body should have" in listed.reason


async def test_a_changed_file_of_ours_is_noticed(directory: DirectorySpool) -> None:
    await put(directory, message(body=Body(b"x" * 1000)))
    path = directory.path / task_files(directory.path)[0]
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"y")
    async with served(directory):
        assert await nothing(directory)
    assert "checksum" in directory.browse(frozenset({"corrupt"}))[0].reason


async def test_what_is_no_task_file_is_left_alone(directory: DirectorySpool) -> None:
    await directory.open()
    prefix = directory.path / names.PREFIX
    os.mkfifo(f"{prefix}fifo")
    os.symlink("/etc/passwd", f"{prefix}link")
    os.mkdir(f"{prefix}directory")
    (directory.path / "plain").write_bytes(b"hello")
    (directory.path / "linked").write_bytes(b"\x11\x00\x00\x00")
    os.link(directory.path / "linked", f"{prefix}hardlink")
    (directory.path / os.fsdecode(b"uwsgi_spoolfile_on_\xff\xfe")).write_bytes(b"\x11\x00\x00\x00")
    before = sorted(os.listdir(directory.path))
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        await settle(directory, [claim], Done())
        assert await nothing(directory)
    left = sorted(os.listdir(directory.path))
    assert left == [name for name in before if not name.endswith("\udcff\udcfe")]


async def test_a_sparse_file_of_4_gib_costs_nothing(directory: DirectorySpool) -> None:
    await put(directory, message(id="huge"))
    path = directory.path / "uwsgi_spoolfile_on_host_1_1_1_1_1"
    path.write_bytes(b"\x11\x00\x00\x00")
    os.truncate(path, 4 << 30)
    async with served(directory):
        claims = await claimed(directory, 2)
        assert {claim.body.size for claim in claims} == {0, (4 << 30) - 4}
        await settle(directory, claims, Done())


@pytest.mark.parametrize("kind", ["missing parent", "a file", "a symlink", "world-writable", "newer format"])
async def test_a_directory_that_cannot_be_used_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "spool"
    if kind == "missing parent":
        path = tmp_path / "missing" / "spool"
    elif kind == "a file":
        path.write_text("")
    elif kind == "a symlink":
        (tmp_path / "real").mkdir()
        path.symlink_to(tmp_path / "real")
    elif kind == "world-writable":
        path.mkdir()
        path.chmod(0o777)
    else:
        DirectorySpool(path).put_blocking([])
        (path / PRIVATE / "version").write_text("9")
    with pytest.raises(SpoolUnusable, match=r"spool .*: \w|spool .* (is|has|cannot)"):
        await DirectorySpool(path).put([message()])
    with pytest.raises(SpoolUnusable):
        DirectorySpool(path).put_blocking([message()])


async def test_a_directory_deleted_while_in_use_is_said_and_not_made_again(directory: DirectorySpool) -> None:
    await put(directory, message())
    for path in sorted(directory.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.path.rmdir()
    (answer,) = await directory.put([message()])
    assert isinstance(answer, SpoolUnusable)
    assert "deleted" in str(answer)
    assert not directory.path.exists()


async def test_a_directory_replaced_while_served_is_used(directory: DirectorySpool, tmp_path: Path) -> None:
    await put(directory, message(id="old"))
    async with served(directory):
        old = await claimed(directory, 1)
        directory.path.rename(tmp_path / "moved")
        directory.path.mkdir(mode=0o700)
        other = DirectorySpool(directory.path, durability="process")
        await put(other, message(id="new"))
        (claim,) = await claimed(directory, 1)
        assert claim.message.id == "new"
        await settle(directory, [*old, claim], Done())
        assert await nothing(directory)
    assert task_files(tmp_path / "moved") == []


async def test_ids_and_priorities_cannot_leave_the_spool(directory: DirectorySpool) -> None:
    answers = await directory.put([message(id="fine", priority=0)])
    assert isinstance(answers[0], Stored)
    assert names.parse("uwsgi_spoolfile_on_0000000000000001_../../x_0_0") is None


async def test_a_dead_message_with_a_chosen_id_gets_it_back(directory: DirectorySpool) -> None:
    chosen = message(id="welcome", unique=True)
    await put(directory, chosen)
    async with served(directory):
        await settle(directory, await claimed(directory, 1), Buried("no"))
        await put(directory, chosen)
        (dead,) = directory.browse(frozenset({"dead"}))
        assert not directory.requeue(dead, time.time()), "its id waits again in another message"
        await settle(directory, await claimed(directory, 1), Done())
        assert directory.requeue(dead, time.time())
        assert (await put(directory, chosen))[0].duplicate
        await settle(directory, await claimed(directory, 1), Done())
        assert not (await put(directory, chosen))[0].duplicate


@pytest.mark.parametrize("modifiers", [(0, 0), (99, 0xA1)], ids=["none", "one that looks like a mark"])
async def test_where_any_modifier_is_accepted_the_header_becomes_ours(
    directory: DirectorySpool, modifiers: tuple[int, int]
) -> None:
    await directory.open()
    path = directory.path / "uwsgi_spoolfile_on_host_1_1_1_1_1"
    path.write_bytes(bytes((modifiers[0], 5, 0, modifiers[1])) + b"\x01\0k\0\0")
    os.utime(path, (1000, 1000))
    directory.accept_any_modifier()
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert claim.message.raw == {b"k": b""}
        assert (claim.crashed, claim.message.crashes) == (False, 0), "nobody of ours died"
        assert path.read_bytes()[:1] == b"\x11"
        await settle(directory, [claim], Done())
