"""Notes: whatever lies where a note should be, nobody stumbles over it."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aspool import DirectorySpool, clock
from aspool.message import LARGEST_BUFFER
from aspool.outcomes import Buried, Cancelled, Changes, Done, Outcome, PutOff
from aspool.results import LARGEST
from aspool.spools.directory.following.notes import read_note, remove_note, write_note
from aspool.spools.directory.following.orders import AREA
from aspool.spools.directory.sweep import sweep
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import message, nothing, put, settle
from aspool.testing.conformance_following import KEPT, served

pytestmark = pytest.mark.anyio


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, LARGEST + LARGEST_BUFFER + (1 << 20))


def _full_directory(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


JUNK: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "not UTF-8": lambda path: path.write_bytes(b'{"state":"done","value":"\xff"}'),
    "no object": lambda path: path.write_bytes(b"[1, 2]"),
    "deep": lambda path: path.write_bytes(b"[" * 30_000),
    "other types": lambda path: path.write_bytes(b'{"state": 7, "buffer": [], "retries": "many"}'),
    "a bad number": lambda path: path.write_bytes(b'{"buffer": {}, "retries": -1}'),
    "huge": _huge,
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "dangling": lambda path: path.symlink_to("/nonexistent/file"),
    "loop": lambda path: path.symlink_to(path),
    "directory": lambda path: path.mkdir(),
    "full directory": _full_directory,
    "fifo": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("kind", JUNK)
async def test_junk_in_every_place_breaks_nothing(
    directory: DirectorySpool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwd = Path("/etc/passwd").read_bytes()
    put_off = PutOff(clock.now() - 1, 1, 0)
    changed = replace(put_off, changes=Changes({"a": 1}, 3))
    outcomes: list[Outcome] = [Done(KEPT), Cancelled("no"), Buried("no", kept=KEPT), put_off, changed]
    for number, outcome in enumerate(outcomes):
        sent = message(id=f"id-{number}", unique=True)
        await put(directory, sent)
        for area in ("results", "changes", AREA):
            path = directory.path / PRIVATE / area / sent.id
            if not os.path.lexists(path):
                JUNK[kind](path)
        async with served(directory) as here:
            assert await here.state(sent.id) in ("waiting", "done")  # the shortest record is an honest one
            claim = await here.claim()
            await settle(directory, [claim], outcome)
            while isinstance(outcome, PutOff):
                claim = await here.claim()
                assert isinstance(claim.message.buffer, dict)
                await settle(directory, [claim], outcome := Done())
            await here.state(sent.id)
            assert not await here.tickets.cancel(sent.id, None)
            assert await nothing(directory)
        directory.browse()
    monkeypatch.setattr("aspool.spools.directory.sweep.INTERVAL", -1.0)
    sweep(directory._tree)
    assert Path("/etc/passwd").read_bytes() == passwd
    assert os.listdir(directory.path / PRIVATE / "tmp") == []


async def test_orders_of_any_name_are_left_alone(directory: DirectorySpool) -> None:
    directory.put_blocking([message()])
    orders = os.fsencode(directory.path / PRIVATE / AREA)
    odd = [b"~", b"~~~", b".hidden", b"\xff\xfe", b"x" * 200, b"a b~c", "é".encode(), b"-~x\n", b"id~" + b"y" * 200]
    for name in odd:
        Path(os.fsdecode(orders + b"/" + name)).touch()
    os.mkdir(orders + b"/directory~1")
    async with served(directory) as here:
        claim = await here.claim()
        late = b"\xfe~late"
        Path(os.fsdecode(orders + b"/" + late)).touch()
        await settle(directory, [claim], Done())
        assert await nothing(directory)
        assert here.cancelled == []
    assert sorted(os.listdir(orders)) == sorted([*odd, late, b"directory~1"])


def test_a_note_is_replaced_whole_or_not_at_all(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.put_blocking([])
    tree = directory._tree
    write_note(tree, "results", "abc", b"first", 2e9)
    path = directory.path / PRIVATE / "results" / "abc"
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime) == (0o600, 2e9)
    assert read_note(tree, "results", "abc", 5) == (b"first", 2e9)
    assert read_note(tree, "results", "abc", 4) is None, "larger than it may be"

    def refuse(*args: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("aspool.spools.directory.following.notes.os.write", refuse)
        with pytest.raises(OSError, match="No space"):
            write_note(tree, "results", "abc", b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(directory.path / PRIVATE / "tmp") == []
    remove_note(tree, "results", "abc")
    remove_note(tree, "results", "abc")
    assert read_note(tree, "results", "abc", 5) is None


def test_a_note_of_another_user_counts_as_none(directory: DirectorySpool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    directory.put_blocking([])
    write_note(directory._tree, "changes", "abc", b"{}")
    os.chown(directory.path / PRIVATE / "changes" / "abc", 12345, 12345)
    assert read_note(directory._tree, "changes", "abc", 100) is None


def test_whatever_the_umask(directory: DirectorySpool) -> None:
    before = os.umask(0o777)
    try:
        directory.put_blocking([])
        write_note(directory._tree, "changes", "abc", b"{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((directory.path / PRIVATE / "changes" / "abc").stat().st_mode) == 0o600
