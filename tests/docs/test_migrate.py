"""What the page about moving says of a real uWSGI that finds tasks of aspool in its directory."""

from pathlib import Path

import pytest

from aspool import DirectorySpool, Spooler

from ..real_uwsgi import real_uwsgi
from .pages import ROOT, blocks

PAGE = ROOT / "docs" / "migrate.md"
(GUARD,) = [block.text for block in blocks(PAGE) if "leave_others_alone" in block.text]
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
