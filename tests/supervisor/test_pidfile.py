"""The pid file: one program keeps it, and a stale one is known."""

import os
from pathlib import Path

import pytest

from aspool.errors import AspoolError, CallError
from aspool.supervisor import pidfile


def test_it_says_who_keeps_it_and_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    with pidfile.held(path):
        assert Path(path).read_text() == f"{os.getpid()}\n"
        assert pidfile.process_of(path) == os.getpid()
    assert not os.path.exists(path)


def test_two_cannot_keep_it(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    with pidfile.held(path), pytest.raises(CallError, match=f"kept by process {os.getpid()}"), pidfile.held(path):
        pass


def test_a_stale_one_is_replaced_and_told(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\n")
    with pytest.raises(AspoolError, match="its number may be another's now"):
        pidfile.process_of(str(path))
    with pidfile.held(str(path)):
        assert pidfile.process_of(str(path)) == os.getpid()


@pytest.mark.parametrize("path", ["missing/pid", "."])
def test_one_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(CallError, match="cannot be written"), pidfile.held(str(tmp_path / path)):
        pass
    with pytest.raises(CallError, match="cannot be read"):
        pidfile.process_of(str(tmp_path / "missing"))


def test_no_file_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pidfile.held(None):
        assert os.listdir() == []


@pytest.mark.parametrize("text", ["", "-1", "0", "abc", "9" * 30, "1 2"])
def test_what_is_no_number_of_a_process(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    with pidfile.held(str(path)):
        path.write_text(text)
        with pytest.raises(AspoolError, match="which is no process"):
            pidfile.process_of(str(path))


def test_one_that_was_removed_and_made_by_another_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pidfile.held(str(path)):
        path.unlink()
        path.write_text("another")
    assert path.read_text() == "another"
    with pidfile.held(str(tmp_path / "gone")):
        (tmp_path / "gone").unlink()
