"""Whose word is taken for where the handler of a signal is: that of the program, never that of a message alone."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aspool import Body, Spooler
from aspool.compat import Program
from aspool.compat.signals import handlers, places
from aspool.compat.signals.places import TASK
from aspool.compat.signals.registry import registry_of
from aspool.job import Job, enter_job
from aspool.message import Message

from ..conftest import MakeProgram
from .test_signals import LATER, SPOOLER, module, ran


@pytest.fixture
def worker(make_program: MakeProgram, tmp_path: Path, spool_path: Path) -> Program:
    """One whose web process had registered signal 3 before the machine was started."""
    web: Any = make_program(Spooler(spool_path)).module
    with module(tmp_path, "later", LATER) as later:
        web.register_signal(3, "", later.tick)
    program = make_program(Spooler(spool_path), role=SPOOLER)
    with registry_of(program)._shared.connection() as connection:
        connection.execute("DELETE FROM signals")
    return program


EVIL = "import pathlib\n\n\ndef boom(number):\n    pathlib.Path('got').write_text('boom')\n"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that the program does not use, but could import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text(EVIL)
    yield
    assert not (tmp_path / "got").exists()
    assert "evil" not in sys.modules


def refused(worker: Program) -> str:
    """Why what waits was buried."""
    ((task, reason),) = ran(worker)
    assert task == TASK
    return reason


@pytest.mark.usefixtures("evil")
@pytest.mark.parametrize("number", [3, 9])
def test_nothing_is_imported_because_a_message_says_so(worker: Program, number: int) -> None:
    worker.spooler.tasks[TASK].spool_sync(number, "", "evil:boom", "spooler")
    said = f"the handler of signal {number} was not looked for: nobody has registered evil:boom for signal {number}"
    assert refused(worker) == said


@pytest.mark.usefixtures("evil")
def test_nor_from_the_network_or_where_others_may_write(worker: Program, spool_path: Path) -> None:
    with registry_of(worker)._shared.connection() as connection:
        connection.execute("INSERT INTO signals VALUES (4, '', '', ?, '', 0, '')", (handlers.at("evil:boom"),))
    forged, arguments = worker.spooler.tasks[TASK], (3, "", "evil:boom", "spooler")
    message = Message(id="a", task=TASK, arguments=forged.dump(arguments, {})[0], origin="net")
    worker.spooler.spool_of(None).put_blocking([message])  # type: ignore[attr-defined]  # both of ours have it
    assert "it came over the network" in refused(worker)
    forged.spool_sync(*arguments)
    spool_path.chmod(0o770)
    assert f"others may write into {spool_path}" in refused(worker)


def test_a_schedule_where_others_may_write_says_nothing(worker: Program, spool_path: Path) -> None:
    """In a worker that runs it without a message, too."""
    enter_job(Job("a", TASK))
    try:
        assert places.refusal(worker, Body(), 3, "later:tick") is None
        spool_path.chmod(0o770)
        assert places.refusal(worker, Body(), 3, "later:tick") == "nobody has registered later:tick for signal 3"
    finally:
        enter_job(None)
