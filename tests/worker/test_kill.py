"""Promises under SIGKILL, with real worker processes: nothing lost, nothing run twice at a time, no innocent buried."""

import random
import time
from pathlib import Path

import pytest

from aspool import DirectorySpool
from aspool.spools.directory.tree import PRIVATE
from aspool.task import Task

from .storm_workers import Storm, storm, wait_until


def waiting(root: Path) -> int:
    return sum(1 for path in (root / "spool").rglob("uwsgi_spoolfile_on_*") if PRIVATE not in path.parts)


def tasks_of(storm_tasks: object) -> list[Task[..., object, object]]:
    return [storm_tasks.on_loop, storm_tasks.in_thread, storm_tasks.in_process]  # type: ignore[attr-defined]  # a module loaded by name


def run_storm(root: Path, storm_tasks: object, count: int, kills: int, workers: int = 4) -> tuple[list[str], Storm]:
    chance = random.Random(7)
    three = tasks_of(storm_tasks)
    with storm(root, workers, "--max-crashes=1000", "--frequency=1") as running:
        ids = [three[n % 3].spool_sync(chance.uniform(0.001, 0.03)).id for n in range(count)]
        for k in range(kills):
            goal = (k + 1) * count // (kills + 2)
            wait_until(lambda goal=goal: len(running.counted("end")) >= goal, 120)  # type: ignore[misc]  # bound now
            time.sleep(chance.uniform(0, 0.05))  # not always just after an end: the moment must be random
            running.kill_one(chance)
        wait_until(lambda: waiting(root) == 0, 240)
    return ids, running


def check(ids: list[str], running: Storm, kills: int, root: Path) -> None:
    ended, started = running.counted("end"), running.counted("start")
    assert not running.counted("overlap"), "a message had two live runs"
    assert [id for id in ids if not ended[id]] == [], "acknowledged, but never ran to its end"
    repeats = [(id, pid) for id, pids in running.workers_of_runs().items() for pid in pids[:-1]]
    assert [repeat for repeat in repeats if repeat[1] not in running.killed] == [], (
        "only an interrupted run is repeated"
    )
    assert len(repeats) == sum(started.values()) - len(ids)
    in_the_gap = sum(ended.values()) - len(ids)
    print(f"{kills} kills, {len(repeats)} runs repeated, {in_the_gap} of them had ended but were not acknowledged yet")
    assert waiting(root) == 0
    aside = [p.name for area in ("dead", "corrupt", "tmp", "ids") for p in (root / "spool" / PRIVATE / area).iterdir()]
    assert aside == []


def test_a_few_kills(tmp_path: Path, storm_tasks: object) -> None:
    ids, running = run_storm(tmp_path, storm_tasks, count=100, kills=2, workers=2)
    check(ids, running, 2, tmp_path)


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_2000_tasks_4_workers_50_kills(tmp_path: Path, storm_tasks: object) -> None:
    ids, running = run_storm(tmp_path, storm_tasks, count=2000, kills=50)
    check(ids, running, 50, tmp_path)


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_chosen_ids_under_the_storm(tmp_path: Path, storm_tasks: object) -> None:
    """No id waits twice, and every id is usable afterwards."""
    chance = random.Random(11)
    three = tasks_of(storm_tasks)
    names = [f"id-{n}" for n in range(40)]
    accepted = 0
    with storm(tmp_path, 4, "--max-crashes=1000", "--frequency=1") as running:
        for n in range(1200):
            ticket = three[n % 3].using(id=chance.choice(names)).spool_sync(0.005)
            accepted += not ticket.duplicate
            if n % 24 == 23:
                running.kill_one(chance)
            present = [path.name.split("_", 4)[4].rsplit("_", 2)[0] for path in (tmp_path / "spool").glob("uwsgi_*")]
            # A put-off or crashed file is renamed while we read the names, so a doubt is looked at twice.
            if len(present) != len(set(present)):
                again = [path.name.split("_", 4)[4].rsplit("_", 2)[0] for path in (tmp_path / "spool").glob("uwsgi_*")]
                assert len(again) == len(set(again)), "an id waits twice"
        wait_until(lambda: waiting(tmp_path) == 0, 240)
        assert not running.counted("overlap")
        assert sum(running.counted("end").values()) >= accepted
        again_accepted = [not three[0].using(id=name).spool_sync(0.0).duplicate for name in names]
        assert all(again_accepted), "an id stayed occupied"
        wait_until(lambda: waiting(tmp_path) == 0, 60)


@pytest.mark.heavy
def test_poison_is_buried_after_three_deaths_and_no_neighbour_is(tmp_path: Path, storm_tasks: object) -> None:
    with storm(tmp_path, 2, "--frequency=1") as running:
        bad = storm_tasks.poison.spool_sync()  # type: ignore[attr-defined]  # a module loaded by name
        ids = [storm_tasks.on_loop.spool_sync(0.02).id for _ in range(200)]  # type: ignore[attr-defined]
        wait_until(lambda: waiting(tmp_path) == 0, 60, running.replace_dead)
    spool = DirectorySpool(tmp_path / "spool")
    (dead,) = spool.browse(frozenset({"dead"}))
    assert dead.id == bad.id
    assert "died 3 times" in dead.reason
    assert running.counted("start")[bad.id] == 3
    assert set(ids) <= set(running.counted("end"))
