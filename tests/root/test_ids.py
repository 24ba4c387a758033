"""Ids and priorities: new ones never repeat and keep their order, chosen ones may not become a path."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.errors import NameRefused
from aspool.ids import ID_PATTERN, LARGEST_PRIORITY, checked_id, checked_priority, new_id


def test_new_ids_are_unique_and_in_order() -> None:
    ids = [new_id() for _ in range(50_000)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert {len(id) for id in ids} == {22}


def test_the_last_eight_digits_tell_ids_apart() -> None:
    assert len({new_id()[-8:] for _ in range(50_000)}) == 50_000


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: [new_id() for _ in range(2000)], range(8)))
    assert len({id for ids in made for id in ids}) == 16_000


FORKING = """
import os
from aspool.ids import new_id
new_id()
child = os.fork()
ids = [new_id() for _ in range(500)]
if child:
    os.waitpid(child, 0)
print(*ids)
"""


def test_a_forked_child_makes_other_ids() -> None:
    answer = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    first, second = (line.split() for line in answer.stdout.splitlines())
    assert len({*first, *second}) == 1000
    assert len({id[-8:] for id in (*first, *second)}) == 1000


@pytest.mark.parametrize("id", ["a", "-", "_", "0", "welcome-42", "a.b", "a..b", "A_Z-9.x", "x" * 80, "-rf"])
def test_ids_that_a_caller_may_choose(id: str) -> None:
    assert checked_id(id) == id


@pytest.mark.parametrize(
    "id",
    ["", ".", "..", ".hidden", "a/b", "../x", "/a", "a b", "a\n", "\n", "a\0", "ä", "٣", "a*", "a:b", "x" * 81,
     5, None, b"a", True],
)  # fmt: skip
def test_ids_that_may_not_become_a_file_name(id: Any) -> None:
    with pytest.raises(NameRefused, match=r"the id .* is refused"):
        checked_id(id)


@given(st.text(max_size=90))
def test_an_accepted_id_is_a_plain_file_name(id: str) -> None:
    try:
        checked_id(id)
    except NameRefused:
        return
    assert os.path.basename(id) == id
    assert id not in ("", ".", "..")
    assert id.isascii()
    assert id.isprintable()
    assert ID_PATTERN.fullmatch(id)


@pytest.mark.parametrize("priority", [None, 0, 1, 10, LARGEST_PRIORITY])
def test_priorities(priority: int | None) -> None:
    assert checked_priority(priority) == priority


@pytest.mark.parametrize(
    "priority", [-1, LARGEST_PRIORITY + 1, 10**30, 1.0, "5", "5/2", "../x", "high", True, False, b"5", float("nan")]
)
def test_priorities_that_are_refused(priority: Any) -> None:
    with pytest.raises(NameRefused, match=r"the priority .* is refused"):
        checked_priority(priority)
