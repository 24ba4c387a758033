"""What the page about moving says of a uWSGI that finds tasks of aspool in its directory, and of uwsgi_tasks."""

import importlib
import sys
from pathlib import Path

import pytest

from aspool import DirectorySpool, Spooler
from aspool.testing import drain_sync

from ..compat.conftest import MakeProgram, make_program  # noqa: F401 - a fixture
from ..real_uwsgi import real_uwsgi
from .pages import ROOT, blocks

PAGE = ROOT / "docs" / "migrate.md"
(GUARD,) = [block.text for block in blocks(PAGE) if "leave_others_alone" in block.text]
(RETRYING,) = [block.text for block in blocks(PAGE) if "RetryTaskException" in block.text]
EATS_ALL = "import uwsgi\nuwsgi.spooler = lambda env: uwsgi.SPOOL_OK\n"


@pytest.mark.heavy  # a uWSGI for each
@pytest.mark.parametrize(
    ("program", "kept"),
    [
        ("import uwsgi_tasks\n", True),
        ("import uwsgidecorators\n", True),
        (EATS_ALL, False),
        (EATS_ALL + GUARD, True),
    ],
    ids=["uwsgi_tasks", "uwsgidecorators", "a handler that takes all", "with the guard of the page"],
)
def test_tasks_of_aspool_that_uwsgi_finds(tmp_path: Path, program: str, kept: bool) -> None:
    spool = DirectorySpool(tmp_path / "spool", durability="process")
    spooler = Spooler(spool)

    @spooler.task(name="new.pack")
    async def pack(order: int) -> None: ...

    with real_uwsgi(tmp_path / "uwsgi", program, "--spooler", spool.path, "--spooler-frequency", "1") as uwsgi:
        ticket = pack.spool_sync(7)
        # At its second turn it has finished the first.
        uwsgi.wait_for_log(f"managing request {file_of(spool, ticket.id)}", 2 if kept else 1)
        if not kept:
            uwsgi.wait_until(lambda: not files(spool), "the task is gone")
    assert len(files(spool)) == kept


def files(spool: DirectorySpool) -> list[str]:
    return [path.name for path in spool.path.glob("uwsgi_spoolfile_on_*")]


def file_of(spool: DirectorySpool, id: str) -> str:
    """Its name says its id, so that the log tells of it."""
    return next((name for name in files(spool) if id in name), "uwsgi_spoolfile_on_")


JOBS = f"""
from uwsgi_tasks import RetryTaskException, TaskExecutor, task

@task(executor=TaskExecutor.SPOOLER, retry_count=3, retry_timeout=60)
def careless(to):
    raise OSError(to)

def deliver(to, subject):
    raise OSError(to)

{RETRYING}
"""


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow.*:DeprecationWarning")  # its own code, which is old
def test_what_uwsgi_tasks_does_with_an_error(
    make_program: MakeProgram,  # noqa: F811 - a fixture
    directory: DirectorySpool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = make_program(options={"spooler": bytes(directory.path)})
    (tmp_path / "careless_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    jobs = importlib.import_module("careless_jobs")
    jobs.careless("ada@example.org")
    assert [ran.state for ran in drain_sync(program.spooler)] == ["done"]
    assert list(directory.path.rglob("uwsgi_spoolfile_on_*")) == [], "gone, and not buried"
    jobs.send_mail("ada@example.org", "welcome")
    assert [ran.state for ran in drain_sync(program.spooler)] == ["done"]
    assert len(files(directory)) == 1, "it waits for its second run"
    del sys.modules["careless_jobs"]
