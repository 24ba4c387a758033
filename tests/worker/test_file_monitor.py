"""Files and directories that are watched: what counts as a change, and that each is told once it has come to rest."""

import asyncio
import errno
import logging
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as ThreadEvent
from threading import Thread
from typing import Any

import anyio
import inotify_simple  # type: ignore[import-untyped]  # it has no hints
import pytest

from aspool.worker import file_monitor
from aspool.worker.file_monitor import FileMonitors, signature

pytestmark = pytest.mark.anyio


def touch(path: Path, seconds: float = 1.0) -> None:
    """Make a file look changed so many seconds later than it was."""
    later = path.stat().st_mtime_ns + int(seconds * 1e9)
    os.utime(path, ns=(later, later))


def point(link: Path, target: str) -> None:
    """Let a link lead elsewhere, in one step."""
    fresh = link.with_name(link.name + ".new")
    fresh.symlink_to(target)
    fresh.rename(link)


# --- what a path looks like ----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "watched" / "prices.csv"
    path.parent.mkdir()
    path.write_text("1")
    return path


def write_same_size(path: Path) -> None:
    path.write_text("2")
    touch(path)


def replace_with_old_time(path: Path) -> None:
    before = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_text("2")
    os.utime(fresh, ns=(before.st_mtime_ns, before.st_mtime_ns))
    fresh.rename(path)


def append_with_old_time(path: Path) -> None:
    before = path.stat()
    path.write_text("12")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [touch, write_same_size, replace_with_old_time, append_with_old_time])
def test_a_file_that_changes_looks_different(file: Path, change: Callable[[Path], None]) -> None:
    before = signature(str(file))
    assert before == signature(str(file))
    change(file)
    after = signature(str(file))
    assert None not in (before, after)
    assert before != after


def test_nothing_looks_like_none(file: Path) -> None:
    path = str(file)
    file.unlink()
    assert signature(path) is None
    assert signature(path + "/in/no/directory") is None
    (file.parent / "dangling").symlink_to("nowhere")
    assert signature(str(file.parent / "dangling")) is None
    file.write_text("1")
    assert signature(path) is not None
    assert signature(path + "/below a file") is None


