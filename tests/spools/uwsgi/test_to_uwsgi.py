"""Messages that are sent to a real uWSGI, whose spooler runs them."""

import asyncio
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspool import Body, Spooler
from aspool.errors import NotSpooled, Unsupported
from aspool.testing import drain

from ...real_uwsgi import RealUwsgi, real_uwsgi

pytestmark = pytest.mark.anyio

PROGRAM = """
import json, time, uwsgi

def run(variables):
    text = {key if isinstance(key, str) else key.decode(): value.decode() for key, value in variables.items()}
    print(json.dumps({"ran": time.time(), **text}))
    return uwsgi.SPOOL_OK

uwsgi.spooler = run
"""


@pytest.fixture
def uwsgi(tmp_path: Path) -> Iterator[RealUwsgi]:
    (tmp_path / "uwsgi").mkdir()
    options = ("--spooler", tmp_path / "spool", "--spooler-ordered")
    with real_uwsgi(tmp_path / "uwsgi", PROGRAM, *options) as uwsgi:
        yield uwsgi


async def test_what_a_real_uwsgi_takes_and_what_not(uwsgi: RealUwsgi, tmp_path: Path) -> None:
    """One uWSGI for all of it: it is slow to start."""
    address = f"uwsgi://127.0.0.1:{uwsgi.port}"
    spooler = Spooler(address, spools={"remote": address})
    at = time.time() + 1000.5
    ticket = await spooler.spool({"said": "plain", "spooler": "remote"})
    await spooler.spool({"said": "later"}, at=at)
    await spooler.spool({"said": "urgent", "priority": 3})
    await spooler.spool({"said": "there", "spooler": str(tmp_path / "spool")}, spool="remote")
    assert not ticket.duplicate

    with pytest.raises(Unsupported, match="is a uWSGI, which takes variables only, no chosen ids: nothing was sent"):
        await spooler.task_named("t").using(id="chosen").spool()
    with pytest.raises(Unsupported, match="no bodies"):
        await spooler.spool({"a": "b"}, body=Body(b"x"))
    with pytest.raises(NotSpooled, match=r"4096 unless it is started with a larger --buffer-size"):
        await spooler.spool({"a": "x" * 5000})
    with pytest.raises(NotSpooled, match="none of the name in `spooler`"):
        await spooler.spool({"a": "b", "spooler": "/nowhere"}, spool="remote")

    for said in ("plain", "urgent", "there"):
        uwsgi.wait_for_log(f'"said": "{said}"')
    lines = {line.split('"said": "')[1].split('"')[0]: line for line in uwsgi.printed().splitlines()}
    assert len(lines) == 3
    (waiting,) = (tmp_path / "spool").glob("uwsgi_spoolfile_on_*")
    assert waiting.stat().st_mtime == math.ceil(at)
    assert '"priority": "3"' in lines["urgent"]
    assert '"spooler"' not in lines["plain"]
    assert "aspool." not in uwsgi.printed()


async def test_a_uwsgi_without_a_spooler(tmp_path: Path) -> None:
    with real_uwsgi(tmp_path, "") as uwsgi:
        spooler = Spooler(f"uwsgi://127.0.0.1:{uwsgi.port}")
        with pytest.raises(NotSpooled, match="It has no spooler"):
            await spooler.spool({"a": "b"})


async def test_a_unix_socket_of_a_uwsgi_and_the_blocking_form(tmp_path: Path) -> None:
    with real_uwsgi(tmp_path, PROGRAM, "--spooler", "spool", "--socket", tmp_path / "s") as uwsgi:
        spooler = Spooler(f"uwsgi://{tmp_path}/s")
        await asyncio.to_thread(spooler.spool_sync, {"said": "blocking"})
        uwsgi.wait_for_log("blocking")


async def test_a_task_that_a_uwsgi_keeps_for_an_aspool_beside_it(tmp_path: Path) -> None:
    """It is stored there as it is, and a worker of that directory runs it."""
    with real_uwsgi(tmp_path, "", "--spooler-external", tmp_path / "spool") as uwsgi:
        there = Spooler(tmp_path / "spool")
        ran: list[tuple[int, str]] = []

        @there.task(name="add")
        async def add(n: int, *, text: str) -> None:
            ran.append((n, text))

        address = f"uwsgi://127.0.0.1:{uwsgi.port}"
        await add.using(spool=address, retries=7, priority=2).spool(5, text="five")
        with pytest.raises(Unsupported, match="no arguments of that size"):
            await add.using(spool=address).spool(5, text="x" * 70_000)
        await drain(there, raise_errors=True)
    assert ran == [(5, "five")]
