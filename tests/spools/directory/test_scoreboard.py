"""The scoreboard: what is written is read, dead workers' boards go, and nothing about it can fail a job."""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.protocol import Entry, Progress
from aspool.spools.directory import scoreboard
from aspool.spools.directory.scoreboard import SLOT, FileBoard, FileSeat, boards, sweep
from aspool.spools.directory.scoreboard import _decode as decode
from aspool.spools.directory.scoreboard import _encode as encode

ENTRY = Entry("00065d2f", "app.task", 2, 1_795_000_000.25)


def got_on(done: float, total: float | None, text: str) -> Entry:
    entry = replace(ENTRY)
    entry.got_on(Progress(done, total, text))
    return entry


@pytest.mark.anyio
async def test_a_job_is_shown_soon_until_it_ends(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 3)
    first = board.take(ENTRY)
    assert boards(tmp_path)[0].entries == ()
    second = board.take(replace(ENTRY, id="other"))
    with anyio.fail_after(10):
        while len(boards(tmp_path)[0].entries) < 2:
            await anyio.sleep(0.01)
    (found,) = boards(tmp_path)
    assert (found.pid, found.slots, found.entries) == (os.getpid(), 3, (ENTRY, replace(ENTRY, id="other")))
    assert found.since > 1_700_000_000
    board.free(first)
    assert [entry.id for entry in boards(tmp_path)[0].entries] == ["other"]
    board.free(second)
    assert boards(tmp_path)[0].entries == ()
    board.close()
    board.close()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_leaves_says_so(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 3)
    assert not boards(tmp_path)[0].is_leaving
    board.leave()
    (shown,) = boards(tmp_path)
    assert (shown.is_leaving, shown.pid, shown.slots) == (True, os.getpid(), 3)
    board.close()
    board.leave()


@pytest.mark.anyio
async def test_a_job_that_ends_at_once_is_never_written(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 3)
    before = Path(board.path).read_bytes()
    for _ in range(5):
        board.free(board.take(ENTRY))
    board.show()
    assert Path(board.path).read_bytes() == before
    board.close()


@pytest.mark.anyio
async def test_progress_is_shown_at_once(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 1)
    seat = board.take(ENTRY)
    board.write(seat, got_on(5, 10, "half"))
    board.show()
    assert [entry.text for entry in boards(tmp_path)[0].entries] == ["half"]
    board.free(seat)
    assert boards(tmp_path)[0].entries == ()
    board.close()


@pytest.mark.anyio
async def test_progress_is_written_from_any_process(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 1)
    seat = board.take(ENTRY)
    seat.write(got_on(5, 10, "half"))
    (entry,) = boards(tmp_path)[0].entries
    assert (entry.id, entry.done, entry.total, entry.text) == (ENTRY.id, 5.0, 10.0, "half")
    seat.write(got_on(6, None, ""))
    assert boards(tmp_path)[0].entries[0].total is None
    seat.write(None)
    assert boards(tmp_path)[0].entries == ()
    board.close()


@pytest.mark.anyio
async def test_a_job_without_a_free_seat_runs_unseen(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 1)
    seats = [board.take(replace(ENTRY, id=str(number))) for number in range(3)]
    board.show()
    seats[2].write(got_on(1, 2, "x"))
    board.write(seats[2], got_on(1, 2, "x"))
    (found,) = boards(tmp_path)
    assert found.pid == os.getpid()  # the first slot is the worker's own
    assert [entry.id for entry in found.entries] == ["0"]
    for seat in seats:
        board.free(seat)
    assert [board.take(ENTRY).number, board.take(ENTRY).number] == [1, 0]
    board.close()


@given(
    st.builds(
        Entry,
        id=st.from_regex(r"[A-Za-z0-9._-]{1,80}", fullmatch=True),
        task=st.text(st.characters(codec="utf-8", exclude_characters="\0\x1f"), max_size=40),
        attempt=st.integers(0, 10**6),
        since=st.integers(0, 9_999_999_999).map(float),
        done=st.integers(0, 10**12).map(float),
        total=st.none() | st.integers(0, 10**12).map(float),
        text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    )
)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert decode(encode(entry)) == entry


