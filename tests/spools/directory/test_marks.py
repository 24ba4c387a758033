"""Marks: what is written is read, a forged one counts as none, and the mtime stays the due moment."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aspool.spools.directory.marks import (
    DEAD,
    PUT_OFF,
    RUNNING,
    UNKNOWN,
    XATTR,
    Mark,
    clear_mark,
    read_mark,
    write_mark,
)

CONTENT = b"\x11\x05\x00\x00\x01\x00k\x00\x00body"
MTIME = 2_000_000_000_000_000_123


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "task"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(MTIME, MTIME))
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def plain(opened: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file where there are no xattrs."""

    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("getxattr", "setxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    return opened


@pytest.fixture
def strange(opened: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file of a system whose Python knows no xattrs (macOS)."""
    for name in ("getxattr", "setxattr", "removexattr"):
        monkeypatch.delattr(os, name)
    return opened


def content(descriptor: int) -> bytes:
    return os.pread(descriptor, 1000, 0)


def mtime(descriptor: int) -> int:
    return os.fstat(descriptor).st_mtime_ns


def modifier2(descriptor: int) -> int:
    return content(descriptor)[3]


def has_xattrs(path: Path) -> bool:
    try:
        os.setxattr(path, XATTR, b"x")
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "mark", [Mark(RUNNING), Mark(RUNNING, 3, 2), Mark(PUT_OFF, 1, 0), Mark(UNKNOWN), Mark(DEAD, 999_999, 999)]
)
def test_a_mark_comes_back_and_touches_neither_content_nor_mtime(opened: int, tmp_path: Path, mark: Mark) -> None:
    if not has_xattrs(tmp_path):
        pytest.skip("no xattrs here")
    assert read_mark(opened) is None
    write_mark(opened, mark)
    assert read_mark(opened) == mark
    assert (content(opened), mtime(opened)) == (CONTENT, MTIME)
    write_mark(opened, Mark(PUT_OFF, 7, 7))
    assert read_mark(opened) == Mark(PUT_OFF, 7, 7)
    clear_mark(opened)
    clear_mark(opened)
    assert read_mark(opened) is None
    assert (content(opened), mtime(opened)) == (CONTENT, MTIME)


@pytest.mark.parametrize("kind", ["plain", "strange"])
def test_without_xattrs_the_header_says_running(kind: str, request: pytest.FixtureRequest) -> None:
    descriptor: int = request.getfixturevalue(kind)
    write_mark(descriptor, Mark(RUNNING, 3, 2))
    assert content(descriptor) == CONTENT[:3] + b"\x01" + CONTENT[4:]
    assert mtime(descriptor) == MTIME
    assert read_mark(descriptor, modifier2(descriptor)) == Mark(RUNNING)
    clear_mark(descriptor)
    clear_mark(descriptor)
    assert (content(descriptor), mtime(descriptor)) == (CONTENT, MTIME)
    assert read_mark(descriptor, modifier2(descriptor)) is None


@pytest.mark.parametrize("kind", [PUT_OFF, UNKNOWN, DEAD])
def test_without_xattrs_nothing_else_can_be_said(plain: int, kind: str) -> None:
    write_mark(plain, Mark(kind, 1, 1))
    assert (content(plain), mtime(plain)) == (CONTENT, MTIME)
    assert read_mark(plain) is None


@pytest.mark.parametrize("modifier2", [0, 2, 7, 255])
def test_a_modifier2_of_somebody_else_is_no_mark(opened: int, modifier2: int) -> None:
    os.pwrite(opened, bytes([modifier2]), 3)
    assert read_mark(opened, modifier2) is None
    clear_mark(opened)
    assert content(opened)[3] == modifier2


@pytest.mark.parametrize(
    "forged",
    [b"", b"r", b"r 1", b"r 1 2 3", b"x 1 2", b"R 1 2", b"r a b", b"r 1.5 2", b"\xff 1 2", b"r  1 2", b"rr 1 2",
     b"r " + b"9" * 3000 + b" 1" * 2],
)  # fmt: skip
def test_a_forged_mark_counts_as_none(opened: int, tmp_path: Path, forged: bytes) -> None:
    if not has_xattrs(tmp_path):
        pytest.skip("no xattrs here")
    os.setxattr(opened, XATTR, forged)
    assert read_mark(opened) is None
    clear_mark(opened)
    assert XATTR not in os.listxattr(opened)


def test_negative_counts_are_none(opened: int, tmp_path: Path) -> None:
    if not has_xattrs(tmp_path):
        pytest.skip("no xattrs here")
    os.setxattr(opened, XATTR, b"r -1 -5")
    assert read_mark(opened) == Mark(RUNNING, 0, 0)


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EBADF])
def test_a_disk_that_refuses_is_reported(opened: int, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "removexattr", refuse)
    with pytest.raises(OSError, match=os.strerror(code)):
        write_mark(opened, Mark(RUNNING))
    with pytest.raises(OSError, match=os.strerror(code)):
        clear_mark(opened)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EPERM, errno.E2BIG])
def test_where_there_is_no_room_for_an_xattr_the_header_has_some(
    opened: int, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "setxattr", refuse)
    write_mark(opened, Mark(RUNNING, 1, 1))
    assert read_mark(opened, modifier2(opened)) == Mark(RUNNING)
