"""Marks: what is written is read, nobody else's byte counts, and counts that no name could take are kept."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aspool.spools.directory.marks import (
    XATTR,
    Mark,
    drop_counts,
    is_done,
    keep_counts,
    kept_counts,
    mark_of,
    note_done,
    read_mark,
    write_mark,
)

CONTENT = b"\x11\x05\x00\x00\x01\x00k\x00\x00body"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "task"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def counted(opened: int) -> int:
    try:
        os.setxattr(opened, XATTR, b"x")
    except OSError:
        pytest.skip("no xattrs here")
    return opened


@pytest.mark.parametrize("mark", list(Mark))
def test_a_mark_comes_back_and_touches_one_byte(opened: int, mark: Mark) -> None:
    assert read_mark(opened) is Mark.NONE
    write_mark(opened, mark)
    assert read_mark(opened) is mark
    content = os.pread(opened, 100, 0)
    assert mark_of(content[3]) is mark
    assert (content[:3], content[4:]) == (CONTENT[:3], CONTENT[4:])
    write_mark(opened, Mark.NONE)
    assert os.pread(opened, 100, 0) == CONTENT


@pytest.mark.parametrize("modifier2", sorted(set(range(256)) - {mark.value for mark in Mark}))
def test_a_modifier2_of_somebody_else_is_no_mark(modifier2: int) -> None:
    assert mark_of(modifier2) is Mark.NONE


def test_an_empty_file_has_no_mark(opened: int) -> None:
    os.ftruncate(opened, 0)
    assert read_mark(opened) is Mark.NONE


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EBADF, errno.ENOSPC])
def test_a_disk_that_refuses_is_reported(opened: int, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(OSError, match=os.strerror(code)):
        write_mark(opened, Mark.RUNNING)


def test_what_is_done_says_so(counted: int) -> None:
    assert not is_done(counted)
    note_done(counted)
    assert is_done(counted)
    assert kept_counts(counted) == (0, 0)
    drop_counts(counted)
    assert not is_done(counted)


def test_counts_are_kept_until_they_are_dropped(counted: int) -> None:
    keep_counts(counted, 999_999, 999)
    assert kept_counts(counted) == (999_999, 999)
    keep_counts(counted, 3, 2)
    assert kept_counts(counted) == (3, 2)
    drop_counts(counted)
    drop_counts(counted)
    assert kept_counts(counted) == (0, 0)


@pytest.mark.parametrize(
    "forged", [b"", b"1", b"1 2 3", b"a b", b"1.5 2", b"\xff 2", b"1  2", b"9" * 3000 + b" 1" * 2, b"-1 -5"]
)
def test_forged_counts_are_none(counted: int, forged: bytes) -> None:
    os.setxattr(counted, XATTR, forged)
    assert kept_counts(counted) == (0, 0)


@pytest.mark.parametrize("kind", ["refused", "missing"])
def test_where_there_are_no_xattrs_counts_are_forgotten(
    opened: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("getxattr", "setxattr", "removexattr"):  # "missing": a system whose Python knows none (macOS)
        if kind == "refused":
            monkeypatch.setattr(os, name, refuse)
        else:
            monkeypatch.delattr(os, name)
    keep_counts(opened, 3, 2)
    assert kept_counts(opened) == (0, 0)
    assert not is_done(opened)
    drop_counts(opened)
