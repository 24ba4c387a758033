"""Both of our spools do what every spool must do."""

import errno
from pathlib import Path

import pytest

from aspool import DirectorySpool, MemorySpool
from aspool.protocol import Spool
from aspool.testing.conformance import SpoolConformance


class TestMemory(SpoolConformance):
    @pytest.fixture
    def spool(self) -> Spool:
        return MemorySpool()


class TestDirectory(SpoolConformance):
    @pytest.fixture(params=["disk", "process"])
    def spool(self, request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
        return DirectorySpool(tmp_path / "spool", durability=request.param)


class TestDirectoryWithoutInotify(SpoolConformance):
    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.serving.start_watching", lambda: None)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryWithoutExtendedAttributes(SpoolConformance):
    """As on a file system that has no xattrs, where counts are kept when the disk is full."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        def refuse(*args: object) -> None:
            raise OSError(errno.ENOTSUP, "not supported")

        for name in ("setxattr", "getxattr", "removexattr"):
            monkeypatch.setattr(f"aspool.spools.directory.marks.os.{name}", refuse)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryOnASlowDisk(SpoolConformance):
    """Where every trip goes to a thread."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.pace.Pace.is_quick", False)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryWithoutUnnamedFiles(SpoolConformance):
    """As on a file system that has no O_TMPFILE."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.draft.os.O_TMPFILE", 0o20200000 & ~0o20000000)
        return DirectorySpool(tmp_path / "spool", durability="process")
