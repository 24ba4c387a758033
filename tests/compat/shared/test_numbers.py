"""The numbers of web processes: each has the lowest free one as long as it lives."""

import os
from typing import Any

import pytest

from aspool import Spooler
from aspool.compat import Role, install
from aspool.compat.shared.numbers import give_back_all, number_of

from ..conftest import MakeProgram


def number_in_child(uwsgi: Any) -> int:
    """What worker_id is in a process that was forked."""
    pid = os.fork()
    if pid == 0:
        os._exit(uwsgi.worker_id())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.usefixtures("make_program")  # it puts everything back
def test_each_process_has_one_of_its_own(spooler: Spooler) -> None:
    uwsgi: Any = install(spooler)
    assert number_in_child(uwsgi) == 1, "it is free when its process ends"
    assert [uwsgi.worker_id(), uwsgi.worker_id()] == [1, 1]
    assert [number_in_child(uwsgi), number_in_child(uwsgi)] == [2, 2]
    assert uwsgi.worker_id() == 1, "a child has not given it back"
    give_back_all()
    assert number_in_child(uwsgi) == 1


def test_who_is_told_its_number_has_that(make_program: MakeProgram) -> None:
    program = make_program(role=Role("worker", 7))
    assert number_of(program) == 7
    assert not program.shared.exists()
