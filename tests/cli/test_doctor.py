"""`aspool doctor`: each check on a directory that has what it looks for."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from aspool.cli.checks import contents, directory, disk, system
from aspool.cli.checks.finding import Finding

Run = Callable[..., Result]
OF_THIS_MACHINE = {
    "workers",
    "place",
    "space",
    "inodes",
    "file system",
    "descriptors",
}  # where tests run they may warn


@pytest.fixture
def spool(run: Run, app: Path) -> Path:
    run("send", "app", "send_mail", "to=a", "--id", "mine")
    return app / "spool"


def levels(run: Run) -> dict[str, str]:
    (report,) = json.loads(run("doctor", "--json", "-d", "spool").output)
    return {one["check"]: one["level"] for one in report["findings"]}


@pytest.mark.usefixtures("spool")
def test_a_healthy_spool(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    found = levels(run)
    assert {check for check, level in found.items() if level != "ok"} <= OF_THIS_MACHINE
    assert {"directory", "mode", ".aspool", "attributes", "locks", "inotify", "clock", "files"} <= set(found)
    assert all(line.count("\t") == 3 for line in result.output.splitlines())


@pytest.mark.parametrize(
    ("mode", "level", "code"), [(0o777, "fail", 1), (0o770, "warn", 0), (0o700, "ok", 0)]
)
def test_who_may_write(run: Run, spool: Path, mode: int, level: str, code: int) -> None:
    spool.chmod(mode)
    assert directory.mode(str(spool)).level == level
    assert run("doctor").exit_code == code


@pytest.mark.usefixtures("spool")
def test_the_application_as_an_option(run: Run) -> None:
    told = json.loads(run("doctor", "--app", "app", "--json").output)
    assert [report["spool"] for report in told] == [
        report["spool"] for report in json.loads(run("doctor", "app", "--json").output)
    ]
    assert len(told) == 2
    assert json.loads(run("ls", "--app", "app", "-d", "default", "--json").output)[0]["id"] == "mine"


def test_no_directory(run: Run, app: Path, spool: Path) -> None:
    (app / "link").symlink_to(spool)
    assert "symbolic link" in directory.existence(str(app / "link")).text
    assert "mkdir -p" in directory.existence(str(app / "a/b")).advice
    assert directory.existence(str(app / "app.py")).level == "fail"
    assert run("doctor", "-d", "link").exit_code == 3
    assert run("doctor", "-d", "memory:").exit_code == 2


def test_a_newer_format(spool: Path) -> None:
    (spool / ".aspool/version").write_text("9")
    assert "use a newer aspool" in directory.private_area(str(spool)).advice


def test_a_private_area_that_is_a_link(app: Path, spool: Path) -> None:
    os.rename(spool / ".aspool", app / "moved")
    (spool / ".aspool").symlink_to(app / "moved")
    assert directory.private_area(str(spool)).level == "fail"


def test_files_that_never_run(spool: Path) -> None:
    prefix = "uwsgi_spoolfile_on_"
    (spool / f"{prefix}link").symlink_to("elsewhere")
    os.mkfifo(spool / f"{prefix}fifo")
    (spool / f"{prefix}directory").mkdir()
    (spool / "urgent").mkdir()
    (spool / "urgent" / f"{prefix}x").touch()
    (spool / "5").symlink_to("/etc")
    (spool / "harmless").mkdir()
    (spool / "3").mkdir()
    (spool / "3" / f"{prefix}hard").touch()
    os.link(spool / "3" / f"{prefix}hard", spool / "copy")
    looked_at = contents._Spool(str(spool), frozenset({os.geteuid()}), ids_of(spool))
    assert {one.path: one.why for one in contents._strange_in(looked_at, "")} == {
        f"{prefix}link": "it is a symbolic link",
        f"{prefix}fifo": "it is no regular file",
        f"{prefix}directory": "it is a directory",
        "urgent": "there are task files in it, but its name is no number",
        "5": "it is a symbolic link to a directory",
        f"3/{prefix}hard": "it has a hard link elsewhere",
    }
    findings = contents.never_run(str(spool))
    assert (len(findings), findings[-1].text) == (6, "and 1 more like these")


def ids_of(spool: Path) -> frozenset[int]:
    return frozenset(path.stat().st_ino for path in (spool / ".aspool/ids").iterdir())


def test_leftovers(run: Run, spool: Path) -> None:
    for path in spool.glob("uwsgi_*"):
        path.unlink()
    part = spool / ".aspool/tmp/x"
    part.touch()
    assert [one.check for one in contents.leftovers(str(spool))] == ["ids"]
    os.utime(part, (time.time() - 7200, time.time() - 7200))
    assert [one.check for one in contents.leftovers(str(spool))] == ["ids", "leftovers"]
    (spool / ".aspool/dead/uwsgi_spoolfile_on_x").touch()
    assert levels(run)["dead"] == "warn"


@pytest.mark.parametrize(
    ("kind", "level"),
    [("ext4", "ok"), ("nfs4", "fail"), ("vfat", "fail"), ("tmpfs", "warn"), ("overlay", "warn"), ("", "ok")],
)
def test_kinds_of_file_systems(monkeypatch: pytest.MonkeyPatch, kind: str, level: str) -> None:
    monkeypatch.setattr(disk, "kind_of", lambda _: kind)
    assert disk.file_system("/x").level == level


def test_room() -> None:
    assert disk._space(10 << 30, 100 << 30).level == "ok"
    assert disk._space(1 << 30, 100 << 30).level == "warn"
    assert disk._inodes(5_000, 10_000).level == "warn"


def test_without_the_kernels_help(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    assert system.attributes(str(spool)).level == "warn"
    monkeypatch.setattr(system, "start_watching", lambda: None)
    assert system.instant_wakeup().level == "warn"
    monkeypatch.delattr(os, "O_TMPFILE")
    assert system.unnamed_files(str(spool)).level == "warn"
    assert system.file_locks(str(spool)).level == "ok"
    assert not list(spool.glob(".aspool-doctor*"))


def test_findings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Finding("a", "ok", "b").text = "c"  # type: ignore[misc]


def test_a_directory_of_somebody_else(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert levels(run)["writable"] == "fail"
    assert "files" not in levels(run)
    assert run("doctor").exit_code == 1
