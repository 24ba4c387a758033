"""The sweep takes leftovers, and never a message."""

import os

import pytest

from aspool import DirectorySpool
from aspool.spools.directory.locks import try_lock
from aspool.spools.directory.sweep import sweep
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import message


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
