"""The database that all processes of a program share: where it is, whose it is, and what it survives."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from aspool import MemorySpool, Spooler
from aspool.compat import Program
from aspool.compat.shared import database as shared
from aspool.compat.shared.database import Shared
from aspool.errors import SpoolError, SpoolUnusable

TABLE = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY)"


@pytest.fixture
def program(spooler: Spooler) -> Iterator[Program]:
    yield Program(spooler=spooler)
    shared.close_all()


def names(one: Shared) -> list[str]:
    with one.connection() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM things ORDER BY name")]


def add(one: Shared, name: str) -> None:
    with one.connection() as connection:
        connection.execute("INSERT INTO things VALUES (?)", (name,))


def database(program: Program) -> Path:
    (found,) = program.shared.glob("shared-*.db")
    return found


def test_it_is_made_when_it_is_used_and_nobody_else_can_read_it(program: Program, spool_path: Path) -> None:
    one = Shared(program, TABLE)
    assert not spool_path.exists()
    before = os.umask(0)
    try:
        add(one, "a")
    finally:
        os.umask(before)
    made = [spool_path, spool_path / ".aspool", program.shared, *program.shared.iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3 + [0o600] * 4
    assert names(Shared(Program(spooler=program.spooler), TABLE)) == ["a"]


def test_a_spool_that_is_no_directory_has_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(spooler=Spooler(MemorySpool()))
    assert program.shared.parent == Path("/tmp")
    monkeypatch.setattr(Program, "shared", tmp_path / "apart")
    add(Shared(program, TABLE), "a")
    assert stat.S_IMODE((tmp_path / "apart").stat().st_mode) == 0o700


def test_what_belongs_to_somebody_else_is_refused(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.shared.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SpoolUnusable, match=r"uwsgi, .*, is no directory of this user: remove it"):
        add(Shared(program, TABLE), "a")
    monkeypatch.undo()
    program.shared.chmod(0o777)
    add(Shared(program, TABLE), "a")
    assert stat.S_IMODE(program.shared.stat().st_mode) == 0o700


def test_a_link_is_refused(program: Program, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    program.shared.parent.mkdir(parents=True)
    program.shared.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpoolUnusable, match="is no directory of this user"):
        add(Shared(program, TABLE), "a")


def test_a_spool_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnusable, match="cannot be made: Not a directory"):
        add(Shared(Program(spooler=Spooler(tmp_path / "file" / "spool")), TABLE), "a")


def test_a_broken_one_is_told_and_left(program: Program) -> None:
    add(Shared(program, TABLE), "a")
    shared.close_all()
    database(program).write_bytes(b"this is no database" * 100)
    with pytest.raises(SpoolUnusable, match=r"is broken: stop them all, and remove it \(file is not a database\)"):
        add(Shared(program, TABLE), "b")


def test_a_full_disk(program: Program) -> None:
    one = Shared(program, TABLE)
    with pytest.raises(SpoolError, match="is full: nothing was kept"), one.connection() as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("INSERT INTO things VALUES (?)", ("x" * 100_000,))


def test_one_that_was_removed_is_made_again(program: Program) -> None:
    one = Shared(program, TABLE)
    add(one, "a")
    for path in program.shared.iterdir():
        path.unlink()
    assert names(one) == []


def start_again(monkeypatch: pytest.MonkeyPatch, boot: str) -> None:
    """The machine, or another one."""
    shared.close_all()
    monkeypatch.setattr(shared, "_boot", lambda: boot)


def test_what_another_start_of_the_machine_has_left_is_removed(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_again(monkeypatch, "1st")
    add(Shared(program, TABLE), "a")
    (program.shared / "shared-1st.db-wal").touch()
    start_again(monkeypatch, "2nd")
    add(Shared(program, TABLE), "a")
    assert database(program).name == "shared-2nd.db"
    assert not list(program.shared.glob("shared-1st*"))


def test_what_another_machine_has_in_the_same_directory_stays(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(Shared(program, TABLE), "a")
    ours = database(program)
    start_again(monkeypatch, "theirs")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="another/machine"))
    add(Shared(program, TABLE), "b")
    monkeypatch.undo()
    shared.close_all()
    assert names(Shared(program, TABLE)) == ["a"]
    assert {path.name for path in program.shared.glob("shared-*.db")} == {ours.name, "shared-theirs.db"}


def test_a_transaction_is_done_or_not_at_all(program: Program) -> None:
    one = Shared(program, TABLE)
    with pytest.raises(ZeroDivisionError), one.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
        raise ZeroDivisionError
    with one.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('b')")
    assert names(one) == ["b"]


def test_threads_take_turns(program: Program) -> None:
    one = Shared(program, TABLE)
    threads = [threading.Thread(target=add, args=(one, str(number))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(names(one)) == 8


def test_a_fork_takes_no_connection_along(program: Program) -> None:
    one = Shared(program, TABLE)
    add(one, "before")
    pid = os.fork()
    if pid == 0:
        try:
            assert not shared._opened
            add(one, "child")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    add(one, "parent")
    assert names(one) == ["before", "child", "parent"]