@given(st.text(max_size=1000), st.floats() | st.integers(), st.none() | st.floats())
def test_any_progress_fits_its_slot_and_can_be_read(text: str, done: float, total: float | None) -> None:
    slot = encode(got_on(done, total, text))
    assert len(slot) <= SLOT
    assert slot.endswith(b"\0")
    found = decode(slot.ljust(SLOT, b"x"))
    assert found is not None
    assert (found.id, found.task, found.attempt) == (ENTRY.id, ENTRY.task, ENTRY.attempt)


@given(st.binary(max_size=SLOT))
def test_a_broken_slot_is_left_out(data: bytes) -> None:
    assert decode(data) is None or isinstance(decode(data), Entry)


@pytest.mark.parametrize("slot", [b"", b"\0" * SLOT, b"x" * SLOT, b"a\x1fb\x1fx\x1f1\x1f1\x1f\x1f\0", b"\xff" * SLOT])
def test_these_slots_are_left_out(slot: bytes) -> None:
    assert decode(slot) is None


WORKING = """
import sys
from pathlib import Path
from aspool.spools.directory.scoreboard import Entry, FileBoard
board = FileBoard(Path(sys.argv[1]), 1)
board.write(board._free[0], Entry("a", "app.task", 1, 5.0))
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_board_of_a_dead_worker_is_not_shown_and_swept_away(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert [(board.pid, board.entries[0].id) for board in boards(tmp_path)] == [(worker.pid, "a")]
        worker.kill()
    assert boards(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1
    board = FileBoard(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == [Path(board.path).name]
    board.close()


def test_a_board_that_is_being_made_is_left_alone_for_a_minute(tmp_path: Path) -> None:
    newborn = tmp_path / "newborn"
    newborn.touch()
    sweep(tmp_path)
    assert newborn.exists()
    os.utime(newborn, (1, 1))
    sweep(tmp_path)
    assert not newborn.exists()


def test_strange_things_among_the_boards_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "directory")
    (tmp_path / "broken").write_bytes(b"\xff" * 5000)
    with (tmp_path / "broken").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert boards(tmp_path) == []
    assert boards(tmp_path / "missing") == []
    board = FileBoard(tmp_path, 1)
    assert len(boards(tmp_path)) == 1
    board.close()


@pytest.mark.anyio
async def test_a_board_that_cannot_be_made_costs_knowledge_only(tmp_path: Path) -> None:
    board = FileBoard(tmp_path / "missing", 2)
    seat = board.take(ENTRY)
    seat.write(ENTRY)
    board.free(seat)
    board.close()
    FileSeat(str(tmp_path / "missing"), 1).write(ENTRY)
    assert not (tmp_path / "missing").exists()


@pytest.mark.anyio
async def test_a_file_size_limit_costs_knowledge_only(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        board = FileBoard(tmp_path, 2)
        seat = board.take(ENTRY)
        board.write(seat, ENTRY)
        board.free(seat)
        board.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert boards(tmp_path) == []


@pytest.mark.anyio
async def test_a_truncated_board_does_not_stop_its_worker(tmp_path: Path) -> None:
    board = FileBoard(tmp_path, 2)
    seat = board.take(ENTRY)
    os.truncate(board.path, 0)
    board.write(seat, ENTRY)
    board.free(seat)
    assert boards(tmp_path) == []
    board.close()


@pytest.mark.anyio
async def test_a_spool_that_is_made_again_has_the_board_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoreboard, "LOOKED_AFTER", 0.0)
    area = tmp_path / "workers"
    area.mkdir()
    board = FileBoard(area, 2)
    seat = board.take(ENTRY)
    board.show()
    shutil.rmtree(area)
    other = board.take(replace(ENTRY, id="other"))
    board.show()  # there is no spool
    area.mkdir()
    board.show()
    (found,) = boards(area)
    assert (found.pid, found.owner, found.entries) == (os.getpid(), os.getuid(), (ENTRY, replace(ENTRY, id="other")))
    seat.write(got_on(5, 10, "half"))  # from another process: it has the same name
    board.free(other)
    assert [entry.text for entry in boards(area)[0].entries] == ["half"]
    board.close()
    assert list(area.iterdir()) == []


def test_a_board_that_is_read_all_the_time_is_locked_nevertheless(tmp_path: Path) -> None:
    stop = Event()
    reader = Thread(target=lambda: [boards(tmp_path) for _ in iter(stop.is_set, True)])
    reader.start()
    try:
        for _ in range(300):
            board = FileBoard(tmp_path, 1)
            assert [found.pid for found in boards(tmp_path)] == [os.getpid()]
            board.close()
    finally:
        stop.set()
        reader.join()