def test_an_error_is_a_look_too(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    assert signature(str(tmp_path / "circle")) == "ELOOP"
    assert signature(str(tmp_path / ("long" * 100))) == "ENAMETOOLONG"


def test_what_is_forbidden_says_so(file: Path) -> None:
    file.parent.chmod(0)
    try:
        with as_nobody():
            assert signature(str(file)) == "EACCES"
    finally:
        file.parent.chmod(0o700)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may look everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_link_is_followed_and_counts_itself(file: Path) -> None:
    link = file.parent / "link"
    link.symlink_to(file.name)
    os.link(file, file.parent / "other name")
    looks = [signature(str(link))]
    touch(file)
    looks.append(signature(str(link)))
    point(link, "other name")  # the same file
    looks.append(signature(str(link)))
    assert len(set(looks)) == 3


def add_entry(directory: Path) -> None:
    (directory / "new").touch()


def remove_entry(directory: Path) -> None:
    (directory / "entry").unlink()


def touch_entry(directory: Path) -> None:
    touch(directory / "entry")


def write_entry(directory: Path) -> None:
    append_with_old_time(directory / "entry")


def rename_entry(directory: Path) -> None:
    before = directory.stat()
    (directory / "entry").rename(directory / "renamed")
    os.utime(directory, ns=(before.st_mtime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [touch, add_entry, remove_entry, touch_entry, write_entry, rename_entry])
def test_a_directory_looks_like_what_is_directly_in_it(tmp_path: Path, change: Callable[[Path], None]) -> None:
    (tmp_path / "entry").write_text("1")
    (tmp_path / "below").mkdir()
    before = signature(str(tmp_path))
    (tmp_path / "below" / "deeper").write_text("not seen")
    assert signature(str(tmp_path)) == before
    change(tmp_path)
    assert signature(str(tmp_path)) not in (before, None)


def test_a_directory_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", forbidden)
    look = signature(str(tmp_path))
    assert look is not None
    assert look.endswith(":EACCES")


# --- watching ------------------------------------------------------------------------------------------------


class Heard:
    """The monitors of a test, and what they told."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.monitors = FileMonitors(self._hear)
        self._news = anyio.Event()

    def _hear(self, path: str) -> None:
        self.paths.append(path)
        self._news.set()

    def watch(self, *paths: Path) -> None:
        self.monitors.watch([str(path) for path in paths])

    async def until(self, *paths: Path) -> list[str]:
        """Wait until all of these are told; what was told in all."""
        with anyio.fail_after(10):
            while not {str(path) for path in paths} <= set(self.paths):
                await self._news.wait()
                self._news = anyio.Event()
        told, self.paths = self.paths, []
        return told

    async def rest(self) -> None:
        """Wait until no change is waited for."""
        with anyio.fail_after(10):
            while timers("FileMonitors."):
                await asyncio.sleep(0.005)


@pytest.fixture
async def heard() -> Any:
    heard = Heard()
    yield heard
    heard.monitors.close()


def timers(of: str) -> list[asyncio.TimerHandle]:
    """What the event loop will do at a later time."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # nothing else tells
    return [each for each in scheduled if not each.cancelled() and of in repr(each)]


def rename_over(path: Path) -> None:
    fresh = path.with_name("temporary")
    fresh.write_text("new")
    fresh.rename(path)


def write_into(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def remove(path: Path) -> None:
    path.unlink()


def make_again(path: Path) -> None:
    path.unlink()
    path.write_text("again")


@pytest.mark.parametrize("change", [touch, write_into, rename_over, remove, make_again])
async def test_a_file_is_told(
    file: Path, heard: Heard, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_monitor, "LONGEST", 1000.0)  # once it has come to rest, and not because it takes long
    heard.watch(file)
    change(file)
    assert await heard.until(file) == [str(file)]


async def test_a_file_is_told_again_however_it_was_replaced(file: Path, heard: Heard) -> None:
    heard.watch(file)
    for change in (make_again, rename_over, write_into, make_again, touch, remove):
        change(file)
        assert await heard.until(file) == [str(file)]
    file.write_text("back")
    await heard.until(file)
    touch(file)
    assert await heard.until(file) == [str(file)]


async def test_a_new_file_with_the_number_of_the_old_one(file: Path, heard: Heard) -> None:
    """The kernel has dropped its watch, and the new file looks as if it were watched."""
    heard.watch(file)
    before = file.stat().st_ino
    for _ in range(100):
        make_again(file)
        if file.stat().st_ino == before:
            break
    else:
        pytest.skip("this file system does not give the number of an inode again")
    await heard.until(file)
    touch(file)
    assert await heard.until(file) == [str(file)]


async def test_neighbours_are_not_told(file: Path, heard: Heard) -> None:
    other = file.with_name("other")
    other.write_text("1")
    neighbour = file.with_name("neighbour")
    heard.watch(file, other)
    for change in (Path.touch, write_into, rename_over, remove, Path.mkdir):
        change(neighbour)
    touch(other)
    assert await heard.until(other) == [str(other)]


async def test_what_is_not_there_yet(tmp_path: Path, heard: Heard) -> None:
    path, witness = tmp_path / "a" / "b" / "c", tmp_path / "witness"
    heard.watch(path, witness)
    path.parent.mkdir(parents=True)
    await heard.until(path)
    await heard.rest()
    heard.paths.clear()
    path.with_name("other").write_text("not watched")
    witness.touch()
    assert await heard.until(witness) == [str(witness)]
    path.write_text("1")
    await heard.until(path)
    touch(path)
    assert await heard.until(path) == [str(path)]


async def test_a_directory_on_the_way_is_replaced(tmp_path: Path, heard: Heard) -> None:
    path = tmp_path / "site" / "conf" / "prices"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    heard.watch(path)
    fresh = tmp_path / "fresh"
    (fresh / "conf").mkdir(parents=True)
    (fresh / "conf" / "prices").write_text("2")
    (tmp_path / "site").rename(tmp_path / "old")
    fresh.rename(tmp_path / "site")
    await heard.until(path)
    touch(path)
    assert await heard.until(path) == [str(path)]


async def test_an_unwatched_level_is_left_alone(tmp_path: Path, heard: Heard) -> None:
    """A busy directory above the watched one wakes nobody, once the path is there."""
    path = tmp_path / "below" / "file"
    heard.watch(path)
    path.parent.mkdir()
    path.touch()
    await heard.until(path)
    await heard.rest()
    (tmp_path / "busy").touch()
    assert not has_news(heard)


def has_news(heard: Heard) -> bool:
    """Whether the loop would be woken."""
    return bool(select.select([descriptor_of(heard)], [], [], 0)[0])


# --- links ---------------------------------------------------------------------------------------------------


async def test_a_link_and_what_it_leads_to(tmp_path: Path, heard: Heard) -> None:
    one, two, link = tmp_path / "1" / "file", tmp_path / "2" / "file", tmp_path / "link"
    for path in (one, two):
        path.parent.mkdir()
        path.write_text("1")
    link.symlink_to("1/file")
    heard.watch(link)
    write_into(one)
    assert await heard.until(link) == [str(link)]
    point(link, str(two))
    assert await heard.until(link) == [str(link)]
    rename_over(two)
    assert await heard.until(link) == [str(link)]
    witness = tmp_path / "witness"
    heard.watch(link, witness)
    touch(one)
    witness.touch()
    assert await heard.until(witness) == [str(witness)]


async def test_a_config_map_of_kubernetes(tmp_path: Path, heard: Heard) -> None:
    """Its files are links through `..data`, which alone is replaced."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "prices").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    prices = tmp_path / "prices"
    prices.symlink_to("..data/prices")
    heard.watch(prices, tmp_path)
    looks = [signature(str(path)) for path in (prices, tmp_path)]
    point(tmp_path / "..data", "..2")
    await heard.until(prices, tmp_path)
    assert [before == signature(str(path)) for before, path in zip(looks, (prices, tmp_path), strict=True)] == [
        False
    ] * 2
    touch(tmp_path / "..2" / "prices")
    assert await heard.until(prices) == [str(prices)]


async def test_a_link_in_a_circle_is_watched_until_it_is_none(tmp_path: Path, heard: Heard) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    heard.watch(circle)
    circle.unlink()
    circle.write_text("1")
    assert await heard.until(circle) == [str(circle)]


# --- directories ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [touch, add_entry, remove_entry, touch_entry, write_entry, rename_entry])
async def test_a_directory_is_told(tmp_path: Path, heard: Heard, change: Callable[[Path], None]) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    (directory / "entry").write_text("1")
    heard.watch(directory)
    change(directory)
    assert await heard.until(directory) == [str(directory)]


async def test_a_directory_that_is_removed_and_made_again(tmp_path: Path, heard: Heard) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    heard.watch(directory)
    directory.rmdir()
    await heard.until(directory)
    directory.mkdir()
    await heard.until(directory)
    add_entry(directory)
    assert await heard.until(directory) == [str(directory)]


# --- how often -----------------------------------------------------------------------------------------------


async def test_many_writes_are_told_once(file: Path, heard: Heard) -> None:
    witness = file.with_name("witness")
    heard.watch(file, witness)
    with file.open("w") as stream:
        for n in range(300):
            stream.write("x" * 100)
            stream.flush()
            if n % 30 == 0:
                await asyncio.sleep(0)  # the loop may look
    assert await heard.until(file) == [str(file)]
    witness.touch()
    assert await heard.until(witness) == [str(witness)]


async def test_a_stream_of_writes_is_told_at_times(file: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_monitor, "LONGEST", 0.2)
    heard.watch(file)
    enough = ThreadEvent()

    def write() -> None:
        with file.open("a") as stream:
            while not enough.is_set():
                stream.write("x")
                stream.flush()
                time.sleep(0.001)  # it must not fill the disk

    thread = Thread(target=write)
    began = time.monotonic()
    thread.start()
    try:
        for _ in range(3):
            assert await heard.until(file) == [str(file)]
    finally:
        enough.set()
        thread.join()
    assert time.monotonic() - began > 3 * 0.2


async def test_no_timer_while_nothing_happens(file: Path, heard: Heard) -> None:
    heard.watch(file)
    assert timers("") == []
    touch(file)
    await heard.until(file)
    await heard.rest()
    assert timers("FileMonitors.") == []


async def test_lost_events_are_told_of_all(file: Path, heard: Heard) -> None:
    quiet = file.with_name("quiet")
    quiet.write_text("1")
    heard.watch(file, quiet, file.parent)
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for n in range(room + 10):
        os.utime(file.parent if n % 2 else file)
    await heard.until(file, quiet)
    await heard.rest()
    heard.paths.clear()
    touch(quiet)
    assert str(quiet) in await heard.until(quiet)


# --- which paths ---------------------------------------------------------------------------------------------


async def test_other_paths_from_now_on(file: Path, heard: Heard) -> None:
    other, third = file.with_name("other"), file.with_name("third")
    heard.watch(file, other)
    heard.watch(other, third)
    for path in (file, other, third):
        path.touch()
    assert sorted(await heard.until(other, third)) == [str(other), str(third)]


async def test_a_path_that_is_dropped_while_it_changes(file: Path, heard: Heard) -> None:
    other = file.with_name("other")
    heard.watch(file, other)
    touch(file)
    with anyio.fail_after(10):
        while not timers("FileMonitors."):  # it has come here
            await asyncio.sleep(0.001)
    heard.watch(other)
    other.touch()
    assert await heard.until(other) == [str(other)]


async def test_a_file_is_dropped_in_the_callback(file: Path) -> None:
    told: list[str] = []

    def changed(path: str) -> None:
        told.append(path)
        monitors.close()

    monitors = FileMonitors(changed)
    monitors.watch([str(file), str(file.parent)])
    touch(file)
    with anyio.fail_after(10):
        while not told:
            await asyncio.sleep(0.005)
    assert len(told) == 1
    assert timers("FileMonitors.") == []


async def test_nothing_is_left_after_close(file: Path, heard: Heard) -> None:
    heard.watch(file)
    descriptor = descriptor_of(heard)
    assert descriptor in inotify_descriptors()
    touch(file)
    heard.monitors.close()
    heard.monitors.close()
    assert timers("FileMonitors.") == []
    with anyio.fail_after(10):
        while descriptor in inotify_descriptors():
            await asyncio.sleep(0.005)
    assert heard.paths == []


async def test_it_can_watch_again(file: Path, heard: Heard) -> None:
    heard.watch(file)
    heard.watch()
    heard.watch(file)
    touch(file)
    assert await heard.until(file) == [str(file)]


def descriptor_of(heard: Heard) -> int:
    inotify = heard.monitors._inotify
    assert inotify is not None
    return inotify.fd


def inotify_descriptors(pid: str = "self") -> list[int]:
    return [
        int(name) for name in os.listdir(f"/proc/{pid}/fd") if link_of(f"/proc/{pid}/fd/{name}") == "anon_inode:inotify"
    ]


def link_of(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


# --- where it cannot -----------------------------------------------------------------------------------------


async def test_no_inotify_is_said_once(
    file: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(**_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(inotify_simple, "INotify", none_left)
    with caplog.at_level(logging.WARNING, "aspool.worker"):
        heard.watch(file)
        heard.watch(file, file.parent)
        heard.monitors.close()
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage() == (
        "file monitors look only at each frequency: the system watches no more ([Errno 24] Too many open files); raise "
        "fs.inotify.max_user_instances or max_user_watches"
    )


async def test_no_more_watches_is_said_once(
    file: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with caplog.at_level(logging.WARNING, "aspool.worker"), monkeypatch.context() as patched:
        patched.setattr(inotify_simple.INotify, "add_watch", none_left)
        heard.watch(file)
        heard.watch(file, file.parent)
    assert len(caplog.records) == 1
    heard.watch(file)  # some are to be had again
    touch(file)
    assert await heard.until(file) == [str(file)]


async def test_a_fork_does_not_take_events_away(file: Path, heard: Heard) -> None:
    heard.watch(file)
    descriptor = descriptor_of(heard)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        os._exit(0)
    try:
        with anyio.fail_after(10):  # the child may not have come to its first instruction yet
            while descriptor in inotify_descriptors(str(child)):
                await asyncio.sleep(0.005)
        touch(file)
        assert await heard.until(file) == [str(file)]
    finally:
        os.write(write, b"x")
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
