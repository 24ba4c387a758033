"""`concurrency=1` over real worker processes, also under SIGKILL: never two at once, none lost, nobody held up."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from .storm_workers import Storm, storm, wait_until
from .test_kill import check, waiting

WORKERS, COUNT, KILLS = 4, 2000, 10
KINDS = ("on_loop", "in_thread", "in_process")


def ended(running: Storm) -> int:
    return len(running.counted("end"))


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_one_at_a_time_over_all_workers(tmp_path: Path, storm_tasks: Any, kind: str) -> None:
    """Half of the tasks have the limit; each runs once, and the others are long done when the last of those begins."""
    alone, other = getattr(storm_tasks, f"alone_{kind}"), storm_tasks.on_loop
    pairs = [(alone.spool_sync(0.001).id, other.spool_sync(0.001).id) for _ in range(COUNT // 2)]
    with storm(tmp_path, WORKERS, "--frequency=1") as running:
        wait_until(lambda: waiting(tmp_path) == 0, 400)
    limited, free = ({pair[half] for pair in pairs} for half in (0, 1))
    assert not running.counted("overlap"), "two jobs of the task ran at the same time"
    once = dict.fromkeys(limited | free, 1)
    assert running.counted("start") == once
    assert running.counted("end") == once
    lines = [(word, id) for word, id, _ in running.log()]
    last_free = max(at for at, (_, id) in enumerate(lines) if id in free)
    limited_before = len({id for _, id in lines[:last_free] if id in limited})
    assert limited_before < COUNT // 4, "the task without a limit waited for the other"
    assert len({pid for word, id, pid in running.log() if word == "start" and id in limited}) > 1


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_one_at_a_time_under_kills(tmp_path: Path, storm_tasks: Any) -> None:
    """Whoever dies with a slot gives it back, but not before its child process has ended too."""
    chance = random.Random(5)
    four = [storm_tasks.on_loop, *(getattr(storm_tasks, f"alone_{kind}") for kind in KINDS)]
    ids = [four[n % 4].spool_sync(chance.uniform(0.001, 0.02)).id for n in range(COUNT)]
    with storm(tmp_path, WORKERS, "--max-crashes=1000", "--frequency=1") as running:
        for k in range(KILLS):
            goal = (k + 1) * COUNT // (KILLS + 2)
            wait_until(lambda goal=goal: ended(running) >= goal, 240)  # type: ignore[misc]  # bound now
            time.sleep(chance.uniform(0, 0.05))  # not always just after an end: the moment must be random
            running.kill_one(chance)
        wait_until(lambda: waiting(tmp_path) == 0, 400)
    check(ids, running, KILLS, tmp_path)
