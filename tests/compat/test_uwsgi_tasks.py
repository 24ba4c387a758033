"""The unmodified uwsgi_tasks 0.7.3 on the shims: the examples of its readme by real workers, and its spool files."""

import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aspool.compat import Program
from aspool.testing import drain

from .commands import aspool, wait_until, worker
from .conftest import MakeProgram
from .shop import SHOP, VIEW
from .tasks.test_fixtures import FILES, put

# Its own code, which is old.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow.*:DeprecationWarning")
JOBS = """
from datetime import datetime
from uwsgi_tasks import TaskExecutor, task
got = []

@task(executor=TaskExecutor.SPOOLER)
def plain(a, b=None):
    got.append((a, b))

@task(executor=TaskExecutor.SPOOLER, retry_count=3, retry_timeout=5)
def retrying(a, b=None):
    got.append((a, b))
    return -1

@task(executor=TaskExecutor.SPOOLER)
def later(a):
    got.append((a,))

@task(executor=TaskExecutor.SPOOLER, working_dir=None)
def big(blob, tag=None):
    got.append((len(blob), tag))

@task(executor=TaskExecutor.SPOOLER, spooler_return=True)
def coded(code):
    got.append((code,))
    return code
"""
EXPECTED: dict[str, tuple[Any, ...]] = {
    "tasks_plain": (1, "two"),
    "tasks_retry": ("x", [1, 2]),
    "tasks_big_body": (70_000, "t"),
    "tasks_spooler_return": (-2,),
}


def test_it_is_that_of_pypi() -> None:
    assert version("uwsgi-tasks") == "0.7.3"


# --- its files -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["in the main thread", "in threads"])
def program(make_program: MakeProgram, request: pytest.FixtureRequest) -> Program:
    return make_program(in_main_thread=request.param)


@pytest.fixture
def jobs(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the fixtures, imported on the shims."""
    (tmp_path / "jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("jobs", None)
    yield importlib.import_module("jobs")
    del sys.modules["jobs"]


@pytest.mark.anyio
@pytest.mark.parametrize("fixture", [one for one in FILES if one["id"].startswith("tasks_")], ids=lambda one: one["id"])
async def test_what_it_wrote_under_uwsgi_runs(
    program: Program, jobs: Any, fixture: dict[str, Any], spool_path: Path
) -> None:
    spool_path.mkdir(mode=0o700)
    put(fixture, spool_path)
    (ran,) = [*await drain(program.spooler, concurrency=1, raise_errors=True), None][:1]
    assert (ran is None) == (fixture["id"] not in EXPECTED)
    expected = EXPECTED.get(fixture["id"])
    assert jobs.got == ([] if expected is None else [expected])
    again = program.module.spooler_jobs()
    assert len(again) == (1 if fixture["id"] == "tasks_retry" else 0), "a new file for the next run"


def test_what_it_writes_is_what_it_wrote_under_uwsgi(
    jobs: Any, monkeypatch: pytest.MonkeyPatch, spool_path: Path
) -> None:
    monkeypatch.chdir("/")
    jobs.plain(1, b="two")
    jobs.retrying("x", b=[1, 2])
    written = {path.read_bytes() for path in spool_path.glob("uwsgi_*")}
    there = {one["id"]: Path(__file__).parents[1] / "fixtures" / "uwsgi" / one["file"] for one in FILES}
    assert written == {there["tasks_plain"].read_bytes(), there["tasks_retry"].read_bytes()}


# --- its readme, by real workers -----------------------------------------------------------------------------------


class Notes:
    """What the tasks have noted: of each kind, the moment and the values."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "notes"

    def __call__(self, what: str) -> list[list[Any]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [found[1:] for line in lines if (found := json.loads(line))[0] == what]

    def count(self) -> Counter[str]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return Counter(json.loads(line)[0] for line in lines)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with the program."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "view.py").write_text(VIEW)
    return tmp_path


def test_the_examples_of_its_readme(shop: Path) -> None:
    """All but crons, which take a minute: mails, retries, a buffer, priorities, mules, timers."""
    notes = Notes(shop)
    with worker(shop, "--uwsgi", "shop", "-d", "sp", "--mules", "1"):
        done = aspool(shop, "run", "--uwsgi", "view.py", "-d", "sp", "--mules", "1")
        assert (done.returncode, done.stderr) == (0, "")
        wanted = Counter(
            mail=1, retried=3, purchase=2, removed=1, important=1, coded=1, large=1, mule=1, anywhere=1, now=1,
            timer=2, three=3, timer_lazy=2, periodically=2,
        )  # fmt: skip
        wait_until(lambda: notes.count() >= wanted, shop)
    _check_spooled(notes, shop)
    found = notes.count()
    assert {name: found[name] for name in ("three", "retried", "purchase", "periodically")} == {
        "three": 3, "retried": 3, "purchase": 2, "periodically": 2,
    }  # fmt: skip
    assert list((shop / "sp").glob("uwsgi_*")) == [], "nothing is left of them"


def _check_spooled(notes: Notes, shop: Path) -> None:
    ((_, *mail),) = notes("mail")
    assert mail == ["Welcome!", "Thank you!", "user@domain.com", str(shop), True]
    moments = [moment for moment, _ in notes("retried")]
    assert all(later > sooner for sooner, later in pairwise(moments))
    assert notes("removed")[0][1] == {"a": "removed", "b": "removed"}
    assert notes("important")[0][1:] == [1, str(shop / "sp" / "5")], "where the file is, without a working_dir"
    assert notes("large")[0][1:] == [100_000, "t"]
    assert notes("mule")[0][1:] == [{"a": [1, 2]}, 1]
    assert notes("now")[0][1] == notes("now")[0][2], "in the process that called"


@pytest.mark.heavy
def test_its_crons(shop: Path) -> None:
    notes = Notes(shop)
    with worker(shop, "--uwsgi", "shop", "-d", "sp", "--mules", "1", "--processes", "2"):
        aspool(shop, "run", "--uwsgi", "view.py", "-d", "sp", "--mules", "1")
        wait_until(lambda: notes("cron") and notes("cron_lazy"), shop, 150)
    for name in ("cron", "cron_lazy"):
        moments = [int(found[0]) // 60 for found in notes(name)]
        assert len(moments) == len(set(moments)), "once a minute, whatever number of workers there is"
