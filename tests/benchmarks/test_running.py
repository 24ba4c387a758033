"""The runner, on scenarios that cost nothing; and the page that is made of what it writes down."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import page, record

ROOT = Path(__file__).parents[2]
MACHINE = {"date": "2026-01-02T03:04:05+00:00", "processor": "Z80", "cores": 1, "memory_gib": 1, "kernel": "Linux 1",
           "python": "CPython 3", "packages": {}, "file_systems": {"ext4": "ext4 with a journal"}}  # fmt: skip


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # The benchmarks fork, which the process of the tests, with its threads, should not.
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)


def test_a_quick_run(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    options = ("--quick", "--rounds", "1", "--place", "ext4", "--dir", str(tmp_path), "--json", str(results))
    printed = python("-m", "benchmarks", "drain", "--only", "10 ms sleeps", *options).stdout
    assert "aspool" in printed
    assert "bare asyncio" in printed
    assert "tasks/s: aspool ≥ 7,000 … " in printed
    lines = record.read(results)
    assert [line["kind"] for line in lines] == ["machine", "scenario", "run", "run", "median", "median", "goal"]
    assert {line["group"] for line in lines} == {"drain"}
    assert all(line["figures"]["tasks/s"] > 0 for line in lines if line["kind"] == "run")
    assert list(tmp_path.iterdir()) == [results], "nothing is left"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("group", "scenario", "figures"),
    [
        ("limits", "few places", {"other tasks/s", "first tasks/s", "refused per task", "kept back per task"}),
        ("tickets", "from what a job says", {"p50 ms", "p99 ms"}),
    ],
)
def test_a_quick_run_of_several_processes(tmp_path: Path, group: str, scenario: str, figures: set[str]) -> None:
    results = tmp_path / "results.jsonl"
    options = ("--quick", "--rounds", "1", "--place", "ext4", "--dir", str(tmp_path), "--json", str(results))
    python("-m", "benchmarks", group, "--only", scenario, *options)
    runs = [line for line in record.read(results) if line["kind"] == "run"]
    assert runs
    assert [line["error"] for line in runs if line.get("error")] == []
    for line in runs:
        assert line["figures"].keys() >= figures
        assert all(value >= 0 for value in line["figures"].values())
    assert list(tmp_path.iterdir()) == [results], "nothing is left"


_FAILING = """
import json, os, subprocess, sys, time
from pathlib import Path
from benchmarks import runner
from benchmarks.places import Place
from benchmarks.scenario import Scenario

def works(directory):
    assert not list(directory.iterdir())
    (directory / "file").touch()
    return {"x": 1.0}

def leaves_a_child(directory):
    child = subprocess.Popen(["sleep", "1000"], process_group=0)
    Path(sys.argv[1], f"child-{child.pid}").touch()
    raise ValueError("no luck")

def dies(directory):
    os._exit(1)

contenders = {"works": works, "leaves a child": leaves_a_child, "dies": dies}
scenario = Scenario(group="g", name="n", contenders=contenders)
place = Place("ext4", Path(sys.argv[1]), "")
print(json.dumps([[run.round, run.contender, run.figures, run.error] for run in runner.runs(scenario, place, 3, str)]))
"""


def test_what_fails_leaves_nothing_behind_and_the_others_go_on(tmp_path: Path) -> None:
    runs = json.loads(python("-c", _FAILING, str(tmp_path)).stdout)
    fine, failed, dead = {"x": 1.0}, [{}, "ValueError: no luck"], [{}, "its process died"]
    assert runs == [
        [1, "works", fine, ""], [1, "leaves a child", *failed], [1, "dies", *dead],
        [2, "works", fine, ""], [2, "leaves a child", *failed], [2, "dies", *dead],
        [3, "works", fine, ""],
    ]  # fmt: skip
    children = [path.name for path in tmp_path.iterdir()]
    assert len(children) == 2, "only what it put there itself: directories are taken away"
    for child in children:
        assert not is_running(int(child.removeprefix("child-")))


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def lines(group: str, value: float) -> list[dict[str, Any]]:
    where = {"group": group, "scenario": "no-ops", "place": "ext4"}
    return [
        {"kind": "machine", "group": group, **MACHINE},
        {
            "kind": "scenario",
            "group": group,
            "scenario": "no-ops",
            "contenders": ["aspool", "uWSGI"],
            "notes": "A note.",
        },
        {"kind": "median", **where, "contender": "aspool", "figures": {"tasks/s": value}},
        {"kind": "goal", **where, "goal": "tasks/s: aspool ≥ 7", "value": value, "met": value >= 7},
    ]


def test_a_group_that_is_measured_again_takes_the_place_of_its_old_lines(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    for file, group, value in ((old, "drain", 1.0), (new, "enqueue", 2.0)):
        file.write_text("".join(json.dumps(line) + "\n" for line in lines(group, value)))
    record.merge(new, old)
    assert record.read(old) == [*lines("drain", 1.0), *lines("enqueue", 2.0)]
    new.write_text("".join(json.dumps(line) + "\n" for line in lines("drain", 3.0)))
    record.merge(new, old)
    assert record.read(old) == [*lines("enqueue", 2.0), *lines("drain", 3.0)]


def test_the_page_shows_the_latest_results() -> None:
    empty = "A\n<!-- measured: drain -->\n<!-- end -->\nB\n<!-- measured: peers -->\nold\n<!-- end -->\n"
    text = page.with_tables(empty, lines("drain", 12345.0))
    assert "| aspool | 12,345 |" in text
    assert "- tasks/s: aspool ≥ 7: 12,345 on ext4, met" in text
    assert "A note." in text
    assert "old" not in text
    assert text.startswith("A\n")
    again = page.with_tables(text, lines("drain", 5.0))
    assert again == page.with_tables(empty, lines("drain", 5.0))
    assert "5.00 on ext4, **missed**" in again


def test_the_page_of_the_documentation_has_a_place_for_every_group() -> None:
    from benchmarks.command import GROUPS, ON_REQUEST

    text = page.PAGE.read_text()
    assert [name for name in ("machine", *GROUPS, *ON_REQUEST) if f"<!-- measured: {name} -->\n" not in text] == []


def test_the_chart_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = [*lines("drain", 1.0), *lines("enqueue", 2.0)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in results))
    code = "import sys; from pathlib import Path; from benchmarks import chart, record; "
    draw = "chart.draw(record.read(Path(sys.argv[1])), Path(sys.argv[2]))"
    python("-c", code + draw, str(tmp_path / "results.jsonl"), str(tmp_path / "chart.svg"))
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")
    assert os.listdir(tmp_path)
