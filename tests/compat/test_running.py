"""Whole programs of uWSGI: imported by a worker in uWSGI's order, and put into the process of a job."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aspool.compat import running
from aspool.compat.running import ProgramOfChild, load, module_of
from aspool.compat.shared.database import close_all
from aspool.compat.signals.zone import local_zone
from aspool.compat.tasks import handler
from aspool.errors import ApplicationUnusable
from aspool.placing import placed
from aspool.settings import Settings

PROGRAM = """
import uwsgi
from uwsgidecorators import *
order = ["import"]

@postfork
def begun():
    order.append("postfork")

@timer(60, target="spooler")
def minute(signum): pass

def spooler(env):
    return uwsgi.SPOOL_OK

uwsgi.spooler = spooler
facts = (uwsgi.i_am_the_spooler(), uwsgi.worker_id(), uwsgi.masterpid() > 0, uwsgi.opt["x"], uwsgi.opt["flag"])
"""
LATER = "import prog\nprog.order.append('spooler-import')\n"
BOUND = ("uwsgi", "uwsgidecorators", "prog", "later")


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory with the program; the modules of this process are as before in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(running, "_in_child", [])
    for name in ("_program", "spooler"):
        monkeypatch.setattr(handler, name, None)
    for name in BOUND:
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "later.py").write_text(LATER)
    yield
    close_all()
    for name in BOUND:
        sys.modules.pop(name, None)


def settings(**options: Any) -> Settings:
    given: dict[str, Any] = {"uwsgi": ("prog",), "spools": ("sp",), "uwsgi_options": ("x=1", "x=2", "flag")}
    return placed(Settings(**({"concurrency": 1} | given | options)))


def test_a_worker_imports_it_as_uwsgi_does(tmp_path: Path) -> None:
    spooler = load(settings(imports=("later",), external=("other=theirs",), tz="Asia/Tokyo"), 3)
    prog: Any = sys.modules["prog"]
    assert prog.order == ["import", "postfork", "spooler-import"]
    assert prog.facts == (True, 0, True, b"2", True)
    assert {name: spool.address for name, spool in spooler.spools.items()} == {
        "default": f"{tmp_path}/sp", "other": f"{tmp_path}/theirs",
    }  # fmt: skip
    assert "uwsgi.timer.prog.minute" in spooler.tasks
    assert spooler.raw_handler is not None


def test_the_first_spool_is_the_default_one_whatever_it_is_called(tmp_path: Path) -> None:
    spooler = load(settings(spools=("mail=sp", "sp2")))
    assert {name: spool.address for name, spool in spooler.spools.items()} == {
        "default": f"{tmp_path}/sp", "sp2": f"{tmp_path}/sp2",
    }  # fmt: skip


def test_a_module_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "my-jobs.py").write_text("value = __name__, __file__\n")
    path = str(tmp_path / "my-jobs.py")
    module: Any = module_of(path)
    assert module.value == (path.removesuffix(".py").replace("/", "_").replace(".", "_"), path)
    assert module_of(path) is module, "once"
    assert placed(settings(uwsgi=("./prog.py", "my-jobs.py", "prog"))).uwsgi == ("prog", path, "prog")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("1 / 0", "raised ZeroDivisionError"), ("import sys; sys.exit(4)", r"called sys\.exit\(4\)")],
)
@pytest.mark.parametrize("name", ["broken", "bro-ken.py"])
def test_a_module_that_does_not_import(tmp_path: Path, text: str, sentence: str, name: str) -> None:
    (tmp_path / f"{name.removesuffix('.py')}.py").write_text(text)
    with pytest.raises(ApplicationUnusable, match=sentence) as caught:
        load(settings(uwsgi=(name,)))
    assert text in caught.value.traceback


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ApplicationUnusable, match=f"there is no Python file {tmp_path}/no-where.py"):
        load(settings(uwsgi=("no-where.py",)))


@pytest.mark.parametrize(("concurrency", "mules", "in_main_thread"), [(1, 0, True), (1, 2, True), (2, 1, False)])
def test_only_one_task_at_a_time_has_the_main_thread(concurrency: int, mules: int, in_main_thread: bool) -> None:
    task = load(settings(concurrency=concurrency, mules=mules)).raw_handler
    assert task is not None
    assert task.is_async is in_main_thread


def test_the_process_of_a_job_has_the_program_once() -> None:
    """Of the task of a mule, as that mule; of any other one as the spooler that it belongs to."""
    prepare = ProgramOfChild(settings(mules=2).as_record(), 5)
    prepare("uwsgi.mule2")
    uwsgi: Any = sys.modules["uwsgi"]
    prog: Any = sys.modules["prog"]
    assert (uwsgi.mule_id(), prog.facts[0]) == (2, None)
    prepare("uwsgi.mule1")
    assert (uwsgi.mule_id(), prog.order) == (1, ["import"]), "no loop of a mule was begun"
    prepare("(handler)")
    assert (uwsgi.mule_id(), uwsgi.i_am_the_spooler()) == (0, True)


def test_the_zone_of_this_machine_is_one_that_there_is() -> None:
    from zoneinfo import ZoneInfo

    assert ZoneInfo(local_zone()).key == local_zone()


def test_a_first_process_has_a_master_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 0)
    load(settings())
    assert sys.modules["uwsgi"].masterpid() == os.getpid()


@pytest.mark.parametrize("zone", ["Asia/Tokyo", ""])
def test_a_program_with_a_zone_of_its_own_is_told_of_its_crons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, zone: str
) -> None:
    """As Django sets it; a test machine is not in Tokyo."""
    monkeypatch.setenv("TZ", os.environ.get("TZ", ""))
    source = f"import os, time\nos.environ['TZ'] = {zone!r}\ntime.tzset()\n" if zone else ""
    (tmp_path / "prog.py").write_text(source)
    if not zone:
        monkeypatch.delenv("TZ")
        time.tzset()
    try:
        load(settings())
        assert ("the program has another time zone than this machine" in caplog.text) == bool(zone)
    finally:
        monkeypatch.undo()
        time.tzset()
