"""What aspool does to files that a real uWSGI holds, and what uWSGI does with those that aspool puts off or marks."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool, Spooler
from aspool.outcomes import Done, HandedBack, PutOff
from aspool.protocol import Claim, Spool
from aspool.spools.directory.marks import Mark, read_mark
from aspool.testing.conformance import claimed, message, served

from ..real_uwsgi import RealUwsgi, real_uwsgi

pytestmark = pytest.mark.anyio

PROGRAM = """
import os, time, uwsgi

def run(variables):
    print("BEGINS", variables.get(b"id", b"").decode())
    while os.path.exists("hold"):
        time.sleep(0.005)
    print("ENDS", variables.get(b"id", b"").decode())
    return uwsgi.SPOOL_OK

uwsgi.spooler = run
"""


@contextmanager
def holding(tmp_path: Path) -> Iterator[tuple[RealUwsgi, Callable[[], None]]]:
    """A uWSGI whose spooler stays in each task until it is let go."""
    root = tmp_path / "uwsgi"
    root.mkdir()
    (root / "hold").touch()
    options = ("--spooler", tmp_path / "spool", "--spooler-frequency", "0", "--spooler-chdir", root)
    with real_uwsgi(root, PROGRAM, *options) as uwsgi:
        yield uwsgi, (root / "hold").unlink
        assert "something horrible" not in uwsgi.log()
        assert "DAMN" not in uwsgi.log()


def raw(name: str) -> dict[bytes, bytes]:
    return {b"id": name.encode()}


def by_name(claims: list[Claim]) -> dict[str, Claim]:
    return {claim.message.raw[b"id"].decode(): claim for claim in claims}


async def nothing_to_claim(spool: Spool) -> None:
    """It is looked at for a while."""
    with anyio.move_on_after(0.3):
        while True:
            assert not await spool.claim(10, time.time())
            await spool.wait(0.05)


async def test_a_file_that_uwsgi_holds_is_left_alone(directory: DirectorySpool, tmp_path: Path) -> None:
    with holding(tmp_path) as (uwsgi, let_go):
        spooler = Spooler(directory)
        ticket = await spooler.spool({"id": "held"}, id="chosen")
        uwsgi.wait_for_log("BEGINS held")
        # While it is in there, the others are ours.
        async with served(directory) as spool:
            await nothing_to_claim(spool)
            for name in ("put-off", "handed-back", "crashed"):
                directory.put_blocking([message(task=None, arguments=b"", raw=raw(name), id=name)])
            claims = by_name(await claimed(spool, 3))
            later = time.time() + 1000
            await spool.finish([(claims["put-off"], PutOff(later, attempt=1, crashes=0))])

            assert await ticket.status() == "running"
            (listed,) = directory.find("chosen")
            assert (directory.delete(listed), directory.requeue(listed, time.time())) == (False, False)
            assert not await ticket.reschedule(at=later)
            assert (await spooler.spool({"id": "again"}, id="chosen")).duplicate

            await spool.finish([(claims["handed-back"], HandedBack("its worker leaves"))])
            (crashed,) = directory.path.glob("*_crashed_*")
            descriptor = os.open(crashed, os.O_RDONLY)
            assert read_mark(descriptor) is Mark.RUNNING  # as its worker leaves it when it is killed
            os.close(descriptor)
        directory._finisher.let_go(claims["crashed"])  # type: ignore[arg-type]  # a FileClaim: the kernel would do it
        let_go()
        for name in ("held", "handed-back", "crashed"):
            uwsgi.wait_for_log(f"ENDS {name}")
        assert "put-off" not in uwsgi.printed()
        assert await ticket.status() == "unknown"

        # uWSGI has removed the file, and not the link by which we know the id.
        assert not (await spooler.spool({"id": "another"}, id="chosen")).duplicate
        uwsgi.wait_for_log("ENDS another")
        (left,) = directory.path.glob("uwsgi_spoolfile_on_*")
        assert "put-off" in left.name


async def test_a_file_that_we_hold_is_left_alone(directory: DirectorySpool, tmp_path: Path) -> None:
    """Also its body and its checksum are as they were when uWSGI has it after us."""
    directory.put_blocking([message(task=None, arguments=b"", raw=raw("ours"), id="ours")])
    async with served(directory) as spool:
        (claim,) = await claimed(spool, 1)
        with holding(tmp_path) as (uwsgi, let_go):
            let_go()
            directory.put_blocking([message(task=None, arguments=b"", raw=raw("theirs"), id="theirs")])
            uwsgi.wait_for_log("ENDS theirs")  # it has looked at ours too, which comes before or after
            directory.put_blocking([message(task=None, arguments=b"", raw=raw("more"), id="more")])
            uwsgi.wait_for_log("ENDS more")
            assert "ours" not in uwsgi.printed()
            assert list(directory.path.glob("*_ours_*"))
            await spool.finish([(claim, Done())])
    assert not list(directory.path.glob("uwsgi_spoolfile_on_*"))


IGNORES = """
import uwsgi

def run(variables):
    print("BEGINS", variables[b"aspool.task"].decode())
    return uwsgi.SPOOL_IGNORE if b"aspool.task" in variables else uwsgi.SPOOL_OK

uwsgi.spooler = run
"""
DECORATED = """
from uwsgidecorators import spool

@spool
def run(variables):
    pass
"""


@pytest.mark.parametrize(("program", "told"), [(IGNORES, "BEGINS app.mail"), (DECORATED, "KeyError: 'ud_spool_func'")])
async def test_a_task_of_ours_that_uwsgi_does_not_take(
    directory: DirectorySpool, tmp_path: Path, program: str, told: str
) -> None:
    """A handler that returns SPOOL_OK for whatever comes would delete it: the page for people from uWSGI says so."""
    with real_uwsgi(tmp_path / "uwsgi", program, "--spooler", tmp_path / "spool", "--spooler-frequency", "0") as uwsgi:
        directory.put_blocking([message(task="app.mail")])
        uwsgi.wait_for_log(told)
        async with served(directory) as spool:
            (claim,) = await claimed(spool, 1)
            assert claim.message.task == "app.mail"
            await spool.finish([(claim, Done())])
    assert not list(directory.path.glob("uwsgi_spoolfile_on_*"))
