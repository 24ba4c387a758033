"""The cache, the queue: what each call gives in a real uWSGI and here, what is better, and what processes share."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from aspool.compat import Program
from aspool.compat.shared.cache import Cache
from aspool.testing.clock import Clock

from ..calls_compared import differences, ours, real
from ..conftest import MakeProgram

CALLS = [
    'uwsgi.cache_set("a", "1")', 'uwsgi.cache_set("a", "2")', 'uwsgi.cache_get("a")', 'uwsgi.cache_update("a", b"3")',
    'uwsgi.cache_get(b"a")', 'uwsgi.cache_get("zz")', 'uwsgi.cache_exists("a")', 'uwsgi.cache_exists("zz")',
    'uwsgi.cache_del("a")', 'uwsgi.cache_del("a")', 'uwsgi.cache_set("i", 5)', 'uwsgi.cache_set(5, "i")',
    'uwsgi.cache_set("e", "")', 'uwsgi.cache_get("e")', 'uwsgi.cache_set("", "x")', 'uwsgi.cache_inc("n")',
    'uwsgi.cache_num("n")', 'uwsgi.cache_get("n")', 'uwsgi.cache_inc("n", 10)', 'uwsgi.cache_dec("n", 3)',
    'uwsgi.cache_num("n")', 'uwsgi.cache_mul("n")', 'uwsgi.cache_mul("n", 5)', 'uwsgi.cache_div("n", 4)',
    'uwsgi.cache_num("n")', 'uwsgi.cache_div("n", 0)', 'uwsgi.cache_num("n")', 'uwsgi.cache_mul("m")',
    'uwsgi.cache_num("m")', 'uwsgi.cache_dec("neg", 3)', 'uwsgi.cache_num("neg")', 'uwsgi.cache_div("neg", 2)',
    'uwsgi.cache_num("neg")', 'uwsgi.cache_num("zz")', 'uwsgi.cache_set("s", "12")', 'uwsgi.cache_num("s")',
    'uwsgi.cache_inc("s")', 'uwsgi.cache_get("s")', 'uwsgi.cache_set("l", "123456789")', 'uwsgi.cache_inc("l")',
    'uwsgi.cache_get("l")', 'uwsgi.cache_inc("n", "x")', 'uwsgi.cache_inc("big", 2**63 - 1)',
    'uwsgi.cache_inc("big", 1)', 'uwsgi.cache_num("big")', "sorted(uwsgi.cache_keys())",
    'uwsgi.cache_set("y", "1", 0, "second")', 'uwsgi.cache_get("y", "second")', 'uwsgi.cache_get("y")',
    'uwsgi.cache_keys("second")', 'uwsgi.cache_get("y", "nope")', 'uwsgi.cache_exists("y", "nope")',
    'uwsgi.cache_num("y", "nope")', 'uwsgi.cache_set("é", "é")', 'uwsgi.cache_get("é")',
    'uwsgi.cache_set("f", "1", -1)', 'uwsgi.cache_get("f")', 'uwsgi.cache_set(None, "1")', 'uwsgi.cache_set("one")',
    "uwsgi.cache_clear()", "uwsgi.cache_keys()", 'uwsgi.cache_get("y", "second")',
]  # fmt: skip
QUEUE = [
    "uwsgi.queue_size", 'uwsgi.queue_push("a")', 'uwsgi.queue_push(b"b")', 'uwsgi.queue_push("c")',
    "uwsgi.queue_slot()", "uwsgi.queue_pull_slot()", "uwsgi.queue_last()", "uwsgi.queue_last(0)",
    "uwsgi.queue_last(2)", "uwsgi.queue_last(20)", "uwsgi.queue_get(0)", "uwsgi.queue_get(7)", "uwsgi.queue_pull()",
    "uwsgi.queue_slot()", "uwsgi.queue_pull_slot()", "uwsgi.queue_pop()", "uwsgi.queue_slot()", "uwsgi.queue_pull()",
    "uwsgi.queue_pull()", "uwsgi.queue_slot()", "uwsgi.queue_pull_slot()", "uwsgi.queue_pop()",
    'uwsgi.queue_set(3, "x")', "uwsgi.queue_get(3)", 'uwsgi.queue_set(30, "x")', "uwsgi.queue_push(5)",
    'uwsgi.queue_push("")', "[uwsgi.queue_push(str(i)) for i in range(7)]", "uwsgi.queue_slot()",
    "uwsgi.queue_pull_slot()", "uwsgi.queue_last(5)", "[uwsgi.queue_pull() for i in range(9)]",
    "uwsgi.queue_pull_slot()", "[uwsgi.queue_push(str(i)) for i in range(3)]",
    "[uwsgi.queue_pop() for i in range(4)]", "uwsgi.queue_slot()",
]  # fmt: skip


def test_each_call_gives_what_it_gives_there(make_program: MakeProgram, tmp_path: Path) -> None:
    arguments = ["--cache2", "name=default,items=100", "--cache2", "name=second,items=100", "--queue", "5"]
    there = real(tmp_path / "real", "master", [*CALLS, *QUEUE], *arguments)
    uwsgi = make_program(options={"queue": b"5"}).module
    assert differences([*CALLS, *QUEUE], there, ours(uwsgi, [*CALLS, *QUEUE])) == []


# --- time ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(program: Program) -> Cache:
    return Cache(program)


def test_a_value_expires(cache: Cache, clock: Clock) -> None:
    assert cache.cache_set("a", "1", 10)
    assert cache.cache_set("a", "2") is None
    clock.move(10)
    assert (cache.cache_get("a"), cache.cache_exists("a"), cache.cache_del("a"), cache.cache_keys()) == (
        None, None, None, [],
    )  # fmt: skip
    assert cache.cache_set("a", "2", expires=0.5), "it is as if it had never been"
    assert cache.cache_update("a", "3"), "and this one has no end"
    clock.move(1_000_000)
    assert cache.cache_get("a") == b"3"


def test_a_number_keeps_its_end(cache: Cache, clock: Clock) -> None:
    cache.cache_inc("n", 1, 10)
    clock.move(6)
    cache.cache_inc("n", 1, 10)
    assert cache.cache_num("n") == 2
    clock.move(6)
    assert cache.cache_num("n") == 0


# --- processes -----------------------------------------------------------------------------------------------------


def _count(cache: Cache, times: int) -> None:
    for _ in range(times):
        cache.cache_inc("n")
    cache.cache_update(f"of {os.getpid()}", "x")


def test_processes_share_it_and_none_loses_a_step(cache: Cache) -> None:
    """Forked ones too, though this one has used it before."""
    cache.cache_inc("n")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(cache, 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert cache.cache_num("n") == 301
    assert len(cache.cache_keys()) == 4


def test_it_is_quick(cache: Cache) -> None:
    """Some 20 µs each; a machine may be ten times slower."""
    cache.cache_set("a", "1")
    begun = time.perf_counter()
    for number in range(500):
        cache.cache_update("a", str(number))
        cache.cache_get("a")
    assert (time.perf_counter() - begun) / 1000 < 0.001


# --- what is better, and what is refused -----------------------------------------------------------------------------


def test_keywords_large_values_and_more(cache: Cache) -> None:
    assert cache.cache_set(b"k", "v" * 1_000_000, cache="mine", expires=1.5)
    assert len(cache.cache_get("k", cache="mine") or b"") == 1_000_000
    with pytest.raises(NotImplementedError, match=r"the cache mine@host:3031 is that of another server"):
        cache.cache_get("k", "mine@host:3031")


def test_there_is_no_queue_unless_it_is_wanted(uwsgi: Any) -> None:
    with pytest.raises(ValueError, match=r"the program has no queue: .* queue=N"):
        uwsgi.queue_push("a")
