"""aspool and a real uWSGI work on one directory at the same time, and both write into it."""

import time
from pathlib import Path

import pytest

from .shared import TROUBLES, Shared, Task


def mixed(prefix: str, count: int, soon: float) -> list[Task]:
    """Tasks of all kinds: every tenth has a priority, a body, is due in `soon` seconds or twice that, fails first."""
    now = time.time()
    return [
        Task(
            f"{prefix}{number}" + ("again" if number % 10 == 9 else ""),
            at=now + soon * (1 + number / count) if number % 10 == 3 else None,
            priority=number % 3 if number % 10 == 5 else None,
            size=10_000 if number % 10 == 7 else 0,
            has_chosen_id=number % 2 == 0,
        )
        for number in range(count)
    ]


def test_both_run_each_task_once(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    shared.prepare(mixed("u", 30, 0.5))
    with shared.workers(1, "--concurrency", "2"), shared.uwsgi() as uwsgi:
        shared.put(mixed("a", 30, 0.5))
        shared.wait_for_all(uwsgi)
    print(shared.check())


@pytest.mark.heavy
@pytest.mark.parametrize("ordered", [True, False])
def test_acceptance_two_thousand_tasks(tmp_path: Path, ordered: bool) -> None:
    """One uWSGI with two spooler processes, two aspool workers, each with half of the tasks to write."""
    shared = Shared(tmp_path)
    shared.prepare(mixed("u", 1000, 2.0))
    theirs, ours = (("--spooler-ordered",), ("--spool", "spool", "--ordered")) if ordered else ((), ())
    with shared.workers(2, "--concurrency", "4", *ours), shared.uwsgi("--spooler-processes", "2", *theirs) as uwsgi:
        shared.put(mixed("a", 1000, 2.0))
        shared.wait_for_all(uwsgi, 120.0)
    ran = shared.check()
    assert min(ran["uwsgi"], ran["aspool"]) > 0
    print(ran)


@pytest.mark.heavy
def test_killed_workers_leave_nothing_that_harms_the_other(tmp_path: Path) -> None:
    """A file that somebody held when he was killed runs again, here or there; no other runs twice."""
    shared = Shared(tmp_path, troubles=TROUBLES[:4])  # its master says that spoolers have died
    shared.prepare(mixed("u", 1000, 2.0))
    with shared.workers(1, "--concurrency", "4"), shared.uwsgi("--spooler-processes", "2") as uwsgi:
        killed: set[int] = set()
        with shared.killed_in_turn(uwsgi, killed):
            shared.put(mixed("a", 1000, 2.0))
            shared.wait_for_all(uwsgi, 120.0)
    shared.check_after_kills(killed)
    print(len(killed))
