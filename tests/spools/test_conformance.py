"""Both of our spools do what every spool must do."""

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool, MemorySpool
from aspool.protocol import Spool
from aspool.testing.conformance import SpoolConformance
from aspool.testing.conformance_changing import ChangingConformance
from aspool.testing.conformance_following import FollowingConformance
from aspool.testing.conformance_limits import LimitsConformance
from aspool.testing.conformance_schedules import SchedulesConformance


class Conformance(SpoolConformance, FollowingConformance, ChangingConformance, SchedulesConformance):
    """All that a spool can do."""


class TestMemory(Conformance):
    @pytest.fixture
    def spool(self) -> Spool:
        return MemorySpool()


class TestDirectory(Conformance):
    @pytest.fixture(params=["disk", "process"])
    def spool(self, request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
        return DirectorySpool(tmp_path / "spool", durability=request.param)


class TestDirectoryWithoutInotify(Conformance):
    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        def refuse() -> None:
            raise OSError(errno.EMFILE, "no more inotify instances")

        monkeypatch.setattr("aspool.spools.directory.serving.start_watching", lambda: None)
        monkeypatch.setattr("aspool.spools.directory.following.wake.new_inotify", refuse)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryWithoutExtendedAttributes(
    SpoolConformance, FollowingConformance, ChangingConformance, SchedulesConformance
):
    """As on a file system that has no xattrs, where counts are kept when the disk is full."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        def refuse(*args: object) -> None:
            raise OSError(errno.ENOTSUP, "not supported")

        for name in ("setxattr", "getxattr", "removexattr"):
            monkeypatch.setattr(f"aspool.spools.directory.marks.os.{name}", refuse)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryOnASlowDisk(Conformance):
    """Where every trip goes to a thread."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.pace.Pace.is_quick", False)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestDirectoryWithoutUnnamedFiles(
    SpoolConformance, FollowingConformance, ChangingConformance, SchedulesConformance
):
    """As on a file system that has no O_TMPFILE."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.draft.os.O_TMPFILE", 0o20200000 & ~0o20000000)
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestLimitsInMemory(LimitsConformance):
    def make(self, path: Path, **options: Any) -> Spool:  # noqa: ARG002 - it has no path
        return MemorySpool(**options)


class TestFollowingWithoutOfdLocks(FollowingConformance, ChangingConformance, SchedulesConformance):
    """As on macOS."""

    @pytest.fixture
    def spool(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
        monkeypatch.setattr("aspool.spools.directory.locks.HAVE_OFD", False)
        monkeypatch.setattr("aspool.spools.directory.schedules._alone", threading.Lock())
        return DirectorySpool(tmp_path / "spool", durability="process")


class TestLimitsInTheDirectory(LimitsConformance):
    def make(self, path: Path, **options: Any) -> Spool:
        return DirectorySpool(path / "spool", durability="process", **options)


class TestLimitsInTheDurableDirectory(LimitsConformance):
    def make(self, path: Path, **options: Any) -> Spool:
        return DirectorySpool(path / "spool", **options)


class TestLimitsWithoutInotify(TestLimitsInTheDirectory):
    @pytest.fixture(autouse=True)
    def without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aspool.spools.directory.serving.start_watching", lambda: None)


class TestLimitsOnASlowDisk(TestLimitsInTheDirectory):
    @pytest.fixture(autouse=True)
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aspool.spools.directory.pace.Pace.is_quick", False)


class TestLimitsWithoutUnnamedFiles(TestLimitsInTheDirectory):
    @pytest.fixture(autouse=True)
    def without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aspool.spools.directory.draft.os.O_TMPFILE", 0o20200000 & ~0o20000000)


class TestLimitsWithoutOfdLocks(TestLimitsInTheDirectory):
    """As on macOS: the locks belong to the process."""

    @pytest.fixture(autouse=True)
    def without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aspool.spools.directory.locks.HAVE_OFD", False)
