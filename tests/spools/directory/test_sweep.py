"""The sweep takes leftovers, and never a message."""

import os

import pytest

from aspool import DirectorySpool
from aspool.spools.directory.locks import try_lock
from aspool.spools.directory.sweep import sweep
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import message


def test_notes_that_belong_to_nobody_go(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.put_blocking([message(id="waits"), message(id="dead"), message(id="urgent", priority=3)])
    (dead,) = directory.path.glob("*_dead_*")
    dead.rename(directory.path / PRIVATE / "dead" / dead.name)
    changes, orders = directory.path / PRIVATE / "changes", directory.path / PRIVATE / "orders"
    for id in ("waits", "dead", "urgent", "finished-by-uwsgi"):
        (changes / id).write_bytes(b"{}")
    (orders / "waits~1").touch()
    (orders / "directory").mkdir()
    assert sweep(directory._tree) == 0, "all of it is young"
    monkeypatch.setattr("aspool.spools.directory.sweep.INTERVAL", -1.0)
    assert sweep(directory._tree) == 3
    assert sorted(path.name for path in changes.iterdir()) == ["urgent", "waits"]
    assert [path.name for path in orders.iterdir()] == ["directory"]


def test_leftovers_go_and_messages_stay(directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.put_blocking([message(id="waits", unique=True), message(id="finished", unique=True)])
    (finished,) = directory.path.glob("*finished*")
    finished.unlink()  # as uWSGI finishes: without the id
    tmp = directory.path / PRIVATE / "tmp"
    for name in ("stray", "being-written"):
        (tmp / name).write_bytes(b"half a fi")
    writer = os.open(tmp / "being-written", os.O_RDWR)
    assert try_lock(writer)
    assert sweep(directory._tree) == 0, "all of it is young"
    monkeypatch.setattr("aspool.spools.directory.sweep.INTERVAL", -1.0)
    assert sweep(directory._tree) == 2
    os.close(writer)
    assert [path.name for path in tmp.iterdir()] == ["being-written"]
    assert [path.name for path in (directory.path / PRIVATE / "ids").iterdir()] == ["waits"]
    assert [item.id for item in directory.browse()] == ["waits"]
