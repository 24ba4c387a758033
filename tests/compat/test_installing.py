"""install: `import uwsgi` finds aspool's module, in a program that knows nothing of it."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from aspool import Body, Spooler
from aspool.compat import install
from aspool.compat.tasks.handler import installed
from aspool.errors import CallError, TaskRefused
from aspool.testing import drain

from .conftest import MakeProgram

pytestmark = pytest.mark.usefixtures("make_program")  # it puts everything back


def test_the_modules_can_be_imported(spooler: Spooler) -> None:
    uwsgi = install(spooler)
    assert importlib.import_module("uwsgi") is uwsgi is sys.modules["uwsgi"]
    assert "uwsgidecorators" in sys.modules


def test_decorators_may_be_left_to_their_package(spooler: Spooler) -> None:
    install(spooler, decorators=False)
    assert "uwsgidecorators" not in sys.modules


def test_a_spooler_with_a_handler_is_refused_and_nothing_is_put_in(spooler: Spooler) -> None:
    @spooler.handler
    def own(variables: dict[str, str], body: Body) -> None: ...

    with pytest.raises(TaskRefused, match="this Spooler has a handler already"):
        install(spooler)
    assert "uwsgi" not in sys.modules


def test_again_it_is_another_program_on_the_same_spooler(spooler: Spooler) -> None:
    first = install(spooler)
    second = install(spooler, strict=True)
    assert first is not second
    assert installed().strict
    assert installed().module is second


def test_again_the_hooks_stay_and_the_decorated_functions(spooler: Spooler) -> None:
    first: Any = install(spooler)
    decorators: Any = importlib.import_module("uwsgidecorators")

    def before() -> None: ...

    for decorator in (decorators.spool, decorators.mulefunc, decorators.postfork):
        decorator(before)
    second: Any = install(spooler)
    assert (second.spooler, second.mule_msg_hook) == (first.spooler, first.mule_msg_hook)
    again: Any = importlib.import_module("uwsgidecorators")
    assert again is not decorators
    assert again.spooler_functions == again.mule_functions == {"before": before}
    assert [each.f for each in again.postfork_chain] == [before]
    second.spooler = abs
    third: Any = install(spooler)
    assert third.spooler is abs


def test_another_spooler_is_refused(spooler: Spooler, tmp_path: Path) -> None:
    uwsgi = install(spooler)
    with pytest.raises(CallError, match=r"is for the Spooler of .* in this process, and cannot be for one of .*other"):
        install(Spooler(tmp_path / "other"))
    assert sys.modules["uwsgi"] is uwsgi


def test_a_module_that_is_no_part_of_it_has_no_name(spooler: Spooler) -> None:
    uwsgi: Any = install(spooler)
    assert not hasattr(uwsgi, "spooler"), "the program sets it"
    with pytest.raises(AttributeError, match="module 'uwsgi' has no attribute 'nothing'"):
        uwsgi.nothing  # noqa: B018 - it raises


@pytest.mark.anyio
async def test_a_process_of_its_own_imports_who_installed_it(spooler: Spooler, spool_path: Path) -> None:
    install(spooler)
    assert spooler.included_by() == [__name__]
    install(spooler)
    assert spooler.included_by() == [__name__]


PROGRAM = """
import uwsgi

done = []

def handle(env):
    done.append(env[b"name"].decode())
    return uwsgi.SPOOL_OK

uwsgi.spooler = handle

def enqueue(name):
    uwsgi.spool({b"name": name.encode()})
"""


@pytest.mark.anyio
async def test_a_program_that_was_written_for_uwsgi_runs_unchanged(
    make_program: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "written_for_uwsgi.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    program = make_program()
    jobs: Any = importlib.import_module("written_for_uwsgi")
    jobs.enqueue("one")
    jobs.enqueue("two")
    await drain(program.spooler)
    assert sorted(jobs.done) == ["one", "two"]
    del sys.modules["written_for_uwsgi"]
