"""W4: uWSGI answers before the disk has the task."""

import os
import stat
from pathlib import Path

import pytest

from aspool import Body, DirectorySpool
from aspool.testing.conformance import message


@pytest.mark.parametrize("size", [10, 200_000])
def test_the_disk_has_file_and_name_before_the_answer(
    spool_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    spool = DirectorySpool(spool_path, durability="disk")
    spool.put_blocking([])
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def noting_fsync(fd: int) -> None:
        fsync(fd)
        done.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")

    def noting_link(source: str, target: str, **options: int) -> None:
        link(source, target, **options)  # type: ignore[arg-type]  # as it was called
        done.append("name")

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "link", noting_link)
    spool.put_blocking([message(body=Body(b"x" * size))])
    done.append("answer")
    assert done == ["file", "name", "directory", "answer"]
