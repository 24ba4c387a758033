"""Fixtures of the shims' tests: a Program whose modules `uwsgi` and `uwsgidecorators` are in place during one test."""

import sys
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from aspool import Spooler
from aspool.compat import Program
from aspool.compat.installing import put_in_place
from aspool.compat.module import made_module
from aspool.compat.shared.database import close_all
from aspool.compat.shared.numbers import give_back_all
from aspool.compat.tasks import handler

# What holds a module `uwsgi` once it is imported, and so must be imported again by the next test.
BOUND = ("uwsgi", "uwsgidecorators", "uwsgi_tasks", "uwsgiconf")


class MakeProgram(Protocol):
    """Makes Programs, each in the place of the one before; the options are fields of Program."""

    def __call__(self, spooler: Spooler[Any] | None = None, **options: Any) -> Program: ...


@pytest.fixture
def make_program(spooler: Spooler) -> Iterator[MakeProgram]:
    """For the tests that need another role, `strict=True`, mules or a Spooler of their own."""
    programs = (handler._program, handler.spooler)
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in BOUND}
    for name in before:
        del sys.modules[name]

    default = spooler

    def make(spooler: Spooler[Any] | None = None, **options: Any) -> Program:
        target = default if spooler is None else spooler
        target.raw_handler = None
        return put_in_place(Program(spooler=target, module=made_module(), **options))

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] in BOUND]:
        del sys.modules[name]
    sys.modules.update(before)
    handler._program, handler.spooler = programs
    close_all()
    give_back_all()


@pytest.fixture
def program(make_program: MakeProgram) -> Program:
    """A Program on a spool directory (`spool_path`, the fixtures `spooler` and `directory`) that is not made yet."""
    return make_program()


@pytest.fixture
def uwsgi(program: Program) -> Any:
    """The module `uwsgi` of the Program."""
    return program.module
